/* route: matches paths with the patterns of the table.  Runs in the server's loop thread; the path
 * is hostile and is only compared and measured. */
#include "api/route.h"

#include <string.h>

#define PLACEHOLDER "{name}"

static bool text_matches(const char *pattern, bool tree, const char *path, size_t len)
{
    size_t n = strlen(pattern);
    if (tree)
        return len > n && memcmp(pattern, path, n) == 0;
    return len == n && memcmp(pattern, path, n) == 0;
}

bool route_matches(const char *pattern, bool tree, const char *path, size_t len,
                   struct route_name *ret)
{
    *ret = (struct route_name){0};
    const char *name = strchr(pattern, '{');
    if (!name)
        return text_matches(pattern, tree, path, len);
    size_t before = (size_t)(name - pattern);
    const char *after = name + strlen(PLACEHOLDER);
    size_t rest = strlen(after);
    if (len <= before + rest || memcmp(pattern, path, before) != 0 ||
        memcmp(path + len - rest, after, rest) != 0)
        return false;
    size_t n = len - before - rest;
    if (!tree && memchr(path + before, '/', n))
        return false;
    *ret = (struct route_name){path + before, n};
    return true;
}

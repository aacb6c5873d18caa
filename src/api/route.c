/* route: matches paths with the patterns of the table.  Runs in the server's loop thread; the path
 * is hostile and is only compared and measured. */
#include "api/route.h"

#include <string.h>

/* Length of what stands at `path` for a {...}: up to the next slash, or (`all`) to the end. */
static size_t name_length(const char *path, size_t len, bool all)
{
    const char *slash = all ? NULL : memchr(path, '/', len);
    return slash ? (size_t)(slash - path) : len;
}

bool route_matches(const char *pattern, bool tree, const char *path, size_t len,
                   struct route_name ret[static ROUTE_NAMES])
{
    size_t n = 0;
    memset(ret, 0, ROUTE_NAMES * sizeof *ret);
    while (*pattern) {
        size_t text = strcspn(pattern, "{");
        if (len < text || memcmp(pattern, path, text) != 0)
            return false;
        pattern += text;
        path += text;
        len -= text;
        if (!*pattern)
            return tree ? len > 0 : len == 0;
        pattern = strchr(pattern, '}') + 1;
        size_t name = name_length(path, len, tree && !*pattern);
        if (name == 0 || n == ROUTE_NAMES)
            return false;
        ret[n++] = (struct route_name){path, name};
        path += name;
        len -= name;
    }
    return len == 0;
}

/* etag: looks for a tag in a list.  Runs in the server; the list is hostile, the tag is ours. */
#include "http/etag.h"

#include <stddef.h>
#include <string.h>

static bool skip_weak(const char **tag)
{
    if (strncmp(*tag, "W/", 2) != 0)
        return false;
    *tag += 2;
    return true;
}

bool etag_list_has(const char *list, const char *etag, bool is_weak)
{
    bool is_etag_weak = skip_weak(&etag);

    list += strspn(list, " \t,");
    if (*list == '*')
        return list[1 + strspn(list + 1, " \t")] == '\0';
    while (*list != '\0') {
        bool is_item_weak = skip_weak(&list);
        const char *end = *list == '"' ? strchr(list + 1, '"') : NULL;

        if (end == NULL)
            return false;
        end++;
        if ((is_weak || (!is_item_weak && !is_etag_weak)) && strlen(etag) == (size_t)(end - list) &&
            memcmp(list, etag, (size_t)(end - list)) == 0)
            return true;
        list = end + strspn(end, " \t");
        if (*list != ',' && *list != '\0')
            return false;
        list += strspn(list, " \t,");
    }
    return false;
}

/* environment_name: the predecessor's rule for names and its words.  Runs in the server; names are
 * hostile, need not be UTF-8 here, and are quoted in bounded length only. */
#include "api/environment_name.h"

#include <string.h>

#include "base/str.h"

#define SHOWN_MAX 64 /* bytes */

bool environment_name_is_valid(const char *name, size_t len)
{
    if (len == 0 || len > ENVIRONMENT_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
    }
    return true;
}

int environment_append_quoted(struct buf *out, const char *name, size_t len)
{
    size_t shown = len <= SHOWN_MAX ? len : utf8_valid_prefix(name, SHOWN_MAX, NULL);
    return buf_append_str(out, "环境 '") < 0 || buf_append(out, name, shown) < 0
               ? -1
               : buf_append_str(out, shown < len ? "…'" : "'");
}

int environment_append_unknown(struct buf *out, const char *name, size_t len)
{
    return environment_append_quoted(out, name, len) < 0 ? -1 : buf_append_str(out, " 不存在");
}

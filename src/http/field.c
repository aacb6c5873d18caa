/* field: judges header fields.  Runs in the server; incoming names and values are hostile, outgoing
 * ones may hold hostile text.  Must never let a field through that splits or reframes a message. */
#include "http/field.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"

void field_count_add(struct field_count *count, const char *name)
{
    count->total++;
    count->hosts += strcasecmp(name, "Host") == 0;
    count->lengths += strcasecmp(name, "Content-Length") == 0;
    count->codings += strcasecmp(name, "Transfer-Encoding") == 0;
}

int field_count_judge(const struct field_count *count)
{
    if (count->hosts > 1 || count->lengths > 1 || count->codings > 1)
        return 400;
    if (count->lengths && count->codings)
        return 400;
    return count->total > LIMIT_HTTP_HEADERS ? 431 : 0;
}

int field_parse_length(const char *value, size_t *ret_length)
{
    size_t length = 0;
    if (!*value)
        return -1;
    for (; *value; value++) {
        if (*value < '0' || *value > '9')
            return -1;
        if (__builtin_mul_overflow(length, (size_t)10, &length) ||
            __builtin_add_overflow(length, (size_t)(*value - '0'), &length))
            return -1;
    }
    *ret_length = length;
    return 0;
}

static bool is_token(const char *name)
{
    /* RFC 9110, 5.6.2 */
    static const char allowed[] = "!#$%&'*+-.^_`|~0123456789"
                                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return *name && !name[strspn(name, allowed)];
}

static bool is_ours(const char *name)
{
    static const char *const ours[] = {"Content-Length", "Transfer-Encoding", "Connection",
                                       "Content-Type"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (strcasecmp(name, ours[i]) == 0)
            return true;
    return false;
}

bool field_is_sendable(const char *name, const char *value)
{
    if (!is_token(name) || is_ours(name) || !*value)
        return false;
    for (; *value; value++)
        if (((unsigned char)*value < 0x20 && *value != '\t') || *value == 0x7f)
            return false;
    return true;
}

/* session_query: reads parameters of queries.  Runs in the server's loop thread; they are hostile.
 */
#include "api/session_query.h"

#include <stddef.h>
#include <stdio.h>
#include <strings.h>

#include "api/errors.h"
#include "http/http.h"

#define MODE_MAX 07777

static int parse_number(const char *text, uint64_t *ret)
{
    *ret = 0;
    for (const char *c = text; *c; c++) {
        if (*c < '0' || *c > '9' || __builtin_mul_overflow(*ret, 10, ret) ||
            __builtin_add_overflow(*ret, (uint64_t)(*c - '0'), ret))
            return -1;
    }
    return *text ? 0 : -1;
}

int session_query_number(struct http_request *r, const char *name, uint64_t min, uint64_t max,
                         uint64_t *ret)
{
    const char *text = http_query(r, name);
    char words[96];
    uint64_t number;
    if (!text)
        return 0;
    if (parse_number(text, &number) < 0 || number < min || number > max) {
        snprintf(words, sizeof words, "Input should be an integer from %llu to %llu",
                 (unsigned long long)min, (unsigned long long)max);
        error_reply_query(r, name, "int_parsing", words);
        return -1;
    }
    *ret = number;
    return 0;
}

int session_mode_parse(const char *text, uint32_t *ret)
{
    uint32_t mode = 0;
    if (!*text)
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '7' || mode > MODE_MAX)
            return -1;
        mode = mode << 3 | (uint32_t)(*text - '0');
    }
    if (mode > MODE_MAX)
        return -1;
    *ret = mode;
    return 0;
}

int session_query_mode(struct http_request *r, const char *name, uint32_t *ret)
{
    const char *text = http_query(r, name);
    if (!text || session_mode_parse(text, ret) == 0)
        return 0;
    error_reply_query(r, name, "value_error", "Input should be a mode in octal digits, as 0644");
    return -1;
}

int session_query_bool(struct http_request *r, const char *name, bool *ret)
{
    static const char *const words[] = {"0", "off", "f", "false", "n", "no",
                                        "1", "on",  "t", "true",  "y", "yes"};
    const char *text = http_query(r, name);
    if (!text)
        return 0;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(words[i], text) == 0) {
            *ret = i >= sizeof words / sizeof words[0] / 2;
            return 0;
        }
    }
    error_reply_query(r, name, "bool_parsing",
                      "Input should be a valid boolean, unable to interpret input");
    return -1;
}

const char *session_query_text(struct http_request *r, const char *name)
{
    const char *text = http_query(r, name);
    return text ? text : "";
}

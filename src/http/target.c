/* target: decodes the request target.  Runs in the server; every byte is hostile.  Must never let
 * two readings of one target exist: what cannot be decoded in exactly one way is refused. */
#include "http/target.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/str.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes text in place, where it can only get shorter.  0, or -1 when it is not decodable. */
static int decode(char *text, bool plus_is_space)
{
    const char *in = text;
    char *out = text;
    while (*in) {
        if (*in != '%') {
            *out++ = plus_is_space && *in == '+' ? ' ' : *in;
            in++;
            continue;
        }
        int high = hex_digit(in[1]);
        int low = high < 0 ? -1 : hex_digit(in[2]);
        if (low < 0 || high + low == 0)
            return -1;
        *out++ = (char)(high << 4 | low);
        in += 3;
    }
    *out = '\0';
    size_t len = (size_t)(out - text);
    return utf8_valid_prefix(text, len, NULL) == len ? 0 : -1;
}

/* Splits and decodes the query.  `params` has room for every '&' plus one. */
static int decode_query(struct target *t, char *query)
{
    char *part;
    while ((part = strsep(&query, "&"))) {
        if (!*part)
            continue;
        char *name = strsep(&part, "=");
        char *value = part ? part : name + strlen(name);
        if (decode(name, true) < 0 || (*value && decode(value, true) < 0))
            return -1;
        t->params[t->nparams++] = (struct target_param){name, value};
    }
    return 0;
}

static size_t count_params(const char *query)
{
    size_t n = 1;
    for (; *query; query++)
        n += *query == '&';
    return n;
}

/* The part of an absolute-form target behind the authority; other forms are returned as they are.
 */
static const char *skip_authority(const char *raw)
{
    if (strncasecmp(raw, "http://", 7) != 0 && strncasecmp(raw, "https://", 8) != 0)
        return raw;
    const char *authority = strstr(raw, "://") + 3;
    const char *rest = authority + strcspn(authority, "/?");
    return rest == authority ? raw : rest;
}

static int fail(struct target *t, int status)
{
    target_finish(t);
    return status;
}

int target_parse(struct target *t, const char *raw)
{
    *t = (struct target){0};
    if (strlen(raw) > LIMIT_HTTP_TARGET)
        return 414;
    raw = skip_authority(raw);
    if (*raw != '/' && *raw != '?' && *raw != '\0' && strcmp(raw, "*") != 0)
        return 400;
    t->storage = strdup(raw);
    if (!t->storage)
        return 503;

    char *query = t->storage;
    char *path = strsep(&query, "?");
    if (decode(path, false) < 0)
        return fail(t, 400);
    t->path = *path ? path : "/";
    if (!query)
        return 0;
    t->params = calloc(count_params(query), sizeof *t->params);
    if (!t->params)
        return fail(t, 503);
    return decode_query(t, query) < 0 ? fail(t, 400) : 0;
}

void target_finish(struct target *t)
{
    free(t->storage);
    free(t->params);
    *t = (struct target){0};
}

const char *target_param(const struct target *t, const char *name)
{
    for (size_t i = 0; i < t->nparams; i++)
        if (strcmp(t->params[i].name, name) == 0)
            return t->params[i].value;
    return NULL;
}

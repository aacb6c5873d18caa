/* session_map: decodes variables and labels.  Runs in the server, on the loop or its thread pool;
 * names and values are hostile. */
#include "api/session_map.h"

#include <string.h>

#include "api/text.h"

#define NAME_MAX_BYTES 255
#define NAME_PATTERN   "^[^=\\x00-\\x1f\\x7f]{1,255}$"

/* How one member is appended to the result, `n` of them before it. */
typedef int append_member(struct buf *out, size_t n, const char *name, struct json_slice value);

static int append_json(struct buf *out, size_t n, const char *name, struct json_slice value)
{
    return buf_append_str(out, n ? "," : "{") | text_append_json_str(out, name) |
           buf_append_str(out, ":") | text_append_json(out, value.data, value.len);
}

static int append_env(struct buf *out, size_t n, const char *name, struct json_slice value)
{
    return buf_append_str(out, name) | buf_append_str(out, "=") |
           buf_append(out, value.data, value.len) | buf_append(out, "", 1);
}

static bool is_name(const char *name)
{
    size_t len = 0;
    for (; name[len]; len++) {
        unsigned char c = (unsigned char)name[len];
        if (c < 0x20 || c == 0x7F || c == '=')
            return false;
    }
    return len > 0 && len <= NAME_MAX_BYTES;
}

/* The string of one member; -1 and a violation when name or value are wrong. */
static int read_member(struct fields *f, const char *map, const char *name, const json_t *value,
                       struct json_slice *ret)
{
    if (!is_name(name)) {
        violation_add(&f->violations, "string_pattern_mismatch", PLACE_KEY(map, name), NULL,
                      json_pack("{s:s}", "pattern", NAME_PATTERN),
                      "String should match pattern '%s'", NAME_PATTERN);
        return -1;
    }
    if (field_string(f, PLACE_IN(map, name), value, ret) < 0)
        return -1;
    if (!memchr(ret->data, '\0', ret->len))
        return 0;
    violation_add(&f->violations, "value_error", PLACE_IN(map, name), value,
                  json_pack("{s:{}}", "error"), "Value error, must not contain NUL");
    return -1;
}

static int read_members(struct fields *f, const char *map, json_t *value, append_member *append,
                        struct buf *out, size_t *ret_n)
{
    for (void *i = json_object_iter(value); i; i = json_object_iter_next(value, i)) {
        const char *name = json_object_iter_key(i);
        struct json_slice s;
        if (read_member(f, map, name, json_object_iter_value(i), &s) < 0)
            continue;
        if (append(out, *ret_n, name, s) < 0)
            return -1;
        (*ret_n)++;
    }
    return 0;
}

static void refuse_length(struct fields *f, const char *map, size_t max)
{
    violation_add(&f->violations, "value_error", PLACE(map), NULL, json_pack("{s:{}}", "error"),
                  "Value error, may have at most %zu bytes", max);
}

/* The member as an object; NULL when it is absent or none. */
static json_t *read_map(struct fields *f, const json_t *body, const char *map)
{
    json_t *value = field_optional(body, map);
    if (!value || json_is_object(value))
        return value;
    violation_add(&f->violations, "dict_type", PLACE(map), value, NULL,
                  "Input should be a valid dictionary");
    return NULL;
}

int session_map_json(struct fields *f, const json_t *body, const char *name, size_t max,
                     struct buf *out)
{
    json_t *value = read_map(f, body, name);
    size_t start = out->len, n = 0;
    if (!value)
        return 0;
    if (read_members(f, name, value, append_json, out, &n) < 0 ||
        buf_append_str(out, n ? "}" : "{}") < 0)
        return -1;
    if (out->len - start > max)
        refuse_length(f, name, max);
    return 0;
}

int session_map_env(struct fields *f, const json_t *body, const char *name, size_t max,
                    struct buf *out, size_t *ret_n)
{
    json_t *value = read_map(f, body, name);
    size_t start = out->len;
    *ret_n = 0;
    if (value && read_members(f, name, value, append_env, out, ret_n) < 0)
        return -1;
    if (out->len - start > max)
        refuse_length(f, name, max);
    return 0;
}

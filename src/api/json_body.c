/* json_body: reads the members of a request's object.  Runs in the server, on the loop or its
 * thread pool; every byte is hostile.  Strings are decoded where they stand and never copied. */
#include "api/json_body.h"

#include <stdlib.h>
#include <string.h>

static struct violations *violations(struct json_body *b)
{
    return &b->fields.violations;
}

static void check_object(struct json_body *b)
{
    const json_t *root = b->lift.root;
    if (json_is_object(root))
        return;
    if (json_is_null(root))
        violation_add(violations(b), "missing", PLACE_BODY, NULL, NULL, "Field required");
    else
        violation_add(violations(b), "model_attributes_type", PLACE_BODY, root, NULL,
                      "Input should be a valid dictionary or object to extract fields from");
}

void json_body_parse(struct json_body *b, char *text, size_t len, bool optional)
{
    *b = (struct json_body){.text = text};
    b->fields.lift = violations(b)->lift = &b->lift;
    if (len == 0 && optional)
        b->lift.root = json_object();
    else if (len == 0)
        violation_add(violations(b), "missing", PLACE_BODY, NULL, NULL, "Field required");
    else if (json_lift_parse(text, len, JSON_LIFT_MIN, &b->lift) < 0)
        violation_add_unparsed(violations(b), &b->lift);
    else
        check_object(b);
}

void json_body_finish(struct json_body *b)
{
    violations_finish(violations(b));
    json_lift_finish(&b->lift);
    free(b->text);
    *b = (struct json_body){0};
}

json_t *json_body_root(const struct json_body *b)
{
    return json_is_object(b->lift.root) ? b->lift.root : NULL;
}

bool json_body_is_valid(const struct json_body *b)
{
    return !b->out_of_memory && !violations_any(&b->fields.violations);
}

/* The member, or NULL when it is absent or null. */
static json_t *member(const struct json_body *b, const char *name)
{
    json_t *root = json_body_root(b);
    return root ? field_optional(root, name) : NULL;
}

bool json_body_require(struct json_body *b, const char *name)
{
    json_t *root = json_body_root(b);
    if (!root || field_optional(root, name))
        return root;
    violation_add(violations(b), "missing", PLACE(name), root, NULL, "Field required");
    return false;
}

void json_body_refuse(struct json_body *b, const char *name, const char *words)
{
    struct place place = PLACE_BODY;
    place.name = name;
    violation_add(violations(b), "value_error", place, name ? member(b, name) : NULL,
                  json_pack("{s:{}}", "error"), "Value error, %s", words);
}

static void refuse_length(struct json_body *b, struct place place, const json_t *value, size_t max)
{
    violation_add(violations(b), "string_too_long", place, value,
                  json_pack("{s:I}", "max_length", (json_int_t)max),
                  "String should have at most %zu characters", max);
}

void json_body_bytes(struct json_body *b, const char *name, size_t max, struct json_slice *ret)
{
    const json_t *value = member(b, name);
    struct json_slice s;
    if (!value || field_string(&b->fields, PLACE(name), value, &s) < 0)
        return;
    if (s.len > max)
        refuse_length(b, PLACE(name), value, max);
    else
        *ret = s;
}

/* A string without NUL; NULL and a violation when it is none. */
static const char *read_text(struct json_body *b, struct place place, const json_t *value,
                             size_t *ret_len)
{
    struct json_slice s;
    bool is_lifted;
    if (field_string(&b->fields, place, value, &s) < 0)
        return NULL;
    if (memchr(s.data, '\0', s.len)) {
        violation_add(violations(b), "value_error", place, value, json_pack("{s:{}}", "error"),
                      "Value error, must not contain NUL");
        return NULL;
    }
    (void)json_lift_string(&b->lift, value, &is_lifted);
    if (is_lifted)
        s.data[s.len] = '\0'; /* at most the closing quote is there */
    *ret_len = s.len;
    return s.data;
}

void json_body_text(struct json_body *b, const char *name, size_t max, const char **ret)
{
    const json_t *value = member(b, name);
    size_t len;
    const char *text = value ? read_text(b, PLACE(name), value, &len) : NULL;
    if (!text)
        return;
    if (len > max)
        refuse_length(b, PLACE(name), value, max);
    else
        *ret = text;
}

const char *json_body_text_of(const struct json_body *b, const json_t *value, size_t max)
{
    bool is_lifted;
    if (!json_is_string(value))
        return NULL;
    struct json_slice s = json_lift_string(&b->lift, value, &is_lifted);
    if (s.len > max || memchr(s.data, '\0', s.len))
        return NULL;
    if (is_lifted)
        s.data[s.len] = '\0'; /* at most the closing quote is there */
    return s.data;
}

void json_body_bool(struct json_body *b, const char *name, bool *ret)
{
    const json_t *value = member(b, name);
    if (value)
        field_bool(&b->fields, PLACE(name), value, ret);
}

void json_body_int(struct json_body *b, const char *name, struct int_range range, int64_t *ret)
{
    const json_t *value = member(b, name);
    if (value)
        field_int_in(&b->fields, PLACE(name), value, range, ret);
}

void json_body_seconds(struct json_body *b, const char *name, int64_t max_s, uint32_t *ret_ms)
{
    const json_t *value = member(b, name);
    double seconds;
    if (!value || field_real(&b->fields, PLACE(name), value, &seconds) < 0)
        return;
    if (!(seconds > 0))
        violation_add(violations(b), "greater_than", PLACE(name), value,
                      json_pack("{s:i}", "gt", 0), "Input should be greater than 0");
    else if (seconds > (double)max_s)
        violation_add(violations(b), "less_than_equal", PLACE(name), value,
                      json_pack("{s:I}", "le", (json_int_t)max_s),
                      "Input should be less than or equal to %lld", (long long)max_s);
    else
        *ret_ms = seconds < 0.001 ? 1 : (uint32_t)(seconds * 1000);
}

static void read_list(struct json_body *b, const char *name, const json_t *value, size_t max,
                      const char **list)
{
    size_t used = 0, n = json_array_size(value);
    for (size_t i = 0; i < n; i++) {
        size_t len = 0;
        list[i] = read_text(b, PLACE_ELEMENT(name, (long)i), json_array_get(value, i), &len);
        used += len + 1;
        if (used > max) {
            refuse_length(b, PLACE(name), NULL, max);
            return;
        }
    }
}

void json_body_list(struct json_body *b, const char *name, size_t max, const char ***ret)
{
    const json_t *value = member(b, name);
    if (!value)
        return;
    if (!json_is_array(value)) {
        violation_add(violations(b), "list_type", PLACE(name), value, NULL,
                      "Input should be a valid list");
        return;
    }
    const char **list = calloc(json_array_size(value) + 1, sizeof *list);
    if (!list) {
        b->out_of_memory = true;
        return;
    }
    read_list(b, name, value, max, list);
    *ret = list;
}

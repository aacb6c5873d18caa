/* violations: FastAPI's 422 body.
 *
 * Runs in the server, on the loop or on its thread pool.  What was sent is shown back shortened:
 * a refused request of 60 MB must not become an answer of 60 MB. */
#include "api/violations.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define SHOWN_BYTES   256 /* of one string */
#define SHOWN_MEMBERS 16  /* of one array or object */
#define SHOWN_DEPTH   4
#define LIST_MAX      100 /* violations told about in one answer */
#define TYPE_URL      "https://errors.pydantic.dev/2.6/v/"

static json_t *show_string(const char *s, size_t len)
{
    if (len <= SHOWN_BYTES)
        return json_stringn(s, len);
    char shown[SHOWN_BYTES + sizeof "…"];
    size_t n = utf8_valid_prefix(s, SHOWN_BYTES, NULL);
    memcpy(shown, s, n);
    memcpy(shown + n, "…", sizeof "…" - 1);
    return json_stringn(shown, n + sizeof "…" - 1);
}

static json_t *show(const struct violations *v, const json_t *input, unsigned depth);

static json_t *show_array(const struct violations *v, const json_t *input, unsigned depth)
{
    json_t *shown = json_array();
    size_t n = json_array_size(input);
    for (size_t i = 0; i < n && i < SHOWN_MEMBERS; i++)
        json_array_append_new(shown, show(v, json_array_get(input, i), depth + 1));
    if (n > SHOWN_MEMBERS)
        json_array_append_new(shown, json_string("…"));
    return shown;
}

static json_t *show_object(const struct violations *v, json_t *input, unsigned depth)
{
    json_t *shown = json_object();
    for (void *i = json_object_iter(input); i; i = json_object_iter_next(input, i)) {
        const char *name = json_object_iter_key(i);
        json_t *value = json_object_iter_value(i);
        if (json_object_size(shown) == SHOWN_MEMBERS) {
            json_object_set_new(shown, "…", json_null());
            break;
        }
        if (strlen(name) <= SHOWN_BYTES)
            json_object_set_new(shown, name, show(v, value, depth + 1));
    }
    return shown;
}

/* A shortened copy. */
static json_t *show(const struct violations *v, const json_t *input, unsigned depth)
{
    if (json_is_string(input)) {
        struct json_slice s = v->lift ? json_lift_string(v->lift, input, NULL)
                                      : (struct json_slice){(char *)json_string_value(input),
                                                            json_string_length(input)};
        return show_string(s.data, s.len);
    }
    if (depth == SHOWN_DEPTH && (json_is_array(input) || json_is_object(input)))
        return json_string("…");
    if (json_is_array(input))
        return show_array(v, input, depth);
    if (json_is_object(input))
        return show_object(v, (json_t *)input, depth);
    return input ? json_copy((json_t *)input) : json_null();
}

/* NULL when there is no memory for it. */
static json_t *show_place(struct place place)
{
    json_t *loc = json_array();
    int r = json_array_append_new(loc, json_string(place.root ? place.root : "body"));
    if (place.group)
        r |= json_array_append_new(loc, json_string(place.group));
    if (place.name)
        r |= json_array_append_new(loc, show_string(place.name, strlen(place.name)));
    if (place.index >= 0)
        r |= json_array_append_new(loc, json_integer(place.index));
    if (place.key)
        r |= json_array_append_new(loc, json_string("[key]"));
    if (r == 0)
        return loc;
    json_decref(loc);
    return NULL;
}

/* Takes over the entry. */
static void append(struct violations *v, json_t *entry)
{
    if (!v->list)
        v->list = json_array();
    if (json_array_size(v->list) >= LIST_MAX)
        json_decref(entry);
    else if (json_array_append_new(v->list, entry) < 0)
        v->out_of_memory = true;
}

/* The members in the order in which pydantic gives them; a NULL among them is one that there was no
 * memory for. */
static json_t *make_entry(struct violations *v, const char *type, json_t *loc, const char *msg,
                          json_t *input)
{
    json_t *entry = json_object();
    v->out_of_memory |= (json_object_set_new(entry, "type", json_string(type)) |
                         json_object_set_new(entry, "loc", loc) |
                         json_object_set_new(entry, "msg", json_string(msg)) |
                         json_object_set_new(entry, "input", input)) != 0;
    return entry;
}

void violation_add(struct violations *v, const char *type, struct place place, const json_t *input,
                   json_t *ctx, const char *format, ...)
{
    char msg[240], url[96];
    va_list args;
    va_start(args, format);
    vsnprintf(msg, sizeof msg, format, args);
    va_end(args);
    snprintf(url, sizeof url, TYPE_URL "%s", type);

    json_t *entry = make_entry(v, type, show_place(place), msg, show(v, input, 0));
    if (ctx && json_object_set_new(entry, "ctx", ctx) < 0)
        v->out_of_memory = true;
    if (json_object_set_new(entry, "url", json_string(url)) < 0)
        v->out_of_memory = true;
    append(v, entry);
}

void violation_add_unparsed(struct violations *v, const struct json_lift *refused)
{
    v->out_of_memory |= refused->out_of_memory;
    if (refused->nul_in_name) {
        const char *member = refused->fault_member;
        violation_add(v, "value_error", *member ? PLACE(member) : PLACE_BODY, NULL,
                      json_pack("{s:{}}", "error"), "Value error, a name must not contain NUL");
        return;
    }
    json_t *loc = json_pack("[s,I]", "body", (json_int_t)refused->fault_chars);
    json_t *entry = make_entry(v, "json_invalid", loc, "JSON decode error", json_object());
    if (json_object_set_new(entry, "ctx", json_pack("{s:s}", "error", refused->fault)) < 0)
        v->out_of_memory = true;
    append(v, entry);
}

void violation_add_text(struct violations *v, const char *body, size_t len)
{
    struct buf clean = {0};
    json_t *input = NULL;
    if (utf8_append(&clean, body, len < SHOWN_BYTES ? len : SHOWN_BYTES) == 0)
        input = json_stringn(clean.data ? clean.data : "", clean.len);
    violation_add(v, "model_attributes_type", PLACE_BODY, input, NULL,
                  "Input should be a valid dictionary or object to extract fields from");
    json_decref(input);
    buf_finish(&clean);
}

bool violations_any(const struct violations *v)
{
    return v->list || v->out_of_memory;
}

static int append_dump(const char *bytes, size_t len, void *data)
{
    return buf_append(data, bytes, len);
}

static void remove_urls(const struct violations *v)
{
    size_t i;
    json_t *entry;
    json_array_foreach(v->list, i, entry) json_object_del(entry, "url");
}

int violations_write(const struct violations *v, struct buf *out)
{
    if (v->without_url)
        remove_urls(v);
    if (v->out_of_memory || buf_append_str(out, "{\"detail\":") < 0 ||
        json_dump_callback(v->list, append_dump, out, JSON_COMPACT) < 0)
        return -1;
    return buf_append_str(out, "}");
}

void violations_finish(struct violations *v)
{
    json_decref(v->list);
    *v = (struct violations){0};
}

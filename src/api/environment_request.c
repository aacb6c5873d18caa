/* environment_request: decoder of what asks for environments and images.
 *
 * Runs in the server's loop thread; the body is hostile.  Every text that it hands on is UTF-8
 * without NUL and of bounded length; what it means (whether there is such an image, whether the
 * script may run) is the service's to judge. */
#include "api/environment_request.h"

#include <stdlib.h>
#include <string.h>

#include "api/environment_name.h"
#include "api/fields.h"
#include "api/limits_decode.h"
#include "base/str.h"
#include "engine/nest.h"

/* Characters, but for the names: bytes. */
#define DESCRIPTION_MAX    200
#define BASE_IMAGE_MAX     255
#define PYTHON_VERSION_MAX 50
#define SETUP_SCRIPT_MAX   10000
#define MODULES_MAX        64  /* to import ahead */
#define MODULE_NAME_MAX    128 /* bytes */
#define NAME_PATTERN       "^[a-zA-Z0-9-_]+$"
#define MODULE_PATTERN     "^[A-Za-z_][A-Za-z0-9_]*([.][A-Za-z_][A-Za-z0-9_]*)*$"
#define IMAGE_PATTERN      "^[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}$"

struct decode {
    struct fields fields;
    const struct request_rules *rules;
    struct environment_request *out;
    bool out_of_memory;
};

static struct violations *violations(struct decode *d)
{
    return &d->fields.violations;
}

/* Keeps a copy until the end of the request; "" (and noted) when out of memory. */
static const char *keep(struct decode *d, const char *text, size_t len)
{
    char *copy = strndup(text, len);
    if (!copy || d->out->ntexts == ENVIRONMENT_TEXTS) {
        free(copy);
        d->out_of_memory = true;
        return "";
    }
    d->out->texts[d->out->ntexts++] = copy;
    return copy;
}

static void refuse_value(struct decode *d, struct place place, const json_t *value,
                         const char *words)
{
    violation_add(violations(d), "value_error", place, value, json_pack("{s:{}}", "error"),
                  "Value error, %s", words);
}

static void refuse_pattern(struct decode *d, struct place place, const json_t *value,
                           const char *pattern)
{
    violation_add(violations(d), "string_pattern_mismatch", place, value,
                  json_pack("{s:s}", "pattern", pattern), "String should match pattern '%s'",
                  pattern);
}

/* Lengths in characters. */
struct text_range {
    unsigned min, max;
};

/* Reads a string within `range` that can be a C string. */
static int decode_text(struct decode *d, struct place place, const json_t *value,
                       struct text_range range, struct json_slice *ret)
{
    if (field_string(&d->fields, place, value, ret) < 0)
        return -1;
    size_t n = utf8_count(ret->data, ret->len);
    if (n > range.max) {
        violation_add(violations(d), "string_too_long", place, value,
                      json_pack("{s:i}", "max_length", (int)range.max),
                      "String should have at most %u characters", range.max);
        return -1;
    }
    if (n < range.min) {
        violation_add(violations(d), "string_too_short", place, value,
                      json_pack("{s:i}", "min_length", (int)range.min),
                      "String should have at least %u character%s", range.min,
                      range.min == 1 ? "" : "s");
        return -1;
    }
    if (memchr(ret->data, '\0', ret->len)) {
        refuse_value(d, place, value, "must not contain NUL");
        return -1;
    }
    return 0;
}

/* A member that the predecessor does not take as null, but may be absent. */
static void decode_optional(struct decode *d, const json_t *body, const char *name, unsigned max,
                            const char **ret)
{
    const json_t *value = json_object_get(body, name);
    struct json_slice s;
    if (value && decode_text(d, PLACE(name), value, (struct text_range){0, max}, &s) == 0)
        *ret = keep(d, s.data, s.len);
}

static const json_t *require(struct decode *d, const json_t *body, const char *name)
{
    const json_t *value = json_object_get(body, name);
    if (!value)
        violation_add(violations(d), "missing", PLACE(name), body, NULL, "Field required");
    return value;
}

/* -- the predecessor's members -- */

static void decode_name(struct decode *d, const json_t *body)
{
    const json_t *value = require(d, body, "name");
    struct json_slice s;
    if (!value ||
        decode_text(d, PLACE("name"), value, (struct text_range){1, ENVIRONMENT_NAME_MAX}, &s) < 0)
        return;
    if (environment_name_is_valid(s.data, s.len))
        d->out->wanted.name = keep(d, s.data, s.len);
    else
        refuse_pattern(d, PLACE("name"), value, NAME_PATTERN);
}

static void decode_script(struct decode *d, const json_t *body)
{
    const json_t *value = require(d, body, "setup_script");
    struct json_slice s;
    if (value && decode_text(d, PLACE("setup_script"), value,
                             (struct text_range){1, SETUP_SCRIPT_MAX}, &s) == 0)
        d->out->wanted.setup_script = keep(d, s.data, s.len);
}

/* -- ours -- */

/* A dotted name as Python modules have it. */
static bool is_module_name(const char *s, size_t len)
{
    bool begins = true;
    for (size_t i = 0; i < len; i++) {
        char c = s[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (c == '.' && begins)
            return false;
        if (c != '.' && !letter && (begins || c < '0' || c > '9'))
            return false;
        begins = c == '.';
    }
    return len > 0 && len <= MODULE_NAME_MAX && !begins;
}

/* Appends to a list with commas between. */
static void append_module(struct decode *d, struct buf *list, const char *name, size_t len)
{
    if ((list->len > 0 && buf_append(list, ",", 1) < 0) || buf_append(list, name, len) < 0)
        d->out_of_memory = true;
}

static void refuse_too_many(struct decode *d, const json_t *value, size_t n)
{
    violation_add(violations(d), "too_long", PLACE("warm"), value,
                  json_pack("{s:s, s:i, s:I}", "field_type", "List", "max_length", MODULES_MAX,
                            "actual_length", (json_int_t)n),
                  "List should have at most %d items after validation, not %zu", MODULES_MAX, n);
}

static void decode_modules_list(struct decode *d, const json_t *value, struct buf *list)
{
    size_t n = json_array_size(value);
    if (n > MODULES_MAX) {
        refuse_too_many(d, value, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const struct place place = PLACE_ELEMENT("warm", (long)i);
        const json_t *element = json_array_get(value, i);
        struct json_slice s;
        if (field_string(&d->fields, place, element, &s) < 0)
            continue;
        if (is_module_name(s.data, s.len))
            append_module(d, list, s.data, s.len);
        else
            refuse_pattern(d, place, element, MODULE_PATTERN);
    }
}

/* "numpy, pandas" */
static void decode_modules_text(struct decode *d, const json_t *value, struct buf *list)
{
    struct json_slice s = json_lift_string(d->fields.lift, value, NULL);
    const char *at = s.data, *end = s.data + s.len;
    size_t n = 0;
    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma ? comma : end, *last = stop;
        while (at < last && (*at == ' ' || *at == '\t'))
            at++;
        while (last > at && (last[-1] == ' ' || last[-1] == '\t'))
            last--;
        if (last > at && !is_module_name(at, (size_t)(last - at))) {
            refuse_pattern(d, PLACE("warm"), value, MODULE_PATTERN);
            return;
        }
        if (last > at && ++n <= MODULES_MAX)
            append_module(d, list, at, (size_t)(last - at));
        at = stop + 1;
    }
    if (n > MODULES_MAX)
        refuse_too_many(d, value, n);
}

static void decode_warm(struct decode *d, const json_t *body)
{
    _cleanup_buf_ struct buf list = {0};
    const json_t *value = json_object_get(body, "warm");
    if (!value)
        return;
    if (json_is_null(value)) {
        d->out->wanted.learn = true;
        return;
    }
    if (json_is_array(value)) {
        decode_modules_list(d, value, &list);
    } else if (json_is_string(value)) {
        decode_modules_text(d, value, &list);
    } else {
        violation_add(violations(d), "list_type", PLACE("warm"), value, NULL,
                      "Input should be a valid list");
        return;
    }
    d->out->wanted.warm = keep(d, list.data ? list.data : "", list.len);
}

static void decode_network(struct decode *d, const json_t *body, const char *name, const char **ret)
{
    const json_t *value = field_optional(body, name);
    size_t index;
    if (value && field_choice(&d->fields, PLACE(name), value, network_names, &index) == 0)
        *ret = network_names[index];
}

static void decode_run_defaults(struct decode *d, const json_t *body)
{
    struct environment_wanted *w = &d->out->wanted;
    const json_t *timeout = field_optional(body, "timeout");
    const struct int_range range = {1, d->rules->timeout_max_s};
    struct run_limits limits = {0};
    int64_t seconds = 0;
    decode_network(d, body, "network", &w->network);
    decode_network(d, body, "build_network", &w->build_network);
    limits_decode(&d->fields, d->rules, body, false, &limits);
    if (timeout)
        field_int_in(&d->fields, PLACE("timeout"), timeout, range, &seconds);
    w->memory_mb = limits.memory_mb;
    w->cpu_milli = limits.cpu_milli;
    w->processes = limits.processes;
    w->workspace_mb = limits.workspace_mb;
    w->timeout_s = (uint64_t)seconds;
}

/* -- the models -- */

typedef void decode_model(struct decode *d, const json_t *body);

static void decode_created(struct decode *d, const json_t *body)
{
    struct environment_wanted *w = &d->out->wanted;
    decode_name(d, body);
    decode_optional(d, body, "description", DESCRIPTION_MAX, &w->description);
    decode_optional(d, body, "base_image", BASE_IMAGE_MAX, &w->base_image);
    decode_script(d, body);
    decode_optional(d, body, "python_version", PYTHON_VERSION_MAX, &w->python_version);
    decode_warm(d, body);
    decode_run_defaults(d, body);
}

static void decode_patched(struct decode *d, const json_t *body)
{
    static const char *const fixed[] = {"name", "base_image", "setup_script", "python_version"};
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        const json_t *value = json_object_get(body, fixed[i]);
        if (value)
            refuse_value(d, PLACE(fixed[i]), value,
                         "cannot be changed: delete the environment and create it anew");
    }
    decode_optional(d, body, "description", DESCRIPTION_MAX, &d->out->wanted.description);
    decode_warm(d, body);
    decode_run_defaults(d, body);
}

static bool is_image_name(const char *s, size_t len)
{
    static const char others[] = "._/:@-";
    for (size_t i = 0; i < len; i++) {
        char c = s[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && (i == 0 || !memchr(others, c, sizeof others - 1)))
            return false;
    }
    return len > 0 && len <= BASE_IMAGE_MAX;
}

static void decode_imported(struct decode *d, const json_t *body)
{
    const struct int_range range = {1, SPAWN_NUMBER - 1};
    const json_t *name = require(d, body, "name");
    struct json_slice s;
    if (name && field_string(&d->fields, PLACE("name"), name, &s) == 0) {
        if (is_image_name(s.data, s.len))
            d->out->image.name = keep(d, s.data, s.len);
        else
            refuse_pattern(d, PLACE("name"), name, IMAGE_PATTERN);
    }
    const json_t *input = require(d, body, "input");
    int64_t number;
    if (input && field_int_in(&d->fields, PLACE("input"), input, range, &number) == 0)
        d->out->image.input = (uint64_t)number;
}

static void decode_object(struct decode *d, const json_t *body, decode_model *model)
{
    if (json_is_object(body))
        model(d, body);
    else if (json_is_null(body))
        violation_add(violations(d), "missing", PLACE_BODY, NULL, NULL, "Field required");
    else
        violation_add(violations(d), "model_attributes_type", PLACE_BODY, body, NULL,
                      "Input should be a valid dictionary or object to extract fields from");
}

static void decode_body(struct decode *d, char *body, size_t len, decode_model *model)
{
    struct json_lift lift = {0};
    d->fields.lift = d->fields.violations.lift = &lift;
    if (len == 0)
        violation_add(violations(d), "missing", PLACE_BODY, NULL, NULL, "Field required");
    else if (json_lift_parse(body, len, JSON_LIFT_MIN, &lift) < 0)
        violation_add_unparsed(violations(d), &lift);
    else
        decode_object(d, lift.root, model);

    struct environment_request *out = d->out;
    out->verdict = ENVIRONMENT_REQUEST_VALID;
    if (violations_any(violations(d)))
        out->verdict = ENVIRONMENT_REQUEST_INVALID;
    if (d->out_of_memory || (out->verdict == ENVIRONMENT_REQUEST_INVALID &&
                             violations_write(violations(d), &out->answer) < 0))
        out->verdict = ENVIRONMENT_REQUEST_FAILED;
    violations_finish(violations(d));
    json_lift_finish(&lift);
}

void environment_request_decode(struct environment_request *ret, const struct request_rules *rules,
                                char *body, size_t len)
{
    struct decode d = {.rules = rules, .out = ret};
    *ret = (struct environment_request){0};
    decode_body(&d, body, len, decode_created);
}

void environment_patch_decode(struct environment_request *ret, const struct request_rules *rules,
                              char *body, size_t len)
{
    struct decode d = {.rules = rules, .out = ret};
    *ret = (struct environment_request){0};
    decode_body(&d, body, len, decode_patched);
}

void image_request_decode(struct environment_request *ret, char *body, size_t len)
{
    struct decode d = {.out = ret};
    *ret = (struct environment_request){0};
    decode_body(&d, body, len, decode_imported);
}

/* What was sent as this member, if it is a text that the service judges. */
static const char *sent_as(const struct environment_wanted *w, const char *name)
{
    const struct {
        const char *name, *text;
    } members[] = {
        {"setup_script", w->setup_script},     {"network", w->network},
        {"build_network", w->build_network},   {"base_image", w->base_image},
        {"python_version", w->python_version},
    };
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        if (strcmp(members[i].name, name) == 0)
            return members[i].text;
    }
    return NULL;
}

void environment_request_refuse(struct environment_request *q, const char *name, const char *words)
{
    struct decode d = {.out = q};
    const char *sent = name ? sent_as(&q->wanted, name) : NULL;
    json_t *value = sent ? json_string(sent) : NULL;
    refuse_value(&d, name ? PLACE(name) : PLACE_BODY, value, words);
    json_decref(value);
    buf_finish(&q->answer);
    q->verdict = violations_write(violations(&d), &q->answer) < 0 ? ENVIRONMENT_REQUEST_FAILED
                                                                  : ENVIRONMENT_REQUEST_INVALID;
    violations_finish(violations(&d));
}

void environment_request_finish(struct environment_request *q)
{
    for (size_t i = 0; i < q->ntexts; i++)
        free(q->texts[i]);
    buf_finish(&q->answer);
    *q = (struct environment_request){0};
}

/* execute_extras: the members of POST /execute that the predecessor does not know: language, stdin,
 * args, env, limits, files_mode, stream, fresh, network.
 *
 * Runs in the server, on the loop or on the thread pool; the body is hostile.  Must never give a
 * run what it may not have: what is beyond a ceiling is refused, not reduced. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/execute_decode.h"
#include "api/limits_decode.h"
#include "base/limits.h"
#include "engine/language.h"

#define LANGUAGES_MAX    32
#define ENV_NAME_MAX     255 /* bytes of a variable's name */
#define ENV_NAME_PATTERN "^[^=\\x00-\\x1f\\x7f]{1,255}$"

static struct violations *violations(struct decode *d)
{
    return &d->fields.violations;
}

/* A NUL-terminated copy of prefix + value; NULL (and noted) when out of memory. */
static char *copy_text(struct decode *d, const char *prefix, struct json_slice s)
{
    size_t n = strlen(prefix);
    char *copy = malloc(n + s.len + 1);
    if (!copy) {
        d->out_of_memory = true;
        return NULL;
    }
    memcpy(copy, prefix, n);
    memcpy(copy + n, s.data, s.len);
    copy[n + s.len] = '\0';
    return copy;
}

static void refuse_language(struct decode *d, const json_t *value)
{
    const char *names[LANGUAGES_MAX + 1] = {0};
    size_t n = 0, ignored;
    const struct language *l;
    for (size_t i = 0; (l = language_at(i)) && n < LANGUAGES_MAX; i++) {
        if (language_available(l))
            names[n++] = l->name;
    }
    /* The names are not what was sent, so this only adds the violation. */
    field_choice(&d->fields, PLACE("language"), value, names, &ignored);
}

static void decode_language(struct decode *d, const json_t *body)
{
    const json_t *value = field_optional(body, "language");
    const struct language *l = language_at(0);
    if (value) {
        l = NULL;
        if (json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value))
            l = language_find(json_string_value(value));
        if (!l || !language_available(l)) {
            refuse_language(d, value);
            return;
        }
    }
    d->spec->language = l;
}

static void decode_stdin(struct decode *d, const json_t *body)
{
    const json_t *value = field_optional(body, "stdin");
    struct json_slice s;
    if (!value || field_string(&d->fields, PLACE("stdin"), value, &s) < 0)
        return;
    if (s.len > LIMIT_STDIN) {
        violation_add(violations(d), "string_too_long", PLACE("stdin"), value,
                      json_pack("{s:i}", "max_length", (int)LIMIT_STDIN),
                      "String should have at most %u characters", LIMIT_STDIN);
        return;
    }
    d->stdin_text = s;
}

/* A string without NUL: arguments and environment cannot hold one. */
static int decode_c_string(struct decode *d, struct place place, const json_t *value,
                           struct json_slice *ret)
{
    if (field_string(&d->fields, place, value, ret) < 0)
        return -1;
    if (memchr(ret->data, '\0', ret->len)) {
        violation_add(violations(d), "value_error", place, value, json_pack("{s:{}}", "error"),
                      "Value error, must not contain NUL");
        return -1;
    }
    d->args_env_bytes += ret->len + 1;
    return 0;
}

/* Whether args and env still fit; adds the violation when they do not. */
static bool args_env_fit(struct decode *d, const char *name)
{
    if (d->args_env_bytes <= LIMIT_ARGS_ENV)
        return true;
    violation_add(violations(d), "value_error", PLACE(name), NULL, json_pack("{s:{}}", "error"),
                  "Value error, args and env together may have at most %u bytes", LIMIT_ARGS_ENV);
    return false;
}

static void decode_args(struct decode *d, const json_t *body)
{
    const json_t *value = field_optional(body, "args");
    if (!value)
        return;
    if (!json_is_array(value)) {
        violation_add(violations(d), "list_type", PLACE("args"), value, NULL,
                      "Input should be a valid list");
        return;
    }
    size_t n = json_array_size(value);
    d->spec->args = calloc(n + 1, sizeof *d->spec->args);
    if (!d->spec->args) {
        d->out_of_memory = true;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct json_slice s;
        if (decode_c_string(d, PLACE_ELEMENT("args", (long)i), json_array_get(value, i), &s) < 0)
            continue;
        if (!args_env_fit(d, "args"))
            return;
        d->spec->args[d->spec->nargs++] = copy_text(d, "", s);
    }
}

/* The kernel takes any name without '='.  Control characters are refused because nobody means them.
 */
static bool is_env_name(const char *name)
{
    size_t len = 0;
    for (; name[len]; len++) {
        unsigned char c = (unsigned char)name[len];
        if (c < 0x20 || c == 0x7F || c == '=')
            return false;
    }
    return len > 0 && len <= ENV_NAME_MAX;
}

/* "NAME=value" */
static char *make_env_entry(struct decode *d, const char *name, struct json_slice s)
{
    char prefix[ENV_NAME_MAX + 2];
    snprintf(prefix, sizeof prefix, "%s=", name);
    return copy_text(d, prefix, s);
}

static void decode_env_member(struct decode *d, const char *name, const json_t *value)
{
    struct json_slice s;
    if (!is_env_name(name)) {
        violation_add(violations(d), "string_pattern_mismatch", PLACE_KEY("env", name), NULL,
                      json_pack("{s:s}", "pattern", ENV_NAME_PATTERN),
                      "String should match pattern '%s'", ENV_NAME_PATTERN);
        return;
    }
    if (decode_c_string(d, PLACE_IN("env", name), value, &s) < 0)
        return;
    d->args_env_bytes += strlen(name) + 1;
    if (args_env_fit(d, "env"))
        d->spec->env[d->spec->nenv++] = make_env_entry(d, name, s);
}

static void decode_env(struct decode *d, const json_t *body)
{
    json_t *value = field_optional(body, "env");
    if (!value)
        return;
    if (!json_is_object(value)) {
        violation_add(violations(d), "dict_type", PLACE("env"), value, NULL,
                      "Input should be a valid dictionary");
        return;
    }
    d->spec->env = calloc(json_object_size(value) + 1, sizeof *d->spec->env);
    if (!d->spec->env) {
        d->out_of_memory = true;
        return;
    }
    for (void *i = json_object_iter(value); i; i = json_object_iter_next(value, i)) {
        const char *name = json_object_iter_key(i);
        json_t *member = json_object_iter_value(i);
        if (d->args_env_bytes > LIMIT_ARGS_ENV)
            return;
        decode_env_member(d, name, member);
    }
}

static void decode_modes(struct decode *d, const json_t *body)
{
    static const char *const files_modes[] = {"all", "changed", NULL};
    const json_t *mode = field_optional(body, "files_mode");
    const json_t *stream = field_optional(body, "stream");
    size_t index;
    if (mode && field_choice(&d->fields, PLACE("files_mode"), mode, files_modes, &index) == 0)
        d->spec->files_mode = (enum run_files_mode)index;
    if (stream)
        field_bool(&d->fields, PLACE("stream"), stream, &d->out->stream);
}

static void decode_place(struct decode *d, const json_t *body)
{
    const json_t *fresh = field_optional(body, "fresh");
    const json_t *network = field_optional(body, "network");
    size_t index;
    if (fresh)
        field_bool(&d->fields, PLACE("fresh"), fresh, &d->spec->fresh);
    if (network &&
        field_choice(&d->fields, PLACE("network"), network, network_names, &index) == 0) {
        d->spec->network = (uint32_t)index;
        d->spec->network_set = true;
    }
}

void decode_extras(struct decode *d, const json_t *body)
{
    decode_language(d, body);
    decode_stdin(d, body);
    decode_args(d, body);
    decode_env(d, body);
    limits_decode(&d->fields, d->rules, body, true, &d->spec->limits);
    decode_modes(d, body);
    decode_place(d, body);
}

/* execute_request: decoder of POST /execute: the predecessor's members and the order of checks.
 *
 * Runs in the server, on the loop for small bodies and on the thread pool for large ones; shares
 * nothing but the rules, which never change.  The body is hostile. */
#include "api/execute_request.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/environment_name.h"
#include "api/execute_decode.h"
#include "api/text.h"
#include "base/limits.h"
#include "base/str.h"
#include "engine/language.h"

static struct violations *violations(struct decode *d)
{
    return &d->fields.violations;
}

/* -- the predecessor's members -- */

void decode_code(struct decode *d, const json_t *body)
{
    const json_t *value = json_object_get(body, "code");
    if (!value)
        violation_add(violations(d), "missing", PLACE("code"), body, NULL, "Field required");
    else
        field_string(&d->fields, PLACE("code"), value, &d->code);
}

static void decode_timeout(struct decode *d, const json_t *body)
{
    const json_t *value = json_object_get(body, "timeout");
    const struct int_range range = {1, d->rules->timeout_model_max_s};
    int64_t seconds = 0;
    if (value)
        field_int_in(&d->fields, PLACE("timeout"), value, range, &seconds);
    d->spec->timeout_ms = (uint32_t)seconds * 1000;
}

static void decode_files(struct decode *d, const json_t *body)
{
    json_t *value = field_optional(body, "files");
    if (!value)
        return;
    if (!json_is_object(value)) {
        violation_add(violations(d), "dict_type", PLACE("files"), value, NULL,
                      "Input should be a valid dictionary");
        return;
    }
    if (json_object_size(value) > LIMIT_INPUT_FILES) {
        violation_add(violations(d), "too_long", PLACE("files"), NULL,
                      json_pack("{s:s, s:i, s:I}", "field_type", "Dictionary", "max_length",
                                LIMIT_INPUT_FILES, "actual_length",
                                (json_int_t)json_object_size(value)),
                      "Dictionary should have at most %d items after validation, not %zu",
                      LIMIT_INPUT_FILES, json_object_size(value));
        return;
    }
    struct json_slice ignored;
    for (void *i = json_object_iter(value); i; i = json_object_iter_next(value, i)) {
        const char *name = json_object_iter_key(i);
        json_t *content = json_object_iter_value(i);
        field_string(&d->fields, PLACE_IN("files", name), content, &ignored);
    }
    d->files = value;
}

static void decode_environment(struct decode *d, const json_t *body)
{
    const json_t *value = field_optional(body, "environment");
    if (value)
        field_string(&d->fields, PLACE("environment"), value, &d->environment);
}

static void decode_environment_required(struct decode *d, const json_t *body)
{
    const json_t *value = json_object_get(body, "environment");
    if (!value)
        violation_add(violations(d), "missing", PLACE("environment"), body, NULL, "Field required");
    else
        field_string(&d->fields, PLACE("environment"), value, &d->environment);
}

static void decode_members(struct decode *d, const json_t *body)
{
    decode_code(d, body);
    decode_timeout(d, body);
    decode_files(d, body);
    decode_environment(d, body);
    decode_extras(d, body);
}

static void decode_members_within(struct decode *d, const json_t *body)
{
    decode_code(d, body);
    decode_timeout(d, body);
    decode_files(d, body);
    decode_environment_required(d, body);
    decode_extras(d, body);
}

static void decode_object(struct decode *d, const json_t *body, decode_model *model)
{
    if (json_is_null(body)) {
        violation_add(violations(d), "missing", PLACE_BODY, NULL, NULL, "Field required");
        return;
    }
    if (!json_is_object(body)) {
        violation_add(violations(d), "model_attributes_type", PLACE_BODY, body, NULL,
                      "Input should be a valid dictionary or object to extract fields from");
        return;
    }
    model(d, body);
}

/* -- what is well-formed but still not to be run -- */

static enum request_verdict check_blank(struct decode *d)
{
    if (!text_is_blank(d->code.data, d->code.len))
        return REQUEST_RUN;
    buf_append_str(&d->out->answer, "代码不能为空 (code must not be blank)");
    return REQUEST_BAD;
}

enum request_verdict decode_check_length(struct decode *d)
{
    if (d->code.len > d->rules->code_chars_max &&
        utf8_count(d->code.data, d->code.len) > d->rules->code_chars_max) {
        buf_printf(&d->out->answer, "代码长度不能超过 %zu 字符 (code is limited to %zu characters)",
                   d->rules->code_chars_max, d->rules->code_chars_max);
        return REQUEST_BAD;
    }
    return REQUEST_RUN;
}

static enum request_verdict check_timeout(struct decode *d)
{
    if (d->spec->timeout_ms <= d->rules->timeout_max_s * 1000)
        return REQUEST_RUN;
    buf_printf(&d->out->answer, "超时时间不能超过 %u 秒 (timeout is limited to %u seconds)",
               (unsigned)d->rules->timeout_max_s, (unsigned)d->rules->timeout_max_s);
    return REQUEST_BAD;
}

/* Keeps the name.  One that no environment can have is unknown without asking. */
static enum request_verdict check_environment(struct decode *d)
{
    struct json_slice s = d->environment;
    struct execute_request *out = d->out;
    if (s.len == 0 ||
        (s.len == strlen(ENVIRONMENT_DEFAULT) && memcmp(s.data, ENVIRONMENT_DEFAULT, s.len) == 0))
        return REQUEST_RUN;
    if (!environment_name_is_valid(s.data, s.len))
        return execute_request_unknown(out, s.data, s.len) < 0 ? REQUEST_FAILED : REQUEST_REFUSED;
    out->environment = strndup(s.data, s.len);
    return out->environment ? REQUEST_RUN : REQUEST_FAILED;
}

/* The same where the name is required: the empty one is unknown. */
static enum request_verdict check_environment_within(struct decode *d)
{
    struct json_slice s = d->environment;
    if (s.len > 0 && environment_name_is_valid(s.data, s.len))
        return check_environment(d);
    return environment_append_unknown(&d->out->answer, s.data, s.len) < 0 ? REQUEST_FAILED
                                                                          : REQUEST_UNKNOWN;
}

int decode_own(struct decode *d, struct json_slice s, char **ret)
{
    uintptr_t at = (uintptr_t)s.data, arena = (uintptr_t)d->spec->arena;
    if (at >= arena && at - arena < d->spec->arena_len) {
        *ret = s.data;
        return 0;
    }
    *ret = malloc(s.len + 1);
    if (!*ret)
        return -1;
    memcpy(*ret, s.data, s.len);
    return 0;
}

enum request_verdict decode_fill_spec(struct decode *d)
{
    struct run_spec *spec = d->spec;
    const char *modules = d->rules->allowed_modules;
    spec->max_file_size = d->rules->file_max;
    if (*modules && !(spec->allowed_modules = strdup(modules)))
        return REQUEST_FAILED;
    if (decode_own(d, d->code, &spec->code) < 0)
        return REQUEST_FAILED;
    spec->code_len = d->code.len;
    if (d->stdin_text.len == 0)
        return REQUEST_RUN;
    if (decode_own(d, d->stdin_text, &spec->stdin_data) < 0)
        return REQUEST_FAILED;
    spec->stdin_len = d->stdin_text.len;
    return REQUEST_RUN;
}

static enum request_verdict set_policy(struct decode *d)
{
    d->spec->policy = d->spec->language->policy ? d->rules->policy : POLICY_OFF;
    return REQUEST_RUN;
}

static enum request_verdict judge(struct decode *d, decode_check *const *checks)
{
    if (d->out_of_memory)
        return REQUEST_FAILED;
    if (violations_any(violations(d)))
        return REQUEST_INVALID;
    d->out->language = d->spec->language;
    enum request_verdict verdict = REQUEST_RUN;
    for (; *checks && verdict == REQUEST_RUN; checks++)
        verdict = (*checks)(d);
    return verdict;
}

/* Parses the body into *lift and reads its members. */
static void decode_text(struct decode *d, struct decode_input input, struct json_lift *lift,
                        decode_model *model)
{
    if (input.len == 0) {
        violation_add(violations(d), "missing", PLACE_BODY, NULL, NULL, "Field required");
        return;
    }
    d->fields.lift = d->fields.violations.lift = lift;
    if (json_lift_parse(input.body, input.len, JSON_LIFT_MIN, lift) < 0)
        violation_add_unparsed(violations(d), lift);
    else
        decode_object(d, lift->root, model);
}

void decode_body(struct execute_request *ret, const struct request_rules *rules,
                 struct decode_input input, decode_model *model, decode_check *const *checks)
{
    struct json_lift lift = {0};
    *ret = (struct execute_request){.verdict = REQUEST_FAILED, .spec = run_spec_create()};
    if (!ret->spec) {
        free(input.body);
        return;
    }
    struct decode d = {.rules = rules, .out = ret, .spec = ret->spec};
    d.spec->arena = input.body;
    d.spec->arena_len = input.len;
    decode_text(&d, input, &lift, model);
    ret->verdict = judge(&d, checks);
    if (ret->verdict == REQUEST_INVALID && violations_write(violations(&d), &ret->answer) < 0)
        ret->verdict = REQUEST_FAILED;
    violations_finish(violations(&d));
    json_lift_finish(&lift);
    if (ret->verdict != REQUEST_RUN) {
        run_spec_destroy(ret->spec);
        ret->spec = NULL;
    }
}

/* In both the checks up to the environment's are the predecessor's, in its order. */
void execute_request_decode(struct execute_request *ret, const struct request_rules *rules,
                            char *body, size_t len)
{
    static decode_check *const checks[] = {
        check_blank, decode_check_length, check_timeout,        check_environment,
        set_policy,  decode_fill_spec,    decode_file_contents, NULL,
    };
    decode_body(ret, rules, (struct decode_input){body, len}, decode_members, checks);
}

void execute_request_decode_within(struct execute_request *ret, const struct request_rules *rules,
                                   char *body, size_t len)
{
    static decode_check *const checks[] = {
        check_blank, decode_check_length, check_timeout,        check_environment_within,
        set_policy,  decode_fill_spec,    decode_file_contents, NULL,
    };
    decode_body(ret, rules, (struct decode_input){body, len}, decode_members_within, checks);
}

int execute_request_unknown(struct execute_request *q, const char *name, size_t len)
{
    struct buf *text = &q->stderr_text;
    buf_finish(text);
    buf_finish(&q->answer);
    if (environment_append_quoted(text, name, len) < 0 ||
        buf_append_str(text, " 不存在或未就绪") < 0 ||
        buf_append_str(&q->answer, "环境执行错误: ") < 0 ||
        buf_append(&q->answer, text->data, text->len) < 0)
        return -1;
    return buf_append_str(&q->answer, " (environment not found or not ready)");
}

void execute_request_finish(struct execute_request *q)
{
    run_spec_destroy(q->spec);
    free(q->environment);
    buf_finish(&q->answer);
    buf_finish(&q->stderr_text);
    *q = (struct execute_request){0};
}

/* sources: src/api/session_request.c src/api/exec_request.c src/api/json_body.c
 * src/api/session_map.c src/api/session_path.c src/api/session_size.c src/api/limits_decode.c
 * src/api/fields.c src/api/violations.c src/api/json_lift.c src/api/json_scan.c src/api/text.c
 * src/engine/language.c src/base/buf.c src/base/str.c */
/* libs: jansson */
/* Fuzzes the decoders of what asks for sessions, and for programs and code in them: whatever comes,
 * what is handed on is terminated, within its bounds, and (variables, labels) JSON. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/exec_request.h"
#include "api/session_path.h"
#include "api/session_request.h"
#include "base/limits.h"
#include "engine/language.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct request_rules rules = {
    .code_chars_max = 100,
    .usual = {512, 1000, 64, 128, 4096},
    .max = {2048, 2000, 512, 1024, 65536},
    .session_timeout_s = 30,
    .session_timeout_max_s = 60,
    .session_bytes_max = 1 << 30,
};

static char *copy(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    CHECK(text);
    memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

static void check_map(const char *json, size_t max)
{
    if (!json)
        return;
    json_t *map = json_loads(json, 0, NULL);
    CHECK(json_is_object(map) && strlen(json) <= max);
    json_decref(map);
}

static void check_session(const uint8_t *data, size_t size)
{
    struct session_request q = {0};
    json_body_parse(&q.body, copy(data, size), size, true);
    session_request_decode(&q, &rules);
    if (json_body_is_valid(&q.body)) {
        check_map(q.wanted.env, LIMIT_SESSION_ENV);
        check_map(q.wanted.labels, LIMIT_SESSION_LABELS);
        CHECK(q.wanted.ttl_s >= -1 && q.wanted.idle_s >= -1 && q.wanted.idle_ttl_s >= -1);
        CHECK(q.wanted.limits.memory_mb <= rules.max.memory_mb);
    }
    session_request_finish(&q);
    q = (struct session_request){0};
    json_body_parse(&q.body, copy(data, size), size, false);
    session_change_decode(&q, &rules);
    session_request_finish(&q);
}

static void check_program(struct exec_request *q)
{
    const struct process_spec *spec = &q->program.spec;
    size_t bytes = 0;
    if (!json_body_is_valid(&q->body))
        return;
    CHECK(spec->argv && spec->argv[0] && *spec->argv[0] && q->program.name);
    for (size_t i = 0; spec->argv[i]; i++)
        bytes += strlen(spec->argv[i]);
    CHECK(bytes <= 3 * LIMIT_ARGS_ENV && spec->timeout_ms <= rules.session_timeout_max_s * 1000);
    for (size_t i = 0; q->program.env && q->program.env[i]; i++)
        CHECK(strchr(q->program.env[i], '=') > q->program.env[i]);
    CHECK(!spec->script || (spec->script[0] == '/' && !strstr(spec->script, "/../")));
    CHECK(q->output_max >= 1024 && q->output_max <= (size_t)rules.max.output_kb << 10);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct exec_request q = {0};
    for (size_t i = 0; language_at(i); i++)
        language_set_available(language_at(i), true);
    check_session(data, size);
    json_body_parse(&q.body, copy(data, size), size, false);
    exec_request_decode(&q, &rules);
    check_program(&q);
    exec_request_finish(&q);
    q = (struct exec_request){0};
    json_body_parse(&q.body, copy(data, size), size, false);
    exec_request_decode_code(&q, &rules, "0123456789abcdef");
    check_program(&q);
    exec_request_finish(&q);
    char *path = copy(data, size);
    const char *fault = session_path_fault(path);
    CHECK(fault || (*path != '/' && strlen(path) <= 4095));
    free(path);
    return 0;
}

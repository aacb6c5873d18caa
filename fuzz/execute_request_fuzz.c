/* sources: src/api/execute_request.c src/api/execute_extras.c src/api/execute_files.c
 * src/api/policy_request.c src/api/fields.c src/api/violations.c src/api/json_lift.c
 * src/api/json_scan.c src/api/file_name.c src/api/text.c src/api/rules.c src/api/limits_decode.c
 * src/api/environment_name.c src/engine/run.c src/base/base64.c src/base/buf.c src/base/err.c
 * src/base/str.c */
/* libs: jansson */
/* Fuzzes the decoders of POST /execute and POST /policy/check: whatever comes, the verdict fits
 * what is there with it, answers are JSON or text that can be told, and a run keeps within the
 * rules. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/environment_name.h"
#include "api/execute_request.h"
#include "api/file_name.h"
#include "api/policy_request.h"
#include "base/limits.h"
#include "base/str.h"
#include "engine/language.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct language python = {.name = "python", .main_file = "main.py", .policy = true};

const struct language *language_at(size_t i)
{
    return i == 0 ? &python : NULL;
}

const struct language *language_find(const char *name)
{
    return strcasecmp(name, "python") == 0 ? &python : NULL;
}

bool language_available(const struct language *l)
{
    return true;
}

static const struct request_rules rules = {
    .timeout_default_s = 30,
    .timeout_model_max_s = 300,
    .timeout_max_s = 200,
    .code_chars_max = 1000,
    .file_max = 1000,
    .usual = {512, 1000, 64, 128, 4096},
    .max = {2048, 2000, 512, 1024, 65536},
    .policy = POLICY_STANDARD,
    .allowed_modules = "os",
};

/* Reads every byte, so that ASan sees one that is not there. */
static void touch(const char *data, size_t len)
{
    volatile unsigned sum = 0;
    for (size_t i = 0; i < len; i++)
        sum += (unsigned char)data[i];
    (void)sum;
}

static void check_limits(const struct run_limits *l)
{
    CHECK(l->memory_mb <= rules.max.memory_mb);
    CHECK(l->cpu_milli <= rules.max.cpu_milli);
    CHECK(l->processes <= rules.max.processes);
    CHECK(l->workspace_mb <= rules.max.workspace_mb);
    CHECK(l->output_kb <= rules.max.output_kb);
}

static void check_run(const struct run_spec *spec)
{
    CHECK(spec->language && spec->code);
    CHECK(utf8_valid_prefix(spec->code, spec->code_len, NULL) == spec->code_len);
    CHECK(utf8_count(spec->code, spec->code_len) <= rules.code_chars_max);
    CHECK(spec->timeout_ms % 1000 == 0 && spec->timeout_ms <= rules.timeout_max_s * 1000);
    CHECK(spec->network <= 1);
    check_limits(&spec->limits);
    touch(spec->stdin_data, spec->stdin_len);
    for (size_t i = 0; i < spec->nfiles; i++) {
        const struct run_file *f = &spec->files[i];
        CHECK(!file_name_fault(f->name, strlen(f->name)) && f->len <= rules.file_max);
        CHECK(strcmp(f->name, spec->language->main_file) != 0);
        touch(f->data, f->len);
    }
    size_t bytes = 0;
    for (size_t i = 0; i < spec->nargs; i++)
        bytes += strlen(spec->args[i]);
    for (size_t i = 0; i < spec->nenv; i++) {
        bytes += strlen(spec->env[i]);
        CHECK(strchr(spec->env[i], '=') > spec->env[i]);
    }
    CHECK(bytes <= LIMIT_ARGS_ENV);
}

static void check_request(struct execute_request *q)
{
    CHECK((q->spec != NULL) == (q->verdict == REQUEST_RUN));
    CHECK(!q->environment || environment_name_is_valid(q->environment, strlen(q->environment)));
    CHECK((q->answer.len > 0) == (q->verdict != REQUEST_RUN && q->verdict != REQUEST_FAILED));
    if (q->verdict == REQUEST_RUN)
        check_run(q->spec);
    if (q->verdict == REQUEST_INVALID) {
        json_t *answer = json_loadb(q->answer.data, q->answer.len, JSON_ALLOW_NUL, NULL);
        CHECK(json_array_size(json_object_get(answer, "detail")) > 0);
        json_decref(answer);
    }
    execute_request_finish(q);
}

static char *exact_copy(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1);
    CHECK(copy);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct execute_request q;
    execute_request_decode(&q, &rules, exact_copy(data, size), size);
    check_request(&q);
    execute_request_decode_within(&q, &rules, exact_copy(data, size), size);
    check_request(&q);
    policy_request_decode(&q, &rules, exact_copy(data, size), size);
    check_request(&q);
    return 0;
}

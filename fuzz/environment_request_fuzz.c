/* sources: src/api/environment_request.c src/api/environment_answer.c src/api/environment_name.c
 * src/api/limits_decode.c src/api/log_request.c src/api/wait.c src/api/fields.c
 * src/api/violations.c src/api/json_lift.c src/api/json_scan.c src/api/put.c src/api/text.c
 * src/base/buf.c src/base/clock.c src/base/str.c */
/* libs: jansson */
/* Fuzzes the decoders of what asks for environments and images, of the query of a log, of a wish to
 * wait, and the encoder of what a build says about packages: whatever comes, what is handed on
 * keeps the rules, and answers are JSON. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/environment_answer.h"
#include "api/environment_name.h"
#include "api/environment_request.h"
#include "api/log_request.h"
#include "api/wait.h"
#include "base/str.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct request_rules rules = {
    .timeout_max_s = 200,
    .max = {2048, 2000, 512, 1024, 65536},
};

static void check_text(const char *text, size_t max)
{
    if (text) {
        CHECK(utf8_valid_prefix(text, strlen(text), NULL) == strlen(text));
        CHECK(utf8_count(text, strlen(text)) <= max);
    }
}

static void check_wanted(const struct environment_wanted *w)
{
    CHECK(!w->name || environment_name_is_valid(w->name, strlen(w->name)));
    check_text(w->description, 200);
    check_text(w->base_image, 255);
    check_text(w->python_version, 50);
    check_text(w->setup_script, 10000);
    check_text(w->warm, 64 * 129);
    CHECK(w->memory_mb <= rules.max.memory_mb && w->cpu_milli <= rules.max.cpu_milli);
    CHECK(w->processes <= rules.max.processes && w->workspace_mb <= rules.max.workspace_mb);
    CHECK(w->timeout_s <= rules.timeout_max_s);
}

static void check_json(const struct buf *text)
{
    json_t *value = json_loadb(text->data, text->len, JSON_ALLOW_NUL, NULL);
    CHECK(json_is_object(value));
    json_decref(value);
}

static void check_request(struct environment_request *q)
{
    CHECK((q->answer.len > 0) == (q->verdict == ENVIRONMENT_REQUEST_INVALID));
    if (q->verdict == ENVIRONMENT_REQUEST_INVALID)
        check_json(&q->answer);
    if (q->verdict == ENVIRONMENT_REQUEST_VALID) {
        check_wanted(&q->wanted);
        environment_request_refuse(q, "setup_script", "no");
        check_json(&q->answer);
    }
    environment_request_finish(q);
}

static char *exact_copy(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1);
    CHECK(copy);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

static void decode_all(const uint8_t *data, size_t size)
{
    struct environment_request q;
    char *body = exact_copy(data, size);
    environment_request_decode(&q, &rules, body, size);
    CHECK(q.verdict != ENVIRONMENT_REQUEST_VALID || (q.wanted.name && q.wanted.setup_script));
    check_request(&q);
    free(body);
    body = exact_copy(data, size);
    environment_patch_decode(&q, &rules, body, size);
    check_request(&q);
    free(body);
    body = exact_copy(data, size);
    image_request_decode(&q, body, size);
    CHECK(q.verdict != ENVIRONMENT_REQUEST_VALID || (q.image.name && q.image.input > 0));
    check_request(&q);
    free(body);
}

static void encode_packages(const char *text)
{
    struct buf out = {0};
    CHECK(environment_append_packages(&out, text) == 0);
    check_json(&out);
    buf_finish(&out);
}

static void read_texts(const char *text, size_t len)
{
    struct log_request request;
    struct wait_wish wish;
    const char *fault;
    const struct log_query query = {.tail = text, .offset = text, .last_event_id = text};
    log_request_parse(&query, &request, &fault);
    wait_parse(NULL, text, &wish);
    CHECK(wish.ms <= WAIT_LONG_MS && strlen(wish.applied) < sizeof wish.applied);
    for (uint64_t n = 0; n < 4; n++) {
        uint64_t lines = n;
        CHECK(log_find_tail(text, len, 1, &lines) <= len && lines <= n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode_all(data, size);
    char *text = malloc(size + 1);
    CHECK(text);
    memcpy(text, size ? (const char *)data : "", size);
    text[size] = '\0';
    encode_packages(text);
    read_texts(text, size);
    free(text);
    return 0;
}

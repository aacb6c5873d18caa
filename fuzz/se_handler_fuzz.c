/* sources: src/api/se_handler_request.c src/api/se_handler_answer.c src/api/outcome.c
 * src/api/fields.c src/api/violations.c src/api/json_lift.c src/api/json_scan.c src/api/text.c
 * src/base/buf.c src/base/err.c src/base/str.c */
/* libs: jansson */
/* Fuzzes the decoder of handler requests and the reader of what such a run left: whatever comes,
 * timeouts keep their bounds and the answer is JSON. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/se_handler_answer.h"
#include "api/se_handler_request.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct handler_timeouts timeouts = {300, 3600};
static const struct handler_facts facts = {1500, 256};

static char *exact_copy(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1);
    CHECK(copy);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

/* Huge reals and integers, which jansson refuses, may be in a result. */
static void check_answer(char *bytes, size_t size)
{
    struct run_output_file file = {(char *)HANDLER_RESULT, bytes, size};
    struct run_result r = {.outcome = RUN_EXITED, .files = &file, .nfiles = 1};
    struct buf out = {0};
    json_error_t error;
    r.out = (struct buf){.data = bytes, .len = size};
    CHECK(handler_answer_write(&out, &r, &facts) == 0);
    json_t *root = json_loadb(out.data, out.len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
    CHECK(root || json_error_code(&error) == json_error_numeric_overflow ||
          json_error_code(&error) == json_error_null_byte_in_key);
    json_decref(root);
    buf_finish(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct handler_request q;
    handler_request_decode(&q, &timeouts, exact_copy(data, size), size);
    CHECK(q.timeout_ms >= 1 && q.timeout_ms <= timeouts.max_s * 1000);
    CHECK(q.input_len == size && memcmp(q.input, data, size) == 0);
    CHECK((q.answer.len > 0) == (q.verdict == HANDLER_INVALID));
    handler_request_finish(&q);
    char *copy = exact_copy(data, size);
    check_answer(copy, size);
    free(copy);
    return 0;
}

/* sources: src/wire/frame.c src/base/err.c */
/* longest: 65536 */
/* share: 3 */
/* Fuzzes frame: whatever is taken for a frame lies within the input and has its fixed part, more
 * bytes never change what was read, and the strings of a job are strings of it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/frame.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_strings(const struct frame *f)
{
    const char *strings[32];
    size_t total = 0;
    int n = frame_job_strings(f, strings, 32);

    CHECK(n == -1 || n >= FRAME_JOB_FIXED_STRINGS);
    CHECK(n <= 32);
    for (int i = 0; i < n; i++) {
        CHECK(strings[i] == f->rest + total);
        total += strlen(strings[i]) + 1;
    }
    CHECK(n == -1 || total == f->rest_len);
}

static void check_frame(const struct frame *f, const char *data, size_t used)
{
    char header[FRAME_HEADER];

    CHECK(f->len <= FRAME_PAYLOAD_MAX && used == FRAME_HEADER + f->len);
    CHECK(f->payload == data + FRAME_HEADER);
    CHECK(f->rest_len <= f->len && f->rest + f->rest_len == data + used);
    CHECK(memcmp(&f->job, f->payload, f->len - f->rest_len) == 0);
    frame_header(header, f->type, f->len);
    CHECK(memcmp(header, data, sizeof header) == 0);
    if (f->type == FRAME_SKIPPED)
        frame_skip_text(f->skipped.reason);
    if (f->type == FRAME_JOB)
        check_strings(f);
}

/* Parses every prefix: it asks for more, until one and the same answer holds for all longer ones.
 */
static void check_prefixes(const char *data, size_t size, long whole)
{
    size_t step = size > 512 ? size / 512 : 1;

    for (size_t len = 0; len < size; len += step) {
        char *prefix = malloc(len + 1); /* of its own, so that ASan sees a byte too many */
        struct frame f;
        long n;

        CHECK(prefix != NULL);
        memcpy(prefix, data, len);
        n = frame_parse(prefix, len, &f, NULL);
        CHECK(n == (whole > 0 && len < (size_t)whole ? 0 : len < FRAME_HEADER ? 0 : whole));
        free(prefix);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data;
    size_t left = size;
    struct frame f;
    long n;

    n = frame_parse(at, left, &f, NULL);
    check_prefixes(at, size, n);
    while (n > 0) {
        CHECK((size_t)n <= left);
        check_frame(&f, at, (size_t)n);
        at += n;
        left -= (size_t)n;
        n = frame_parse(at, left, &f, NULL);
    }
    CHECK(n == 0 || n == -1);
    return 0;
}

/* sources: src/engine/reader.c src/engine/run.c src/wire/frame.c src/base/err.c src/base/buf.c
 * src/base/str.c */
/* share: 3 */
/* Fuzzes the reader: whatever a sandbox says, and in whatever pieces it comes, the result stays
 * within its bounds, owns what it names, and is the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "engine/reader.h"

#define MAX_FILE (64u << 10)

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
    bool incomplete;

    CHECK(text == NULL || utf8_valid_prefix(text, strlen(text), &incomplete) == strlen(text));
}

static void check_result(const struct reader *r)
{
    const struct run_result *result = r->result;
    uint64_t total = 0;

    CHECK(result->nfiles <= LIMIT_OUTPUT_FILES && result->nskipped <= LIMIT_SKIPPED_FILES);
    for (size_t i = 0; i < result->nfiles; i++) {
        const struct run_output_file *file = &result->files[i];

        CHECK(file->len <= MAX_FILE && file->name[0] != '\0');
        CHECK(strlen(file->name) <= LIMIT_FILE_PATH);
        check_text(file->name);
        total += file->len;
    }
    CHECK(total <= LIMIT_OUTPUT_BYTES);
    for (size_t i = 0; i < result->nskipped; i++) {
        check_text(result->skipped[i].name);
        CHECK(result->skipped[i].reason != NULL);
    }
    CHECK(result->modules == NULL || strlen(result->modules) <= FRAME_MODULES_MAX);
    check_text(result->modules);
    check_text(result->message);
    check_text(result->bad_file);
}

/* Feeds pieces of `step` bytes; how many files came, or -1 when it was refused. */
static long feed(const uint8_t *data, size_t size, size_t step)
{
    struct run_result result = {.outcome = RUN_EXITED};
    struct reader *r = calloc(1, sizeof *r);
    long n = 0;

    CHECK(r != NULL);
    r->result = &result;
    r->max_file_size = MAX_FILE;
    for (size_t at = 0; at < size && n == 0; at += step) {
        size_t len = size - at < step ? size - at : step;
        char *piece = malloc(len); /* of exact size, so that reading beyond it is seen */

        CHECK(piece != NULL);
        memcpy(piece, data + at, len);
        n = reader_feed(r, piece, len, NULL);
        free(piece);
    }
    if (n == 0) {
        check_result(r);
        n = (long)result.nfiles;
    }
    run_result_finish(&result);
    free(r);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    long whole = feed(data, size, size + 1);

    CHECK(feed(data, size, 7) == whole);
    return 0;
}

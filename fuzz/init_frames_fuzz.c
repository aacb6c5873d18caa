/* sources: src/engine/reader.c src/engine/run.c src/wire/frame.c src/base/str.c src/base/buf.c
 * src/base/err.c */
/* longest: 16384 */
/* share: 4 */
/* Fuzzes reader: whatever a sandbox says, in whatever pieces, the result stays within its bounds,
 * is the same as if it had come in one piece, and leaves no memory behind.
 *
 * The first byte chooses the size of the pieces, the second the largest file and whether there is a
 * job; the rest is what the sandbox says. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "engine/reader.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    struct reader reader;
    struct run_result result;
    struct err e;
    int returned;
};

static void decode(struct outcome *o, const char *data, size_t size, size_t piece)
{
    for (size_t at = 0; at < size && o->returned == 0; at += piece) {
        size_t left = size - at, len = left < piece ? left : piece;
        char *copy = malloc(len);

        CHECK(copy != NULL);
        memcpy(copy, data + at, len);
        o->returned = reader_feed(&o->reader, copy, len, &o->e);
        free(copy);
        CHECK(o->returned == 0 || (o->returned == -1 && o->e.code != ERR_NONE));
    }
}

static void begin(struct outcome *o, uint8_t choice)
{
    memset(o, 0, sizeof *o);
    o->reader.max_file_size = (size_t)1 << (choice % 28);
    if (choice < 0xe0) /* else the sandbox speaks before it has a job */
        o->reader.result = &o->result;
}

static void check_text(const char *text)
{
    size_t len = strlen(text);

    CHECK(utf8_valid_prefix(text, len, NULL) == len);
}

static void check_bounds(const struct outcome *o)
{
    const struct run_result *r = &o->result;
    uint64_t total = 0;

    CHECK(r->nfiles <= LIMIT_OUTPUT_FILES && r->nskipped <= LIMIT_SKIPPED_FILES);
    for (size_t i = 0; i < r->nfiles; i++) {
        if (r->files[i].name == NULL)
            continue;
        check_text(r->files[i].name);
        CHECK(strlen(r->files[i].name) <= LIMIT_FILE_PATH);
        CHECK(r->files[i].len <= o->reader.max_file_size);
        total += r->files[i].len;
    }
    CHECK(total <= LIMIT_OUTPUT_BYTES && total <= o->reader.files_bytes);
    CHECK(o->reader.files_bytes <= LIMIT_OUTPUT_BYTES);
    for (size_t i = 0; i < r->nskipped; i++) {
        check_text(r->skipped[i].name);
        CHECK(r->skipped[i].reason != NULL);
    }
    if (r->message != NULL)
        check_text(r->message);
    if (r->bad_file != NULL)
        check_text(r->bad_file);
    check_text(o->e.text);
    CHECK(o->reader.in_len < READER_FRAME_MAX);
}

static void check_same(const struct outcome *a, const struct outcome *b)
{
    const struct run_result *x = &a->result, *y = &b->result;

    CHECK(a->returned == b->returned && a->reader.phase == b->reader.phase);
    CHECK(strcmp(a->e.text, b->e.text) == 0);
    CHECK(x->outcome == y->outcome && x->exit_code == y->exit_code && x->signal == y->signal);
    CHECK(x->limits_hit == y->limits_hit && x->nskipped_unnamed == y->nskipped_unnamed);
    CHECK(x->nfiles == y->nfiles && x->nskipped == y->nskipped);
    CHECK((x->message == NULL) == (y->message == NULL));
    CHECK(x->message == NULL || strcmp(x->message, y->message) == 0);
    for (size_t i = 0; i < x->nfiles; i++) {
        CHECK(strcmp(x->files[i].name, y->files[i].name) == 0);
        CHECK(x->files[i].len == y->files[i].len);
        CHECK(memcmp(x->files[i].data, y->files[i].data, x->files[i].len) == 0);
    }
    for (size_t i = 0; i < x->nskipped; i++)
        CHECK(strcmp(x->skipped[i].name, y->skipped[i].name) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct outcome whole, pieces; /* large */
    const char *said = (const char *)data + 2;

    if (size < 3)
        return 0;
    begin(&whole, data[1]);
    begin(&pieces, data[1]);
    decode(&whole, said, size - 2, size - 2);
    decode(&pieces, said, size - 2, (size_t)data[0] + 1);
    check_bounds(&whole);
    check_bounds(&pieces);
    check_same(&whole, &pieces);
    run_result_finish(&whole.result);
    run_result_finish(&pieces.result);
    return 0;
}

/* sources: src/wire/session_file.c src/base/err.c */
/* share: 3 */
/* Fuzzes the answers to a call on files: what is taken for a frame lies within the input, begins
 * with its fixed part, and is read the same whatever follows it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/session_file.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_message(const struct file_message *m, const char *at, size_t used)
{
    size_t fixed = file_fixed_size(m->type);
    char header[FILE_HEADER];

    CHECK(fixed > 0 && used <= FILE_HEADER + FILE_PAYLOAD_MAX);
    CHECK(m->text == at + FILE_HEADER + fixed && m->text + m->text_len == at + used);
    CHECK(memcmp(&m->info, at + FILE_HEADER, fixed) == 0);
    file_header(header, m->type, fixed + m->text_len);
    CHECK(memcmp(header, at, sizeof header) == 0);
}

/* In a buffer of its own, so that ASan sees a byte read too many. */
static void check_alone(const char *at, size_t used)
{
    struct file_message m;
    char *alone = malloc(used);

    CHECK(alone != NULL);
    memcpy(alone, at, used);
    CHECK(file_parse(alone, used, &m, NULL) == (long)used);
    CHECK(file_parse(alone, used - 1, &m, NULL) == 0);
    free(alone);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data;
    struct file_message m;
    size_t left = size;
    struct err e;
    long n;

    while ((n = file_parse(at, left, &m, &e)) > 0) {
        CHECK((size_t)n <= left);
        check_message(&m, at, (size_t)n);
        check_alone(at, (size_t)n);
        at += n;
        left -= (size_t)n;
    }
    CHECK(n == 0 || (n == -1 && e.code == ERR_INVALID));
    return 0;
}

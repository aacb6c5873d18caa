/* sources: src/service/fetch_stream.c src/base/err.c src/base/str.c src/base/buf.c */
/* libs: jansson */
/* Fuzzes what the program that fetches a file prints: the bytes of the file lie within the input
 * and are no more than allowed, texts end, and it does not matter in which pieces it all came. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "service/fetch_stream.h"

#define FILE_MAX 5000

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sum {
    uint64_t bytes, hash;
    int failed, phase;
};

static void feed(struct sum *sum, const uint8_t *data, size_t size, size_t step)
{
    static struct fetch_stream s;

    memset(&s, 0, sizeof s);
    s.max = FILE_MAX;
    for (size_t at = 0; at < size && !sum->failed;) {
        size_t len = size - at < step ? size - at : step, n;
        char *input = malloc(len); /* of exact size, so that reading beyond it is seen */
        const char *bytes;
        long used;

        CHECK(input != NULL);
        memcpy(input, data + at, len);
        used = fetch_stream_take(&s, input, len, &bytes, &n, NULL);
        sum->failed = used < 0;
        if (used >= 0) {
            CHECK(used > 0 && (size_t)used <= len);
            CHECK(n == 0 || (bytes >= input && bytes + n <= input + used));
            for (size_t i = 0; i < n; i++)
                sum->hash = sum->hash * 31 + (unsigned char)bytes[i];
            sum->bytes += n;
            at += (size_t)used;
        }
        free(input);
    }
    CHECK(sum->bytes == s.total && s.total <= FILE_MAX);
    CHECK(memchr(s.facts.error, '\0', sizeof s.facts.error) != NULL &&
          memchr(s.facts.name, '\0', sizeof s.facts.name) != NULL &&
          memchr(s.facts.rev, '\0', sizeof s.facts.rev) != NULL);
    sum->phase = s.phase;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sum whole = {0}, pieces = {0};

    feed(&whole, data, size, size + 1);
    feed(&pieces, data, size, 7);
    /* A fault may be seen later when it comes in pieces, but is seen. */
    CHECK(whole.failed == pieces.failed);
    CHECK(whole.failed || (whole.bytes == pieces.bytes && whole.hash == pieces.hash &&
                           whole.phase == pieces.phase));
    return 0;
}

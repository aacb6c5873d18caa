/* sources: src/base/base64.c src/base/buf.c src/base/err.c */
/* Fuzzes base64: encoding and decoding are inverse, in place and in pieces, and what is accepted is
 * the one encoding of its bytes but for white space. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy in a block of exactly its size, so that ASan sees every byte too many. */
static void *exact_copy(const void *data, size_t size)
{
    void *copy = malloc(size ? size : 1);
    CHECK(copy);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

static size_t strip_space(const uint8_t *data, size_t size, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++)
        if (data[i] == 0 || !strchr(" \t\n\v\f\r", data[i]))
            out[n++] = (char)data[i];
    return n;
}

static void check_accepted(const uint8_t *data, size_t size, const unsigned char *plain, size_t len)
{
    _cleanup_buf_ struct buf again = {0};
    CHECK(base64_append(&again, plain, len) == 0);
    char *bare = exact_copy(data, size);
    size_t bare_len = strip_space(data, size, bare);
    CHECK(again.len == bare_len);
    CHECK(bare_len == 0 || memcmp(again.data, bare, bare_len) == 0);
    free(bare);
}

static void fuzz_decode(const uint8_t *data, size_t size)
{
    char *in = exact_copy(data, size);
    size_t room = base64_decoded_max(size);
    unsigned char *out = malloc(room ? room : 1);
    CHECK(out);
    struct err e = {0};
    size_t len = 0, in_place_len = 0;
    int result = base64_decode(in, size, out, &len, &e);
    CHECK(result == 0 || (e.code == ERR_INVALID && e.text[0]));
    if (result == 0) {
        CHECK(len <= room);
        check_accepted(data, size, out, len);
    }
    CHECK(base64_decode(in, size, (unsigned char *)in, &in_place_len, &e) == result);
    CHECK(result < 0 || (in_place_len == len && memcmp(in, out, len) == 0));
    free(out);
    free(in);
}

/* The first byte chooses the size of the pieces. */
static void fuzz_encode(const uint8_t *data, size_t size)
{
    _cleanup_buf_ struct buf whole = {0};
    CHECK(base64_append(&whole, data, size) == 0);
    CHECK(whole.len == base64_encoded_size(size));

    size_t piece = size > 0 ? data[0] % 17 + 1 : 1;
    char *pieces = malloc(whole.len + 4);
    CHECK(pieces);
    struct base64_encoder enc = {0};
    size_t n = 0;
    for (size_t at = 0; at < size; at += piece) {
        size_t part = size - at < piece ? size - at : piece;
        size_t wrote = base64_encode_update(&enc, data + at, part, pieces + n);
        CHECK(wrote <= base64_encoded_size(part + 2));
        n += wrote;
    }
    n += base64_encode_end(&enc, pieces + n);
    CHECK(n == whole.len && (n == 0 || memcmp(pieces, whole.data, n) == 0));

    size_t len = 0;
    CHECK(base64_decode(pieces, n, (unsigned char *)pieces, &len, NULL) == 0);
    CHECK(len == size && (size == 0 || memcmp(pieces, data, size) == 0));
    free(pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_decode(data, size);
    fuzz_encode(data, size);
    return 0;
}

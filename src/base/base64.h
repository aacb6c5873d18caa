/* base64: the standard alphabet (RFC 4648 section 4), strictly. */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* Bytes that decoding `len` characters can give at most. */
static inline size_t base64_decoded_max(size_t len)
{
    return len / 4 * 3;
}

/* Bytes that encoding `len` bytes gives, padding included. */
static inline size_t base64_encoded_size(size_t len)
{
    return len / 3 * 4 + (len % 3 ? 4 : 0);
}

/* Decodes `len` characters into out, which has room for base64_decoded_max(len) bytes and may be
 * `in` itself.  ASCII white space is skipped wherever it stands, since predecessor clients send
 * line breaks; any other foreign character, missing or surplus padding and non-zero bits under the
 * padding are refused, so that each accepted text is the one encoding of its bytes.  0, or -1 with
 * ERR_INVALID and a text that says which of them and where (out is garbage then). */
int base64_decode(const char *in, size_t len, unsigned char *out, size_t *ret_len, struct err *e);

/* An encoder for data that comes in pieces.  Start from {0}. */
struct base64_encoder {
    unsigned char held[2]; /* bytes that do not make a group of three yet */
    unsigned n;
};

/* Encodes a piece; out has room for base64_encoded_size(len + 2) bytes.  Returns how many were
 * written. */
size_t base64_encode_update(struct base64_encoder *enc, const void *in, size_t len, char *out);
/* Writes what is held back, with padding (at most 4 bytes), and resets the encoder. */
size_t base64_encode_end(struct base64_encoder *enc, char out[static 4]);

/* Appends the encoding of all of `in`.  0, or -1 as buf_reserve. */
int base64_append(struct buf *b, const void *in, size_t len);

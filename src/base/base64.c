/* base64: strict codec.  Runs in the server and the command line on hostile text of many megabytes:
 * one table look-up a character, no allocation.  Never writes more than the header promises. */
#include "base/base64.h"

#include <stdint.h>

enum { SPACE = 0x40, PAD = 0x41, FOREIGN = 0xFF };

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#define F FOREIGN
#define S SPACE
/* Value of each byte: 0 to 63, SPACE, PAD or FOREIGN. */
/* clang-format off */
static const uint8_t value_of[256] = {
    F, F, F, F, F, F, F, F, F, S, S, S, S, S, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F,
    S, F, F, F, F, F, F, F, F, F, F, 62, F, F, F, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, F, F, F, PAD, F, F,
    F, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, F, F, F, F, F,
    F, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, F, F, F, F, F,
    F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F,
    F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F,
    F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F,
    F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F,
};
/* clang-format on */
#undef F
#undef S

/* The slow path's state: characters of the group being collected. */
struct group {
    uint32_t bits;
    unsigned chars, pads;
};

static int refuse_padding(size_t at, struct err *e)
{
    return err_set(e, ERR_INVALID, 0, "not base64: wrong padding at offset %zu", at);
}

/* Takes one character into the group. */
static int take_char(struct group *g, unsigned char c, size_t at, struct err *e)
{
    uint8_t v = value_of[c];
    if (v == SPACE)
        return 0;
    if (v == FOREIGN)
        return err_set(e, ERR_INVALID, 0, "not base64: foreign character 0x%02x at offset %zu", c,
                       at);
    if (v == PAD) {
        if (g->chars < 2 || g->chars + g->pads >= 4)
            return refuse_padding(at, e);
        g->pads++;
        return 0;
    }
    if (g->pads > 0)
        return refuse_padding(at, e);
    g->bits = g->bits << 6 | v;
    g->chars++;
    return 0;
}

static unsigned char *put_group(struct group *g, unsigned char *out)
{
    out[0] = (unsigned char)(g->bits >> 16);
    out[1] = (unsigned char)(g->bits >> 8);
    out[2] = (unsigned char)g->bits;
    *g = (struct group){0};
    return out + 3;
}

/* Writes the last, padded group. */
static int put_last(const struct group *g, unsigned char **out, size_t at, struct err *e)
{
    if (g->chars == 0)
        return 0;
    if (g->chars + g->pads != 4)
        return refuse_padding(at, e);
    unsigned spare = g->chars == 2 ? 4 : 2;
    if (g->bits & ((1u << spare) - 1))
        return refuse_padding(at, e);
    uint32_t bits = g->bits >> spare;
    if (g->chars == 3)
        *(*out)++ = (unsigned char)(bits >> 8);
    *(*out)++ = (unsigned char)bits;
    return 0;
}

/* Decodes whole groups without surprises; returns how many characters were taken.  Each output byte
 * lies before the input still to be read, so both may be the same memory. */
static size_t decode_groups(const unsigned char *s, size_t len, unsigned char *p)
{
    size_t at = 0;
    for (; len - at >= 4; at += 4, p += 3) {
        uint32_t a = value_of[s[at]], b = value_of[s[at + 1]];
        uint32_t c = value_of[s[at + 2]], d = value_of[s[at + 3]];
        if ((a | b | c | d) >= 64)
            break;
        uint32_t bits = a << 18 | b << 12 | c << 6 | d;
        p[0] = (unsigned char)(bits >> 16);
        p[1] = (unsigned char)(bits >> 8);
        p[2] = (unsigned char)bits;
    }
    return at;
}

int base64_decode(const char *in, size_t len, unsigned char *out, size_t *ret_len, struct err *e)
{
    const unsigned char *s = (const unsigned char *)in;
    unsigned char *p = out;
    struct group g = {0};
    size_t at = 0;
    while (at < len) {
        if (g.chars == 0 && g.pads == 0) {
            size_t taken = decode_groups(s + at, len - at, p);
            at += taken;
            p += taken / 4 * 3;
            if (at == len)
                break;
        }
        /* What is odd goes the slow way, one character at a time. */
        if (take_char(&g, s[at], at, e) < 0)
            return -1;
        at++;
        if (g.chars == 4)
            p = put_group(&g, p);
    }
    if (put_last(&g, &p, len, e) < 0)
        return -1;
    *ret_len = (size_t)(p - out);
    return 0;
}

static char *encode_group(const unsigned char in[static 3], char *out)
{
    uint32_t bits = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
    out[0] = alphabet[bits >> 18];
    out[1] = alphabet[bits >> 12 & 63];
    out[2] = alphabet[bits >> 6 & 63];
    out[3] = alphabet[bits & 63];
    return out + 4;
}

size_t base64_encode_update(struct base64_encoder *enc, const void *in, size_t len, char *out)
{
    const unsigned char *s = in;
    char *p = out;
    if (enc->n > 0 && enc->n + len >= 3) {
        unsigned char first[3] = {enc->held[0], enc->held[1], 0};
        for (unsigned i = enc->n; i < 3; i++, len--)
            first[i] = *s++;
        p = encode_group(first, p);
        enc->n = 0;
    }
    if (enc->n == 0) {
        for (; len >= 3; s += 3, len -= 3)
            p = encode_group(s, p);
    }
    for (; len > 0; len--)
        enc->held[enc->n++] = *s++;
    return (size_t)(p - out);
}

size_t base64_encode_end(struct base64_encoder *enc, char out[static 4])
{
    unsigned n = enc->n;
    if (n == 0)
        return 0;
    unsigned char last[3] = {enc->held[0], n == 2 ? enc->held[1] : 0, 0};
    encode_group(last, out);
    out[3] = '=';
    if (n == 1)
        out[2] = '=';
    *enc = (struct base64_encoder){0};
    return 4;
}

int base64_append(struct buf *b, const void *in, size_t len)
{
    if (len == 0)
        return 0;
    if (len > (SIZE_MAX - 4) / 4 * 3 || buf_reserve(b, base64_encoded_size(len)) < 0)
        return -1;
    struct base64_encoder enc = {0};
    b->len += base64_encode_update(&enc, in, len, b->data + b->len);
    char tail[4];
    return buf_append(b, tail, base64_encode_end(&enc, tail));
}

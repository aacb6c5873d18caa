/* str: checks, repairs and counts UTF-8.  Runs in the server and the command line; the text is
 * hostile (output of runs, names of files, bodies of requests).  Never reads beyond the length
 * given and never needs a NUL. */
#include "base/str.h"

#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD"

/* What table 3-7 of the Unicode standard permits after a lead byte: the number of continuation
 * bytes and the range of the first of them. */
struct lead {
    unsigned char more, low, high;
};

static struct lead classify(unsigned char c)
{
    if (c >= 0xC2 && c <= 0xDF)
        return (struct lead){1, 0x80, 0xBF};
    if (c >= 0xE0 && c <= 0xEF)
        return (struct lead){2, c == 0xE0 ? 0xA0 : 0x80, c == 0xED ? 0x9F : 0xBF};
    if (c >= 0xF0 && c <= 0xF4)
        return (struct lead){3, c == 0xF0 ? 0x90 : 0x80, c == 0xF4 ? 0x8F : 0xBF};
    return (struct lead){0, 0, 0};
}

/* Length of the character or of the maximal subpart of one at s[0]; *ret_valid says which. */
static size_t scan(const unsigned char *s, size_t len, bool *ret_valid, bool *ret_incomplete)
{
    *ret_incomplete = false;
    *ret_valid = s[0] < 0x80;
    if (*ret_valid)
        return 1;
    struct lead lead = classify(s[0]);
    if (lead.more == 0)
        return 1;
    size_t n = 1;
    while (n <= lead.more && n < len && s[n] >= lead.low && s[n] <= lead.high) {
        lead.low = 0x80;
        lead.high = 0xBF;
        n++;
    }
    *ret_valid = n == (size_t)lead.more + 1;
    *ret_incomplete = !*ret_valid && n == len;
    return n;
}

/* Length of the run of ASCII bytes at s, eight at a time while that is possible. */
static size_t ascii_run(const char *s, size_t len)
{
    size_t n = 0;
    uint64_t word;
    while (len - n >= sizeof word) {
        memcpy(&word, s + n, sizeof word);
        if (word & UINT64_C(0x8080808080808080))
            break;
        n += sizeof word;
    }
    while (n < len && (unsigned char)s[n] < 0x80)
        n++;
    return n;
}

size_t utf8_valid_prefix(const char *s, size_t len, bool *ret_incomplete)
{
    size_t pos = 0;
    bool valid = true, incomplete = false;
    while (pos < len) {
        pos += ascii_run(s + pos, len - pos);
        if (pos == len)
            break;
        size_t n = scan((const unsigned char *)s + pos, len - pos, &valid, &incomplete);
        if (!valid)
            break;
        pos += n;
    }
    if (ret_incomplete)
        *ret_incomplete = incomplete;
    return pos;
}

/* Length of what is at s: a character, or an ill-formed part. */
static size_t part_length(const char *s, size_t len)
{
    bool valid, incomplete;
    return scan((const unsigned char *)s, len, &valid, &incomplete);
}

int utf8_append(struct buf *b, const char *s, size_t len)
{
    size_t start = b->len;
    for (;;) {
        size_t good = utf8_valid_prefix(s, len, NULL);
        if (buf_append(b, s, good) < 0)
            goto undo;
        if (good == len)
            return 0;
        s += good;
        len -= good;
        if (buf_append_str(b, REPLACEMENT) < 0)
            goto undo;
        size_t bad = part_length(s, len);
        s += bad;
        len -= bad;
    }
undo:
    b->len = start;
    return -1;
}

size_t utf8_count(const char *s, size_t len)
{
    size_t count = 0, pos = 0;
    while (pos < len) {
        size_t run = ascii_run(s + pos, len - pos);
        count += run;
        pos += run;
        if (pos == len)
            break;
        pos += part_length(s + pos, len - pos);
        count++;
    }
    return count;
}

size_t utf8_decode(const char *s, size_t len, int32_t *ret_code)
{
    static const unsigned char lead_bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    const unsigned char *u = (const unsigned char *)s;
    bool valid, incomplete;
    size_t n = scan(u, len, &valid, &incomplete);
    *ret_code = -1;
    if (!valid)
        return n;
    int32_t code = u[0] & lead_bits[n];
    for (size_t i = 1; i < n; i++)
        code = code << 6 | (u[i] & 0x3F);
    *ret_code = code;
    return n;
}

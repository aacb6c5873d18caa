/* sources: src/base/str.c src/base/buf.c */
/* Fuzzes the UTF-8 helpers against a plain decoder written from the definition, and against each
 * other: what is repaired is valid, valid text is left alone, and the counts agree. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Length of the well-formed character at s, or 0: decode first, then judge the number. */
static size_t plain_char(const uint8_t *s, size_t len)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
    if (n == 0 || n > len)
        return 0;
    if (n == 1)
        return 1;
    uint32_t code = s[0] & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++) {
        if (s[i] >> 6 != 2)
            return 0;
        code = code << 6 | (s[i] & 0x3Fu);
    }
    bool good = code >= smallest[n] && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
    return good ? n : 0;
}

static size_t plain_prefix(const uint8_t *s, size_t len, size_t *ret_chars)
{
    size_t pos = 0, chars = 0;
    while (pos < len) {
        size_t n = plain_char(s + pos, len - pos);
        if (n == 0)
            break;
        pos += n;
        chars++;
    }
    *ret_chars = chars;
    return pos;
}

/* Whether some bytes behind s would make it well-formed: tried, not reasoned. */
static bool can_be_completed(const uint8_t *s, size_t len)
{
    if (len == 0 || len > 3)
        return false;
    static const uint8_t tries[] = {0x80, 0x90, 0xA0, 0xBF};
    for (size_t first = 0; first < sizeof tries; first++) {
        uint8_t text[4] = {0x80, 0x80, 0x80, 0x80};
        memcpy(text, s, len);
        text[len] = tries[first];
        size_t n = plain_char(text, sizeof text);
        if (n > len)
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1);
    CHECK(text);
    if (size > 0)
        memcpy(text, data, size);

    bool incomplete;
    size_t chars;
    size_t prefix = utf8_valid_prefix(text, size, &incomplete);
    CHECK(prefix == plain_prefix(data, size, &chars));
    CHECK(incomplete == can_be_completed(data + prefix, size - prefix));
    CHECK(utf8_count(text, prefix) == chars);

    _cleanup_buf_ struct buf repaired = {0};
    CHECK(utf8_append(&repaired, text, size) == 0);
    CHECK(utf8_valid_prefix(repaired.data, repaired.len, &incomplete) == repaired.len);
    CHECK(!incomplete);
    CHECK(repaired.len >= prefix && repaired.len <= size * 3);
    CHECK(prefix == 0 || memcmp(repaired.data, text, prefix) == 0);
    CHECK(prefix < size || repaired.len == size);
    CHECK(utf8_count(text, size) == utf8_count(repaired.data, repaired.len));

    size_t steps = 0;
    for (size_t pos = 0; pos < size; steps++) {
        int32_t code;
        size_t n = utf8_decode(text + pos, size - pos, &code);
        CHECK(n > 0 && n <= 4 && n <= size - pos);
        CHECK((code < 0) == (plain_char(data + pos, size - pos) == 0));
        pos += n;
    }
    CHECK(steps == utf8_count(text, size));
    free(text);
    return 0;
}

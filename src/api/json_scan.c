/* json_scan: a strict, iterative-in-memory check of JSON text.
 *
 * Runs in the server, on the loop or on its thread pool, over bytes straight from a client.  The
 * recursion is as deep as LIMIT_JSON_DEPTH and no deeper.  It never writes to the text. */
#include "api/json_scan.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"

struct cursor {
    const char *text;
    size_t len, at;
    unsigned depth;
    size_t values, values_max;
    struct json_literal member; /* the top-level name that was read last */
    size_t min_literal;
    size_t capacity; /* of out->literals */
    struct json_scan *out;
};

static int refuse(struct cursor *c, size_t at, const char *fault)
{
    c->out->fault = fault;
    c->out->fault_chars = utf8_count(c->text, at);
    return -1;
}

static void skip_space(struct cursor *c)
{
    while (c->at < c->len && memchr(" \t\n\r", c->text[c->at], 4))
        c->at++;
}

/* The next byte, or -1 at the end. */
static int peek(const struct cursor *c)
{
    return c->at < c->len ? (unsigned char)c->text[c->at] : -1;
}

static bool is_digit(int byte)
{
    return byte >= '0' && byte <= '9';
}

/* -- strings -- */

/* Reads four hexadecimal digits at `at`; -1 if they are not there. */
static int read_hex4(const struct cursor *c, size_t at)
{
    int value = 0;
    if (c->len - at < 4)
        return -1;
    for (size_t i = at; i < at + 4; i++) {
        int byte = (unsigned char)c->text[i];
        int digit = is_digit(byte)               ? byte - '0'
                    : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
                    : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
                                                 : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* A \uXXXX escape, or two that make a pair; c->at is on the backslash. */
static int scan_unicode_escape(struct cursor *c)
{
    size_t start = c->at;
    int high = read_hex4(c, start + 2);
    if (high < 0)
        return refuse(c, start + 1, "Invalid \\uXXXX escape");
    c->at += 6;
    if (high < 0xD800 || high > 0xDFFF)
        return 0;
    if (high > 0xDBFF || c->len - c->at < 6 || memcmp(c->text + c->at, "\\u", 2) != 0)
        return refuse(c, start, "Lone surrogate");
    int low = read_hex4(c, c->at + 2);
    if (low < 0xDC00 || low > 0xDFFF)
        return refuse(c, start, "Lone surrogate");
    c->at += 6;
    return 0;
}

static int scan_escape(struct cursor *c)
{
    if (c->len - c->at < 2)
        return 0; /* the end of the text is the caller's to refuse */
    int byte = (unsigned char)c->text[c->at + 1];
    if (byte == 'u')
        return scan_unicode_escape(c);
    if (byte == '\0' || !strchr("\"\\/bfnrt", byte))
        return refuse(c, c->at, "Invalid \\escape");
    c->at += 2;
    return 0;
}

/* Bytes that stand for themselves: no quote, backslash, control character, nor part of UTF-8. */
static bool is_plain(unsigned char byte)
{
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

/* Moves over a string, c->at being on its opening quote. */
static int scan_string(struct cursor *c, struct json_literal *ret)
{
    size_t quote = c->at++;
    *ret = (struct json_literal){.start = c->at};
    for (;;) {
        while (c->at < c->len && is_plain((unsigned char)c->text[c->at]))
            c->at++;
        int byte = peek(c);
        if (byte < 0 || (byte == '\\' && c->at + 1 == c->len))
            return refuse(c, quote, "Unterminated string starting at");
        if (byte == '"')
            break;
        if (byte < 0x20)
            return refuse(c, c->at, "Invalid control character at");
        if (byte == '\\') {
            ret->escaped = true;
            if (scan_escape(c) < 0)
                return -1;
            continue;
        }
        int32_t code;
        size_t n = utf8_decode(c->text + c->at, c->len - c->at, &code);
        if (code < 0)
            return refuse(c, c->at, "Invalid UTF-8");
        c->at += n;
    }
    ret->end = c->at++;
    return 0;
}

static int note_literal(struct cursor *c, const struct json_literal *literal)
{
    struct json_scan *out = c->out;
    if (out->nliterals == c->capacity) {
        size_t capacity = c->capacity ? 2 * c->capacity : 8;
        struct json_literal *grown = realloc(out->literals, capacity * sizeof *grown);
        if (!grown) {
            c->out->out_of_memory = true;
            return refuse(c, literal->start, "Out of memory");
        }
        out->literals = grown;
        c->capacity = capacity;
    }
    out->literals[out->nliterals++] = *literal;
    return 0;
}

static int scan_string_value(struct cursor *c)
{
    struct json_literal literal;
    if (scan_string(c, &literal) < 0)
        return -1;
    return literal.end - literal.start >= c->min_literal ? note_literal(c, &literal) : 0;
}

/* Whether a well-formed literal contains \u0000. */
static bool has_nul(const struct cursor *c, const struct json_literal *literal)
{
    const char *s = c->text + literal->start, *end = c->text + literal->end;
    while ((s = memchr(s, '\\', (size_t)(end - s)))) {
        if (end - s >= 6 && memcmp(s, "\\u0000", 6) == 0)
            return true;
        s += 2;
    }
    return false;
}

static int refuse_nul(struct cursor *c, size_t quote)
{
    const struct json_literal *member = &c->member;
    size_t n = c->depth > 1 ? member->end - member->start : 0;
    if (n < JSON_MEMBER_MAX)
        memcpy(c->out->fault_member, c->text + member->start, n);
    c->out->nul_in_name = true;
    return refuse(c, quote, "NUL in a name");
}

static int scan_name(struct cursor *c)
{
    size_t quote = c->at;
    struct json_literal literal;
    if (scan_string(c, &literal) < 0)
        return -1;
    if (literal.end - literal.start > JSON_NAME_MAX)
        return refuse(c, quote, "Name too long");
    if (literal.escaped && has_nul(c, &literal))
        return refuse_nul(c, quote);
    if (c->depth == 1)
        c->member = literal;
    return 0;
}

/* -- numbers and words -- */

static void skip_digits(struct cursor *c)
{
    while (is_digit(peek(c)))
        c->at++;
}

/* Moves over the longest number at c->at, as Python does: what follows it is judged by the caller.
 */
static int scan_number(struct cursor *c)
{
    size_t start = c->at;
    if (peek(c) == '-')
        c->at++;
    if (!is_digit(peek(c)))
        return refuse(c, start, "Expecting value");
    if (peek(c) == '0')
        c->at++;
    else
        skip_digits(c);
    if (peek(c) == '.' && c->at + 1 < c->len && is_digit((unsigned char)c->text[c->at + 1])) {
        c->at++;
        skip_digits(c);
    }
    size_t before_exponent = c->at;
    if (peek(c) == 'e' || peek(c) == 'E') {
        c->at++;
        if (peek(c) == '+' || peek(c) == '-')
            c->at++;
        if (is_digit(peek(c)))
            skip_digits(c);
        else
            c->at = before_exponent;
    }
    return c->at - start > JSON_NUMBER_MAX ? refuse(c, start, "Number too long") : 0;
}

static int scan_word(struct cursor *c)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t n = strlen(words[i]);
        if (c->len - c->at >= n && memcmp(c->text + c->at, words[i], n) == 0) {
            c->at += n;
            return 0;
        }
    }
    return refuse(c, c->at, "Expecting value");
}

/* -- values -- */

static int scan_value(struct cursor *c);

static int scan_member(struct cursor *c)
{
    if (peek(c) != '"')
        return refuse(c, c->at, "Expecting property name enclosed in double quotes");
    if (scan_name(c) < 0)
        return -1;
    skip_space(c);
    if (peek(c) != ':')
        return refuse(c, c->at, "Expecting ':' delimiter");
    c->at++;
    return scan_value(c);
}

/* Moves over an array or object: `open` is its first byte, at c->at. */
static int scan_container(struct cursor *c, int open)
{
    int close = open == '{' ? '}' : ']';
    if (++c->depth > LIMIT_JSON_DEPTH)
        return refuse(c, c->at, "Nested too deeply");
    c->at++;
    skip_space(c);
    if (peek(c) != close) {
        for (;;) {
            if ((open == '{' ? scan_member(c) : scan_value(c)) < 0)
                return -1;
            skip_space(c);
            if (peek(c) != ',')
                break;
            c->at++;
            skip_space(c);
        }
    }
    if (peek(c) != close)
        return refuse(c, c->at, "Expecting ',' delimiter");
    c->at++;
    c->depth--;
    return 0;
}

static int scan_value(struct cursor *c)
{
    skip_space(c);
    if (++c->values > c->values_max)
        return refuse(c, c->at, "Too many values");
    int byte = peek(c);
    if (byte == '"')
        return scan_string_value(c);
    if (byte == '{' || byte == '[')
        return scan_container(c, byte);
    if (byte == '-' || is_digit(byte))
        return scan_number(c);
    return scan_word(c);
}

static int scan_text(struct cursor *c)
{
    if (scan_value(c) < 0)
        return -1;
    skip_space(c);
    return c->at == c->len ? 0 : refuse(c, c->at, "Extra data");
}

int json_scan(const char *text, size_t len, size_t min_literal, struct json_scan *ret)
{
    *ret = (struct json_scan){0};
    struct cursor c = {
        .text = text,
        .len = len,
        .values_max = JSON_VALUES_MAX,
        .min_literal = min_literal,
        .out = ret,
    };
    return scan_text(&c);
}

bool json_is_valid(const char *text, size_t len)
{
    struct json_scan none = {0}; /* no literal is as long, so nothing is noted */
    struct cursor c = {
        .text = text,
        .len = len,
        .values_max = SIZE_MAX,
        .min_literal = SIZE_MAX,
        .out = &none,
    };
    return scan_text(&c) == 0;
}

void json_scan_finish(struct json_scan *scan)
{
    free(scan->literals);
    *scan = (struct json_scan){0};
}

/* text: Unicode white space and JSON escaping.  Runs in the server; the text is hostile and need
 * not be UTF-8.  Python's json.dumps(ensure_ascii=False) writes the same bytes for text that is. */
#include "api/text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define REPLACEMENT "\xEF\xBF\xBD"

/* str.isspace() of Python 3.11. */
static bool is_space(int32_t code)
{
    return (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x20) || code == 0x85 ||
           code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
           code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

bool text_is_blank(const char *s, size_t len)
{
    while (len > 0) {
        int32_t code;
        size_t n = utf8_decode(s, len, &code);
        if (!is_space(code))
            return false;
        s += n;
        len -= n;
    }
    return true;
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Writes what one character becomes and moves over it; at most TEXT_ESCAPED_MAX bytes. */
static size_t escape_one(struct text_escaper *t, char *out)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    unsigned char c = (unsigned char)*t->at;
    if (c < 0x80) {
        t->at++;
        const char *which = c ? strchr(from, c) : NULL;
        if (!which)
            return (size_t)snprintf(out, TEXT_ESCAPED_MAX + 1, "\\u%04x", c);
        out[0] = '\\';
        out[1] = to[which - from];
        return 2;
    }
    int32_t code;
    size_t n = utf8_decode(t->at, (size_t)(t->end - t->at), &code);
    const char *what = t->at;
    t->at += n;
    if (code < 0) {
        t->replaced = true;
        what = REPLACEMENT;
        n = sizeof REPLACEMENT - 1;
    }
    memcpy(out, what, n);
    return n;
}

size_t text_escape(struct text_escaper *t, char *out, size_t cap)
{
    size_t len = 0;
    while (t->at < t->end) {
        const char *start = t->at;
        const char *stop = (size_t)(t->end - start) > cap - len ? start + (cap - len) : t->end;
        while (t->at < stop && is_plain((unsigned char)*t->at))
            t->at++;
        memcpy(out + len, start, (size_t)(t->at - start));
        len += (size_t)(t->at - start);
        if (t->at == t->end || cap - len < TEXT_ESCAPED_MAX)
            break;
        char one[TEXT_ESCAPED_MAX + 1];
        size_t n = escape_one(t, one);
        memcpy(out + len, one, n);
        len += n;
    }
    return len;
}

int text_append_json(struct buf *b, const char *s, size_t len)
{
    /* An empty buffer has no data, and even nothing may not be added to a null pointer. */
    struct text_escaper t = {.at = s, .end = len > 0 ? s + len : s};
    if (buf_append(b, "\"", 1) < 0)
        return -1;
    while (t.at < t.end) {
        size_t room = (size_t)(t.end - t.at) + TEXT_ESCAPED_MAX;
        if (buf_reserve(b, room) < 0)
            return -1;
        b->len += text_escape(&t, b->data + b->len, room);
    }
    return buf_append(b, "\"", 1);
}

int text_append_json_str(struct buf *b, const char *s)
{
    return s ? text_append_json(b, s, strlen(s)) : buf_append_str(b, "null");
}

/* build_lines: makes hostile bytes into lines of text.
 *
 * Runs in the server.  What a script prints ends up on people's terminals (dunlin env logs): no
 * control character gets through, and escape sequences are taken out as a whole so that coloured
 * output stays legible. */
#include "service/build_lines.h"

#include <string.h>

#include "base/buf.h"
#include "base/str.h"

#define ESCAPE 0x1b
#define BELL   0x07
#define DELETE 0x7f

enum { OUTSIDE, AFTER_ESCAPE, IN_SEQUENCE, IN_STRING };

/* U+0080 to U+009F, which terminals obey as they do ESC, become blanks of the same length. */
static void blank_controls(char *text, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++) {
        if ((unsigned char)text[i] == 0xc2 && ((unsigned char)text[i + 1] & 0xe0) == 0x80)
            memset(text + i, ' ', 2);
    }
}

static void emit(struct build_lines *l)
{
    _cleanup_buf_ struct buf clean;
    size_t whole = l->len, valid;
    bool incomplete = false;

    blank_controls(l->text, l->len);
    buf_init(&clean, 0);
    valid = utf8_valid_prefix(l->text, l->len, &incomplete);
    /* A line that was cut must not end within a character: its beginning waits for the rest. */
    if (l->len == sizeof l->text && incomplete && valid > 0)
        whole = valid;
    if (valid >= whole)
        l->each(l->data, l->stream, l->text, whole);
    else if (utf8_append(&clean, l->text, whole) == 0)
        l->each(l->data, l->stream, clean.data, clean.len);
    memmove(l->text, l->text + whole, l->len - whole);
    l->len -= whole;
}

/* Whether the byte belongs to an escape sequence: ESC [ ... letter, ESC ] ... BEL, ESC x. */
static bool is_escape(struct build_lines *l, unsigned char c)
{
    int was = l->escape;

    if (c == ESCAPE) {
        l->escape = AFTER_ESCAPE;
        return true;
    }
    if (was == OUTSIDE)
        return false;
    if (c == '\n' || c == '\r') { /* whatever it was, it did not end */
        l->escape = OUTSIDE;
        return false;
    }
    if (was == AFTER_ESCAPE)
        l->escape = c == '[' ? IN_SEQUENCE : c == ']' ? IN_STRING : OUTSIDE;
    else if (was == IN_SEQUENCE ? c >= 0x40 && c < DELETE : c == BELL)
        l->escape = OUTSIDE;
    return true;
}

void build_lines_feed(struct build_lines *l, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];

        if (is_escape(l, c))
            continue;
        if (c == '\r') {
            l->returned = l->len > 0;
            if (l->returned)
                emit(l);
        } else if (c == '\n') {
            /* That of "\r\n" must not make a second, empty line. */
            if (!l->returned)
                emit(l);
            l->returned = false;
        } else if (c == '\t' || (c >= ' ' && c != DELETE)) {
            l->returned = false;
            if (l->len == sizeof l->text)
                emit(l);
            l->text[l->len++] = (char)c;
        }
    }
}

void build_lines_end(struct build_lines *l)
{
    if (l->len > 0)
        emit(l);
    l->escape = OUTSIDE;
}

/* err: fills and extends the flat error value.  Linked into every process, the static init
 * included.  Trusts its callers' format strings, nothing else; allocates nothing and keeps errno.
 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A text that was cut must not end inside a UTF-8 sequence: it becomes part of JSON answers. */
static void trim_cut_sequence(char *text)
{
    size_t len = strlen(text);
    size_t start = len;
    while (start > 0 && len - start < 3 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0 || (unsigned char)text[start - 1] < 0xC0)
        return;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (len - (start - 1) < want)
        text[start - 1] = '\0';
}

/* Appends at offset `len`, never beyond the end; returns the new length. */
static size_t append(char *text, size_t len, const char *more)
{
    size_t room = sizeof((struct err *)0)->text - len;
    int n = snprintf(text + len, room, "%s", more);
    if (n < 0)
        return len;
    if ((size_t)n < room)
        return len + (size_t)n;
    trim_cut_sequence(text);
    return strlen(text);
}

int err_set(struct err *e, enum err_code code, int errnum, const char *format, ...)
{
    if (!e)
        return -1;

    int kept = errno;
    char text[sizeof e->text] = "";
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0)
        text[0] = '\0';
    if (n >= (int)sizeof text)
        trim_cut_sequence(text);
    if (errnum != 0) {
        size_t len = append(text, strlen(text), ": ");
        append(text, len, strerror(errnum));
    }

    e->code = code;
    e->errnum = errnum;
    memcpy(e->text, text, sizeof text);
    errno = kept;
    return -1;
}

int err_prefix(struct err *e, const char *format, ...)
{
    if (!e)
        return -1;

    int kept = errno;
    char text[sizeof e->text] = "";
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0)
        text[0] = '\0';
    if (n >= (int)sizeof text)
        trim_cut_sequence(text);
    size_t len = append(text, strlen(text), ": ");
    append(text, len, e->text);

    memcpy(e->text, text, sizeof text);
    errno = kept;
    return -1;
}

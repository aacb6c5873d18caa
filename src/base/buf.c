/* buf: a growable byte buffer with a hard maximum.  Used by every process; the bytes may be
 * hostile, the lengths are the caller's.  Never allocates more than the maximum plus one byte. */
#include "base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 256

static size_t max_of(const struct buf *b)
{
    return b->max ? b->max : BUF_MAX_DEFAULT;
}

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_finish(struct buf *b)
{
    free(b->data);
    *b = (struct buf){.max = b->max};
}

int buf_reserve(struct buf *b, size_t extra)
{
    size_t max = max_of(b);
    if (b->torn || b->len > max || extra > max - b->len)
        return -1;
    size_t need = b->len + extra;
    if (need <= b->cap)
        return 0;

    size_t cap = b->cap ? b->cap : FIRST_CAP;
    while (cap < need)
        cap = cap > max / 2 ? max : cap * 2;
    if (cap > max)
        cap = max;
    /* One byte more than cap, so that a NUL always fits behind the last byte. */
    char *data = realloc(b->data, cap + 1);
    if (!data) {
        b->torn = true;
        return -1;
    }
    b->data = data;
    b->cap = cap;
    return 0;
}

int buf_append(struct buf *b, const void *data, size_t len)
{
    if (len == 0)
        return 0;
    if (buf_reserve(b, len) < 0)
        return -1;
    memcpy(b->data + b->len, data, len);
    b->len += len;
    return 0;
}

int buf_append_str(struct buf *b, const char *s)
{
    return buf_append(b, s, strlen(s));
}

/* Formats into the room that is left; returns the length the text has or needs. */
static __attribute__((format(printf, 2, 0))) int format_into_room(struct buf *b, const char *format,
                                                                  va_list args)
{
    size_t room = b->data ? b->cap - b->len + 1 : 0;
    return vsnprintf(room ? b->data + b->len : NULL, room, format, args);
}

int buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    if (b->torn)
        return -1;
    va_start(args, format);
    int n = format_into_room(b, format, args);
    va_end(args);
    if (n < 0)
        return -1;
    if (!b->data || (size_t)n > b->cap - b->len) {
        if (buf_reserve(b, (size_t)n) < 0)
            return -1;
        va_start(args, format);
        n = format_into_room(b, format, args);
        va_end(args);
        if (n < 0)
            return -1;
    }
    b->len += (size_t)n;
    return 0;
}

void buf_consume(struct buf *b, size_t n)
{
    assert(n <= b->len);
    b->len -= n;
    if (b->len > 0 && n > 0)
        memmove(b->data, b->data + n, b->len);
}

char *buf_steal(struct buf *b, size_t *ret_len)
{
    if (b->torn) {
        buf_finish(b);
        return NULL;
    }
    /* Shrinking may fail; the larger block does as well then. */
    char *data = realloc(b->data, b->len + 1);
    if (!data)
        data = b->data;
    if (!data)
        return NULL;
    data[b->len] = '\0';
    if (ret_len)
        *ret_len = b->len;
    *b = (struct buf){.max = b->max};
    return data;
}

/* buf: a growable byte buffer with a hard maximum.
 *
 * A buffer that found no memory is torn: it takes nothing more, and buf_steal gives nothing, until
 * it is finished.  So whoever builds a text may look at the end only, and half a text gets nowhere.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data; /* owned; NULL while cap == 0 */
    size_t len; /* bytes in use */
    size_t cap;
    size_t max; /* appending beyond this fails; 0 means BUF_MAX_DEFAULT */
    bool torn;  /* what was to be appended found no memory */
};

#define BUF_MAX_DEFAULT ((size_t)1 << 30)

/* An empty buffer that never holds more than `max` bytes. */
void buf_init(struct buf *b, size_t max);
/* Frees the memory and leaves an empty buffer with the same maximum.  Accepts a zeroed struct. */
void buf_finish(struct buf *b);

/* Makes room for `extra` more bytes.  0, or -1 when the maximum or memory is exhausted (contents
 * unchanged; torn if it was memory). */
int buf_reserve(struct buf *b, size_t extra);
/* Appends; 0, or -1 as buf_reserve. */
int buf_append(struct buf *b, const void *data, size_t len);
int buf_append_str(struct buf *b, const char *s);
int buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Drops the first `n` bytes (n <= len). */
void buf_consume(struct buf *b, size_t n);
/* Gives the memory to the caller, who frees it with free(); leaves an empty buffer.  The result has
 * a NUL behind its last byte that *ret_len does not count; NULL only when out of memory, also of a
 * torn buffer, which is finished then. */
char *buf_steal(struct buf *b, size_t *ret_len);

#define _cleanup_buf_ __attribute__((cleanup(buf_finish)))

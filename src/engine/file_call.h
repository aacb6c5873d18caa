/* file_call: one call on the files of a session's sandbox (wire/session_file.h), made by its init,
 * from inside. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/session_file.h"

struct file_call;
struct live;

struct file_call_events {
    /* Each frame but FILE_END; of FILE_BYTES the frame, then on_bytes.  Names are not checked: any
     * bytes but NUL. */
    void (*on_frame)(void *data, const struct file_message *m);
    void (*on_bytes)(void *data, const char *bytes, size_t len); /* not while it is paused */
    /* Room to write again (FILE_WRITE, ...); may be NULL. */
    void (*on_writable)(void *data);
    /* Once, last.  end->error 0: done.  `text` says more, for people.  A call that broke off
     * (sandbox lost) has error EIO.  A call is stopped 60 s after it last made progress
     * (ETIMEDOUT), but FILE_WATCH. */
    void (*on_end)(void *data, const struct file_end *end, const char *text);
    void *data;
};

/* `path` and `other` (may be NULL) are relative to the workspace and hold no NUL; copied.  NULL and
 * e: out of memory, ERR_INVALID: too long.  Never calls back before it returns. */
struct file_call *file_call_start(struct live *live, const struct session_file *what,
                                  const char *path, const char *other,
                                  const struct file_call_events *events, struct err *e);
/* Bytes of the file, in order; returns how many were taken: fewer than len when the way is full
 * (on_writable follows). */
size_t file_call_write(struct file_call *c, const char *bytes, size_t len);
/* All bytes have been given. */
void file_call_finish(struct file_call *c);
void file_call_pause(struct file_call *c, int paused);
/* Breaks it off: no event comes after this.  Not after on_end. */
void file_call_cancel(struct file_call *c);

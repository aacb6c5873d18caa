/* session_call: one call on the files of a session: wakes it, makes the call, and leaves.  Knows no
 * HTTP. */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "engine/file_call.h"

struct session;
struct session_call;

struct session_call_spec { /* copied */
    struct session_file what;
    const char *path, *other; /* "" or NULL: the workspace, nothing */
};

struct session_call_events {
    void (*on_ready)(void *data); /* bytes may be given; may be NULL */
    void (*on_frame)(void *data, const struct file_message *m);  /* as file_call's; may be NULL */
    void (*on_bytes)(void *data, const char *bytes, size_t len); /* may be NULL */
    void (*on_writable)(void *data);                             /* may be NULL */
    /* One of the two, once, last; the handle is gone when it returns. */
    void (*on_end)(void *data, const struct file_end *end, const char *text);
    void (*on_refused)(void *data, const struct err *e); /* the session could not be entered */
    void *data;
};

/* NULL and e: out of memory.  Never calls back before it returns. */
struct session_call *session_call_start(struct session *session,
                                        const struct session_call_spec *spec,
                                        const struct session_call_events *events, struct err *e);
/* As those of file_call, once on_ready was called. */
size_t session_call_write(struct session_call *c, const char *bytes, size_t len);
void session_call_finish(struct session_call *c);
void session_call_pause(struct session_call *c, int paused);
/* Breaks it off: no event comes after this.  Not from an event of its own. */
void session_call_cancel(struct session_call *c);

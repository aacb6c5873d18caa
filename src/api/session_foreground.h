/* session_foreground: a program in a session that is waited for: started, heard, ended.  Whoever
 * waits hears it to its end; when he stops waiting it is killed, with all that it has started.
 * Knows no HTTP. */
#pragma once

#include <stddef.h>

#include "api/session_launch.h"
#include "api/session_outcome.h"
#include "base/buf.h"

struct session_foreground;

struct session_foreground_events {
    /* It runs, or will at once.  May be NULL, as the next. */
    void (*on_process)(void *data, const struct session_process_view *v);
    /* Returns whether it can take more at once; otherwise session_foreground_go_on is called. */
    bool (*on_piece)(void *data, const struct listener_piece *piece);
    /* One of the two, once, last; the handle is gone when it returns. */
    void (*on_end)(void *data, const struct session_outcome *o);
    void (*on_refused)(void *data, const struct err *e);
    void *data;
};
/* NULL and e: out of memory.  `program` must live until one of the events. */
struct session_foreground *session_foreground_start(struct session *session,
                                                    const struct session_program *program,
                                                    const struct session_foreground_events *events,
                                                    struct err *e);
/* Not from an event. */
void session_foreground_go_on(struct session_foreground *f);
/* Kills it; no event comes after this.  Not from an event. */
void session_foreground_cancel(struct session_foreground *f);

/* -- one that answers once */
struct session_heard {
    const struct session_outcome *outcome;
    struct buf text[2]; /* stdout, stderr: exact bytes, at most `max` of each */
};
struct session_hearing;
struct session_hearing_events {
    /* Once; `heard` NULL: e.  Both are gone when it returns. */
    void (*done)(void *data, struct session_heard *heard, const struct err *e);
    void *data;
};
/* Runs it to its end, keeping `max` bytes of each stream.  As session_foreground_start. */
struct session_hearing *session_hear(struct session *session, const struct session_program *program,
                                     size_t max, const struct session_hearing_events *events,
                                     struct err *e);
/* Kills it; `done` is not called. */
void session_hearing_cancel(struct session_hearing *h);

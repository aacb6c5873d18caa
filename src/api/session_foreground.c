/* session_foreground: programs that are waited for.  Runs in the server's loop thread.  What they
 * write is hostile bytes, of which no more is held than the service does: a reader that is slow
 * makes the program wait. */
#include "api/session_foreground.h"

#include <signal.h>
#include <stdlib.h>

#include "api/session_limits.h"
#include "engine/run.h"

struct session_foreground {
    struct session_foreground_events events;
    struct session_launch *launch;   /* until it is started */
    struct session_process *process; /* until it has ended */
    struct listener *listener;
    struct session_limits *limits; /* while they are asked for */
    struct session_outcome outcome;
    bool told;       /* on_process was called */
    bool is_waiting; /* for session_foreground_go_on */
};

static void foreground_destroy(struct session_foreground *f)
{
    if (f->listener)
        listener_close(f->listener);
    free(f);
}

static void on_limits(void *data, unsigned limits_hit)
{
    struct session_foreground *f = data;
    f->limits = NULL;
    f->outcome.limits_hit = limits_hit;
    session_process_view(f->process, &f->outcome.view);
    f->events.on_end(f->events.data, &f->outcome);
    foreground_destroy(f);
}

static void refuse(struct session_foreground *f, const struct err *e)
{
    f->events.on_refused(f->events.data, e);
    foreground_destroy(f);
}

/* It has ended and was heard.  The listener stays until all is told: the record of the process may
 * not go before. */
static void finish(struct session_foreground *f)
{
    struct err e;
    session_process_view(f->process, &f->outcome.view);
    if (session_outcome_refused(&f->outcome.view, &e)) {
        refuse(f, &e);
        return;
    }
    if (f->outcome.view.result.lost) {
        on_limits(f, 0);
        return;
    }
    f->outcome.view.ended = true;
    struct session_limits *asked =
        session_limits_ask(session_process_session(f->process), &f->outcome.view, on_limits, f);
    if (asked) /* otherwise f is gone */
        f->limits = asked;
}

/* Output may be there before it is said that the process has started. */
static void tell_process(struct session_foreground *f)
{
    struct session_process_view v;
    if (f->told)
        return;
    session_process_view(f->process, &v);
    if (v.pid == 0 && !v.ended)
        return;
    f->told = true;
    if (f->events.on_process && !v.result.refused)
        f->events.on_process(f->events.data, &v);
}

static void pump(struct session_foreground *f)
{
    struct listener_piece piece;
    int more = 0;
    if (f->limits)
        return;
    tell_process(f);
    f->is_waiting = false;
    while (f->told && !f->is_waiting && (more = listener_read(f->listener, &piece)) > 0)
        f->is_waiting = f->events.on_piece && !f->events.on_piece(f->events.data, &piece);
    if (!f->is_waiting && more < 0)
        finish(f);
}

static void on_more(void *data)
{
    struct session_foreground *f = data;
    if (!f->is_waiting)
        pump(f);
}

void session_foreground_go_on(struct session_foreground *f)
{
    if (f->is_waiting)
        pump(f);
}

static void on_launched(void *data, struct session *session, struct session_process *process,
                        const struct err *e)
{
    struct session_foreground *f = data;
    const struct listener_events events = {.on_more = on_more, .data = f};
    struct err failure;
    f->launch = NULL;
    if (!process) {
        refuse(f, e);
        return;
    }
    f->process = process;
    f->listener = session_process_listen(process, 0, 0, true, &events);
    if (f->listener)
        return;
    session_process_kill(process, SIGKILL, true);
    err_set(&failure, ERR_UNAVAILABLE, 0, "out of memory");
    refuse(f, &failure);
}

struct session_foreground *session_foreground_start(struct session *session,
                                                    const struct session_program *program,
                                                    const struct session_foreground_events *events,
                                                    struct err *e)
{
    struct session_foreground *f = calloc(1, sizeof *f);
    if (!f) {
        err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
        return NULL;
    }
    f->events = *events;
    f->launch = session_launch(session, program, on_launched, f, e);
    if (f->launch)
        return f;
    free(f);
    return NULL;
}

void session_foreground_cancel(struct session_foreground *f)
{
    if (f->launch)
        session_launch_cancel(f->launch);
    if (f->limits)
        session_limits_cancel(f->limits);
    else if (f->process)
        session_process_kill(f->process, SIGKILL, true);
    foreground_destroy(f);
}

/* -- one that answers once -- */

struct session_hearing {
    struct session_hearing_events events;
    struct session_foreground *foreground;
    struct session_heard heard;
    struct session_outcome outcome;
    size_t max;
    bool out_of_memory;
};

static void hearing_destroy(struct session_hearing *h)
{
    buf_finish(&h->heard.text[0]);
    buf_finish(&h->heard.text[1]);
    free(h);
}

/* The program goes on when there is too much: its output is dropped from there on. */
static bool keep_piece(void *data, const struct listener_piece *piece)
{
    struct session_hearing *h = data;
    size_t i = piece->stream == 1 ? 0 : 1;
    struct buf *text = &h->heard.text[i];
    size_t room = h->max - text->len;
    h->outcome.truncated[i] |= piece->len > room;
    if (piece->lost > 0)
        h->out_of_memory = true;
    if (buf_append(text, piece->bytes, piece->len < room ? piece->len : room) < 0)
        h->out_of_memory = true;
    return true;
}

static void on_end(void *data, const struct session_outcome *o)
{
    struct session_hearing *h = data;
    const bool truncated[2] = {h->outcome.truncated[0], h->outcome.truncated[1]};
    struct err e;
    h->outcome = *o;
    h->outcome.truncated[0] = truncated[0];
    h->outcome.truncated[1] = truncated[1];
    if (truncated[0] || truncated[1])
        h->outcome.limits_hit |= RUN_HIT_OUTPUT;
    h->heard.outcome = &h->outcome;
    err_set(&e, ERR_UNAVAILABLE, 0, "out of memory");
    h->events.done(h->events.data, h->out_of_memory ? NULL : &h->heard, &e);
    hearing_destroy(h);
}

static void on_refused(void *data, const struct err *e)
{
    struct session_hearing *h = data;
    h->events.done(h->events.data, NULL, e);
    hearing_destroy(h);
}

struct session_hearing *session_hear(struct session *session, const struct session_program *program,
                                     size_t max, const struct session_hearing_events *events,
                                     struct err *e)
{
    struct session_hearing *h = calloc(1, sizeof *h);
    const struct session_foreground_events mine = {
        .on_piece = keep_piece, .on_end = on_end, .on_refused = on_refused, .data = h};
    if (!h) {
        err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
        return NULL;
    }
    h->events = *events;
    h->max = max;
    h->foreground = session_foreground_start(session, program, &mine, e);
    if (h->foreground)
        return h;
    free(h);
    return NULL;
}

void session_hearing_cancel(struct session_hearing *h)
{
    session_foreground_cancel(h->foreground);
    hearing_destroy(h);
}

/* session_call: calls on files.  Runs in the server's loop thread.  Paths are hostile and are
 * handed on as they are: what they mean is decided inside the sandbox. */
#include "api/session_call.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "service/session.h"

struct session_call {
    struct session_call_events events;
    struct session_file what;
    char *path, *other;
    struct session_visit *visit;
    struct file_call *call; /* once the session is awake */
};

static void call_destroy(struct session_call *c)
{
    free(c->path);
    free(c->other);
    free(c);
}

static void on_frame(void *data, const struct file_message *m)
{
    struct session_call *c = data;
    if (c->events.on_frame)
        c->events.on_frame(c->events.data, m);
}

static void on_bytes(void *data, const char *bytes, size_t len)
{
    struct session_call *c = data;
    if (c->events.on_bytes)
        c->events.on_bytes(c->events.data, bytes, len);
}

static void on_writable(void *data)
{
    struct session_call *c = data;
    if (c->events.on_writable)
        c->events.on_writable(c->events.data);
}

/* The visit lasts until the event has been handled, so that the session does not fall asleep
 * between two calls of one request. */
static void on_end(void *data, const struct file_end *end, const char *text)
{
    struct session_call *c = data;
    struct session_visit *visit = c->visit;
    c->call = NULL;
    c->events.on_end(c->events.data, end, text);
    session_left(visit);
    call_destroy(c);
}

static void refuse(struct session_call *c, const struct err *e)
{
    c->events.on_refused(c->events.data, e);
    call_destroy(c);
}

static void on_entered(void *data, struct session *session, struct live *live, const struct err *e)
{
    static const struct file_call_events events = {
        .on_frame = on_frame,
        .on_bytes = on_bytes,
        .on_writable = on_writable,
        .on_end = on_end,
    };
    struct session_call *c = data;
    struct file_call_events mine = events;
    struct err failure = {0};
    if (!live) {
        refuse(c, e);
        return;
    }
    mine.data = c;
    c->call = file_call_start(live, &c->what, c->path, c->other, &mine, &failure);
    if (!c->call) {
        struct session_visit *visit = c->visit;
        refuse(c, &failure);
        session_left(visit);
        return;
    }
    if (c->events.on_ready)
        c->events.on_ready(c->events.data);
}

static bool takes_room(uint32_t op)
{
    return op == FILE_WRITE || op == FILE_APPEND || op == FILE_PATCH || op == FILE_COPY ||
           op == FILE_MKDIR || op == FILE_UNPACK;
}

struct session_call *session_call_start(struct session *session,
                                        const struct session_call_spec *spec,
                                        const struct session_call_events *events, struct err *e)
{
    if (takes_room(spec->what.op) && session_may_write(session, e) < 0)
        return NULL;
    struct session_call *c = calloc(1, sizeof *c);
    if (c) {
        *c = (struct session_call){.events = *events, .what = spec->what};
        c->path = strdup(spec->path ? spec->path : "");
        c->other = strdup(spec->other ? spec->other : "");
    }
    if (!c || !c->path || !c->other) {
        err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
        if (c)
            call_destroy(c);
        return NULL;
    }
    c->visit = session_enter(session, on_entered, c, e);
    if (c->visit)
        return c;
    call_destroy(c);
    return NULL;
}

size_t session_call_write(struct session_call *c, const char *bytes, size_t len)
{
    return file_call_write(c->call, bytes, len);
}

void session_call_finish(struct session_call *c)
{
    file_call_finish(c->call);
}

void session_call_pause(struct session_call *c, int paused)
{
    file_call_pause(c->call, paused);
}

void session_call_cancel(struct session_call *c)
{
    if (c->call)
        file_call_cancel(c->call);
    session_left(c->visit);
    call_destroy(c);
}

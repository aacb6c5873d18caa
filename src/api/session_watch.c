/* session_watch: GET .../watch: changes in a workspace as events, until the client goes.
 *
 * Runs in the server's loop thread.  Names are the sandbox's.  A client that reads slowly makes the
 * watch inside wait, whose queue in the kernel then says "lost". */
#include <stdlib.h>
#include <string.h>

#include "api/errors.h"
#include "api/events.h"
#include "api/file_answer.h"
#include "api/internal.h"
#include "api/session_call.h"
#include "api/session_path.h"
#include "api/session_query.h"
#include "api/session_reply.h"
#include "api/session_seen.h"
#include "http/http.h"

#define STREAM_HIGH_WATER (256u << 10)
#define STREAM_LOW_WATER  (64u << 10)

struct watch {
    struct http_request *r;
    struct session_call *call;
    char *path;
    bool streaming, paused;
};

static void watch_destroy(struct watch *w)
{
    free(w->path);
    free(w);
}

static void on_gone(void *data)
{
    struct watch *w = data;
    session_call_cancel(w->call);
    watch_destroy(w);
}

static void on_writable(void *data)
{
    struct watch *w = data;
    if (!w->paused || !w->call)
        return;
    w->paused = false;
    session_call_pause(w->call, false);
}

static void send_events(struct watch *w, const struct buf *out)
{
    if (http_stream_write_buf(w->r, out) < STREAM_HIGH_WATER || w->paused)
        return;
    w->paused = true;
    session_call_pause(w->call, true);
}

static void begin_stream(struct watch *w)
{
    _cleanup_buf_ struct buf out = {0};
    w->streaming = true;
    http_stream_begin(w->r, 200, "text/event-stream; charset=utf-8");
    http_stream_on_writable(w->r, STREAM_LOW_WATER, on_writable, w);
    event_append_head(&out, "ready");
    buf_append_str(&out, "{}" EVENT_END);
    send_events(w, &out);
}

static void on_frame(void *data, const struct file_message *m)
{
    struct watch *w = data;
    _cleanup_buf_ struct buf out = {0};
    if (m->type == FILE_INFO && !w->streaming)
        begin_stream(w);
    else if (m->type == FILE_EVENT && w->streaming && file_answer_event(&out, m, w->path) == 0)
        send_events(w, &out);
}

static void on_end(void *data, const struct file_end *end, const char *text)
{
    struct watch *w = data;
    if (w->streaming) {
        http_stream_on_writable(w->r, 0, NULL, NULL);
        http_stream_end(w->r);
    } else {
        session_reply_file_error(w->r, end, text, w->path);
    }
    watch_destroy(w);
}

static void on_refused(void *data, const struct err *e)
{
    struct watch *w = data;
    session_reply_error(w->r, e);
    watch_destroy(w);
}

void session_watch_get(struct api *api, struct http_request *r, const struct call *call)
{
    struct session *session = session_seen(api, r, call);
    const char *path = session_query_text(r, "path"), *fault = session_path_fault(path);
    struct err e = {0};
    bool recursive = false;
    if (!session || session_query_bool(r, "recursive", &recursive) < 0)
        return;
    if (fault) {
        error_reply_str(r, 400, fault);
        return;
    }
    struct watch *w = calloc(1, sizeof *w);
    if (!w || !(w->path = strdup(path))) {
        free(w);
        error_reply_memory(r);
        return;
    }
    const struct session_call_spec spec = {
        .what = {.op = FILE_WATCH, .flags = recursive ? FILE_RECURSIVE : 0}, .path = path};
    const struct session_call_events events = {
        .on_frame = on_frame, .on_end = on_end, .on_refused = on_refused, .data = w};
    w->r = r;
    w->call = session_call_start(session, &spec, &events, &e);
    if (w->call)
        http_set_gone(r, on_gone, w);
    else
        on_refused(w, &e);
}

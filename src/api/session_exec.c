/* session_exec: POST .../exec and .../run: programs and code in a session.
 *
 * Runs in the server's loop thread.  One exchange lives from the request to its answer:
 *
 *     decoding -> foreground: heard to the end -> one answer, or events as they come
 *              -> background: answered as soon as it has started
 *
 * A client that goes away ends what it had started in the foreground. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "api/errors.h"
#include "api/events.h"
#include "api/exec_request.h"
#include "api/internal.h"
#include "api/session_foreground.h"
#include "api/session_reply.h"
#include "api/session_seen.h"
#include "engine/run.h"
#include "http/http.h"
#include "service/session.h"

#define JSON              "application/json"
#define STREAM_HIGH_WATER (256u << 10)
#define STREAM_LOW_WATER  (64u << 10)
#define LOST_WORDS        "the session ended while it ran (deleted, or its sandbox was lost)"

struct exec {
    struct api *api;
    struct http_request *r; /* NULL when the client has gone */
    char *owner, *session_id;
    bool is_code, wants_events, streaming;
    bool working; /* something is in the thread pool */
    char *text;   /* of the body, until it is parsed */
    size_t len;
    char nonce[24];
    struct exec_request request;
    struct session_hearing *hearing;       /* one of these four, while it is in progress */
    struct session_foreground *foreground; /* events */
    struct session_launch *launch;         /* background */
    struct listener *listener;
    struct session_process *process; /* that listener's */
    struct event_tail tails[2];
    struct buf output[2], tail, answer; /* of the one answer */
    bool failed;
};

static void exec_destroy(struct exec *x)
{
    exec_request_finish(&x->request);
    for (int i = 0; i < 2; i++)
        buf_finish(&x->output[i]);
    buf_finish(&x->tail);
    buf_finish(&x->answer);
    free(x->text);
    free(x->owner);
    free(x->session_id);
    free(x);
}

static void on_gone(void *data)
{
    struct exec *x = data;
    x->r = NULL;
    if (x->working)
        return; /* what is done then frees it */
    if (x->hearing)
        session_hearing_cancel(x->hearing);
    if (x->foreground)
        session_foreground_cancel(x->foreground);
    if (x->launch)
        session_launch_cancel(x->launch);
    if (x->listener)
        listener_close(x->listener);
    exec_destroy(x);
}

static void on_refused(void *data, const struct err *e)
{
    struct exec *x = data;
    session_reply_error(x->r, e);
    exec_destroy(x);
}

/* -- one answer -- */

static void on_build(void *data)
{
    struct exec *x = data;
    struct writer w = {.out = &x->answer};
    put(&w, "{");
    put_bytes(&w, "stdout", x->output[0].data, x->output[0].len);
    put_bytes(&w, "stderr", x->output[1].data, x->output[1].len);
    w.failed |= buf_append(&x->answer, x->tail.data, x->tail.len) < 0;
    put(&w, "}");
    x->failed = w.failed;
}

static void on_built(void *data)
{
    struct exec *x = data;
    x->working = false;
    if (x->r && x->failed)
        error_reply_memory(x->r);
    else if (x->r)
        http_reply(x->r, 200, JSON, &x->answer);
    exec_destroy(x);
}

/* What could not be started says so as a shell would. */
static int append_start_error(struct buf *out, const struct process_result *result)
{
    if (!result->error)
        return 0;
    return buf_append_str(out, result->error) | buf_append_str(out, "\n");
}

static void answer(struct exec *x, struct session_heard *heard)
{
    struct writer w = {.out = &x->tail};
    put_outcome(&w, heard->outcome);
    for (int i = 0; i < 2; i++) {
        x->output[i] = heard->text[i];
        heard->text[i] = (struct buf){0};
    }
    w.failed |= append_start_error(&x->output[1], &heard->outcome->view.result) < 0;
    if (w.failed) {
        error_reply_memory(x->r);
        exec_destroy(x);
        return;
    }
    x->working = true;
    if (offload(x->api->loop, x->output[0].len + x->output[1].len, on_build, on_built, x) < 0) {
        error_reply_memory(x->r);
        exec_destroy(x);
    }
}

static void on_heard(void *data, struct session_heard *heard, const struct err *e)
{
    struct exec *x = data;
    x->hearing = NULL;
    if (!heard)
        on_refused(x, e);
    else if (!heard->outcome->view.result.lost)
        answer(x, heard);
    else {
        error_reply_str(x->r, 409, LOST_WORDS);
        exec_destroy(x);
    }
}

/* -- events -- */

static size_t send_events(struct exec *x, const struct buf *out)
{
    return http_stream_write_buf(x->r, out);
}

static void on_writable(void *data)
{
    struct exec *x = data;
    if (x->foreground)
        session_foreground_go_on(x->foreground);
}

static void begin_stream(struct exec *x)
{
    if (x->streaming)
        return;
    x->streaming = true;
    http_stream_begin(x->r, 200, "text/event-stream; charset=utf-8");
    http_stream_on_writable(x->r, STREAM_LOW_WATER, on_writable, x);
}

static void on_process(void *data, const struct session_process_view *v)
{
    struct exec *x = data;
    _cleanup_buf_ struct buf out = {0};
    begin_stream(x);
    event_append_process(&out, "start", v->id, v->pid);
    send_events(x, &out);
}

static bool on_piece(void *data, const struct listener_piece *piece)
{
    struct exec *x = data;
    const char *name = piece->stream == 1 ? "stdout" : "stderr";
    _cleanup_buf_ struct buf out = {0};
    begin_stream(x);
    if (piece->lost > 0)
        event_append_gap(&out, name, piece->lost);
    event_append_text(&out, name, &x->tails[piece->stream == 1 ? 0 : 1], piece->bytes, piece->len);
    return send_events(x, &out) < STREAM_HIGH_WATER;
}

static void on_end(void *data, const struct session_outcome *o)
{
    struct exec *x = data;
    _cleanup_buf_ struct buf out = {0};
    struct writer w = {.out = &out};
    x->foreground = NULL;
    begin_stream(x);
    event_append_tail(&out, "stdout", &x->tails[0]);
    event_append_tail(&out, "stderr", &x->tails[1]);
    if (o->view.result.error)
        event_append_line(&out, "stderr", o->view.result.error);
    if (o->view.result.lost) {
        event_append_error(&out, LOST_WORDS);
    } else {
        event_append_head(&out, "result");
        put(&w, "{");
        put_outcome(&w, o);
        put(&w, "}" EVENT_END);
    }
    send_events(x, &out);
    http_stream_on_writable(x->r, 0, NULL, NULL);
    http_stream_end(x->r);
    exec_destroy(x);
}

/* -- background -- */

static void reply_started(struct exec *x, const struct session_process_view *v)
{
    struct buf body = {0};
    struct writer w = {.out = &body};
    put(&w, "{");
    put_number(&w, "process", v->id);
    put_number(&w, "pid", v->pid);
    put(&w, "}");
    if (w.failed) {
        buf_finish(&body);
        error_reply_memory(x->r);
    } else {
        http_reply(x->r, 202, JSON, &body);
    }
}

/* It has started, or could not be. */
static void on_more(void *data)
{
    struct exec *x = data;
    struct session_process_view v;
    struct err e;
    session_process_view(x->process, &v);
    if (v.pid == 0 && !v.ended)
        return;
    if (v.pid != 0)
        reply_started(x, &v);
    else if (session_outcome_refused(&v, &e))
        session_reply_error(x->r, &e);
    else if (v.result.error)
        error_reply_str(x->r, 400, v.result.error);
    else
        error_reply_str(x->r, 409, LOST_WORDS);
    listener_close(x->listener);
    exec_destroy(x);
}

static void on_launched(void *data, struct session *session, struct session_process *process,
                        const struct err *e)
{
    const struct listener_events events = {.on_more = on_more, .data = data};
    struct exec *x = data;
    x->launch = NULL;
    if (!process) {
        on_refused(x, e);
        return;
    }
    x->process = process;
    x->listener = session_process_listen(process, UINT64_MAX, UINT64_MAX, false, &events);
    if (x->listener)
        return;
    error_reply_memory(x->r);
    exec_destroy(x);
}

/* -- the request -- */

static int start(struct exec *x, struct session *session, struct err *e)
{
    const struct session_program *program = &x->request.program;
    const struct session_hearing_events heard = {.done = on_heard, .data = x};
    const struct session_foreground_events events = {.on_process = on_process,
                                                     .on_piece = on_piece,
                                                     .on_end = on_end,
                                                     .on_refused = on_refused,
                                                     .data = x};
    if (program->spec.background)
        x->launch = session_launch(session, program, on_launched, x, e);
    else if (x->wants_events)
        x->foreground = session_foreground_start(session, program, &events, e);
    else
        x->hearing = session_hear(session, program, x->request.output_max, &heard, e);
    return x->launch || x->foreground || x->hearing ? 0 : -1;
}

static void on_decode(void *data)
{
    struct exec *x = data;
    char *text = x->text;
    x->text = NULL;
    json_body_parse(&x->request.body, text, x->len, false);
    if (x->is_code)
        exec_request_decode_code(&x->request, &x->api->rules, x->nonce);
    else
        exec_request_decode(&x->request, &x->api->rules);
}

static void on_decoded(void *data)
{
    struct exec *x = data;
    struct err e = {0};
    x->working = false;
    if (!x->r || !json_body_accept(&x->request.body, x->r)) {
        exec_destroy(x);
        return;
    }
    struct session *session = session_find(x->api->sessions, x->owner, x->session_id);
    if (session && start(x, session, &e) == 0)
        return;
    if (session)
        session_reply_error(x->r, &e);
    else
        session_reply_unknown(x->r, "session", x->session_id);
    exec_destroy(x);
}

/* NULL, and the request has been answered. */
static struct exec *begin(struct api *api, struct http_request *r, const struct call *call)
{
    struct run_spec *spec = run_spec_create(); /* for its unguessable id */
    struct exec *x = calloc(1, sizeof *x);
    if (x && spec) {
        x->api = api;
        x->r = r;
        x->owner = strdup(call->owner);
        x->session_id = strdup(call->name);
        memcpy(x->nonce, spec->id, sizeof x->nonce);
        x->text = buf_steal(http_body(r), &x->len);
    }
    run_spec_destroy(spec);
    if (x && x->owner && x->session_id && x->text)
        return x;
    error_reply_memory(r);
    if (x)
        exec_destroy(x);
    return NULL;
}

static void exec(struct api *api, struct http_request *r, const struct call *call, bool is_code)
{
    if (!session_seen(api, r, call))
        return;
    if (!content_is_json(r)) {
        content_refuse(r);
        return;
    }
    struct exec *x = begin(api, r, call);
    if (!x)
        return;
    x->is_code = is_code;
    x->wants_events = content_wants_events(r);
    x->working = true;
    http_set_gone(r, on_gone, x);
    if (offload(api->loop, x->len, on_decode, on_decoded, x) < 0) {
        error_reply_memory(r);
        exec_destroy(x);
    }
}

void session_exec_post(struct api *api, struct http_request *r, const struct call *call)
{
    exec(api, r, call, false);
}

void session_run_post(struct api *api, struct http_request *r, const struct call *call)
{
    exec(api, r, call, true);
}

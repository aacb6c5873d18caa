/* session_processes: the programs that were started in a session: looked at, signalled, fed,
 * forgotten.
 *
 * Runs in the server's loop thread.  Ids, signals and input are the client's. */
#include "service/session_process.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "api/errors.h"
#include "api/file_answer.h"
#include "api/internal.h"
#include "api/json_body.h"
#include "api/session_call.h"
#include "api/session_outcome.h"
#include "api/session_query.h"
#include "api/session_reply.h"
#include "api/session_seen.h"
#include "api/session_seen_process.h"
#include "base/limits.h"
#include "http/http.h"
#include "service/session.h"

#define JSON       "application/json"
#define ID_DIGITS  10
#define SIGNAL_MAX 32    /* bytes of a signal's name */
#define SIDE_MAX   10000 /* rows or columns */

static void reply_nothing(struct http_request *r)
{
    struct buf none = {0};
    http_reply(r, 204, NULL, &none);
}

/* Sends `body` (taken over), unless there was no memory for all of it. */
static void reply_json(struct http_request *r, struct buf *body, bool failed)
{
    if (!failed) {
        http_reply(r, 200, JSON, body);
        return;
    }
    buf_finish(body);
    error_reply_memory(r);
}

/* 0, which no process has, unless it is a number in its one spelling. */
static uint32_t parse_id(const char *text)
{
    char *end;
    if (*text < '1' || *text > '9' || strlen(text) > ID_DIGITS)
        return 0;
    unsigned long long id = strtoull(text, &end, 10);
    return *end || id > UINT32_MAX ? 0 : (uint32_t)id;
}

struct session_process *session_seen_process(struct api *api, struct http_request *r,
                                             const struct call *call)
{
    struct session *session = session_seen(api, r, call);
    uint32_t id = parse_id(call->rest);
    struct session_process *p = session && id ? session_process_find(session, id) : NULL;
    if (session && !p)
        session_reply_unknown(r, "process", call->rest);
    return p;
}

/* -- looking -- */

/* Begins {"processes":[...] */
static void append_list(struct writer *w, struct session *session)
{
    const char *between = "";
    put(w, "{\"processes\":[");
    for (struct session_process *p = session_process_next(session, NULL); p;
         p = session_process_next(session, p)) {
        struct session_process_view v;
        session_process_view(p, &v);
        put(w, between);
        w->failed |= session_process_answer(w->out, &v) < 0;
        between = ",";
    }
    put(w, "]");
}

/* A request that waits for what init sees. */
struct tree {
    struct http_request *r;
    struct session_call *call;
    struct buf out;
    bool failed, any;
};

static void on_gone(void *data)
{
    struct tree *t = data;
    session_call_cancel(t->call);
    buf_finish(&t->out);
    free(t);
}

static void on_frame(void *data, const struct file_message *m)
{
    struct tree *t = data;
    if (m->type != FILE_PROCESS)
        return;
    t->failed |=
        (t->any && buf_append_str(&t->out, ",") < 0) || file_answer_process(&t->out, m) < 0;
    t->any = true;
}

static void on_end(void *data, const struct file_end *end, const char *text)
{
    struct tree *t = data;
    if (end->error) {
        session_reply_file_error(t->r, end, text, "");
        buf_finish(&t->out);
    } else {
        t->failed |= buf_append_str(&t->out, "]}") < 0;
        reply_json(t->r, &t->out, t->failed);
    }
    free(t);
}

static void on_refused(void *data, const struct err *e)
{
    struct tree *t = data;
    session_reply_error(t->r, e);
    buf_finish(&t->out);
    free(t);
}

static void reply_tree(struct http_request *r, struct session *session)
{
    const struct session_call_spec spec = {.what = {.op = FILE_PROCESSES}};
    struct tree *t = calloc(1, sizeof *t);
    const struct session_call_events events = {
        .on_frame = on_frame, .on_end = on_end, .on_refused = on_refused, .data = t};
    struct err e = {0};
    if (!t) {
        error_reply_memory(r);
        return;
    }
    struct writer w = {.out = &t->out};
    t->r = r;
    append_list(&w, session);
    put(&w, ",\"tree\":[");
    t->failed = w.failed;
    t->call = session_call_start(session, &spec, &events, &e);
    if (t->call) {
        http_set_gone(r, on_gone, t);
        return;
    }
    on_refused(t, &e);
}

void session_processes_get(struct api *api, struct http_request *r, const struct call *call)
{
    struct session *session = session_seen(api, r, call);
    struct session_view v;
    struct buf body = {0};
    struct writer w = {.out = &body};
    bool all = false;
    if (!session || session_query_bool(r, "all", &all) < 0)
        return;
    session_view(session, &v);
    if (all && v.state == SESSION_AWAKE) {
        reply_tree(r, session);
        return;
    }
    append_list(&w, session);
    put(&w, all ? ",\"tree\":[]}" : "}"); /* nothing runs in one that is not awake */
    reply_json(r, &body, w.failed);
}

void session_process_get(struct api *api, struct http_request *r, const struct call *call)
{
    struct session_process *p = session_seen_process(api, r, call);
    struct session_process_view v;
    struct buf body = {0};
    if (!p)
        return;
    session_process_view(p, &v);
    int result = session_process_answer(&body, &v);
    reply_json(r, &body, result < 0);
}

/* -- changing -- */

/* False, and 409, when it has ended. */
static bool is_running(struct http_request *r, const struct session_process *p)
{
    struct session_process_view v;
    session_process_view(p, &v);
    if (v.ended)
        error_reply_str(r, 409, "the process has ended");
    return !v.ended;
}

/* 0 when the member is missing or none. */
static int read_signal(struct json_body *b)
{
    const char *text = NULL;
    int64_t number = 0;
    if (!json_body_require(b, "signal"))
        return 0;
    if (json_is_integer(json_object_get(json_body_root(b), "signal"))) {
        json_body_int(b, "signal", (struct int_range){1, SIGRTMAX}, &number);
        return (int)number;
    }
    json_body_text(b, "signal", SIGNAL_MAX, &text);
    number = text ? signal_number(text) : 0;
    if (text && !number)
        json_body_refuse(b, "signal", "should be a signal, as \"TERM\" or 15");
    return (int)number;
}

void session_signal_post(struct api *api, struct http_request *r, const struct call *call)
{
    struct session_process *p = session_seen_process(api, r, call);
    struct json_body b;
    bool group = true;
    if (!p || !json_body_open(&b, r, false))
        return;
    int number = read_signal(&b);
    json_body_bool(&b, "group", &group);
    if (json_body_accept(&b, r) && is_running(r, p)) {
        session_process_kill(p, number, group);
        reply_nothing(r);
    }
    json_body_finish(&b);
}

void session_resize_post(struct api *api, struct http_request *r, const struct call *call)
{
    struct session_process *p = session_seen_process(api, r, call);
    const struct int_range side = {1, SIDE_MAX};
    struct session_process_view v;
    struct json_body b;
    int64_t rows = 0, columns = 0;
    if (!p || !json_body_open(&b, r, false))
        return;
    if (json_body_require(&b, "rows") && json_body_require(&b, "columns")) {
        json_body_int(&b, "rows", side, &rows);
        json_body_int(&b, "columns", side, &columns);
    }
    session_process_view(p, &v);
    if (json_body_accept(&b, r) && is_running(r, p)) {
        if (v.terminal) {
            session_process_resize(p, (uint16_t)rows, (uint16_t)columns);
            reply_nothing(r);
        } else {
            error_reply_str(r, 409, "the process has no terminal");
        }
    }
    json_body_finish(&b);
}

void session_process_delete(struct api *api, struct http_request *r, const struct call *call)
{
    struct session_process *p = session_seen_process(api, r, call);
    struct session_process_view v;
    if (!p)
        return;
    session_process_view(p, &v);
    if (v.ended)
        session_process_forget(p);
    else
        session_process_kill(p, SIGKILL, true);
    reply_nothing(r);
}

void session_stdin_post(struct api *api, struct http_request *r, const struct call *call)
{
    struct session_process *p = session_seen_process(api, r, call);
    const struct buf *body = http_body(r);
    bool close = false;
    if (!p || session_query_bool(r, "close", &close) < 0 || !is_running(r, p))
        return;
    if (body->len > LIMIT_STDIN) {
        error_reply_str(r, 413, "the input is larger than 16 MiB: send it in parts");
        return;
    }
    if (body->len > 0 && !session_process_takes_input(p)) {
        error_reply_str(r, 409,
                        "the process takes no input: it was started without stdin_open, or its "
                        "input was closed");
        return;
    }
    if (session_process_is_full(p)) {
        http_add_header(r, "Retry-After", "1");
        error_reply_str(r, 429, "the process has not read yet what it was given before");
        return;
    }
    ssize_t written = close ? session_process_write_last(p, body->data, body->len)
                            : session_process_write(p, body->data, body->len);
    if (written < 0)
        error_reply_memory(r);
    else
        reply_nothing(r);
}

/* session_collect: gathers what a call on files found.  Runs in the server's loop thread.  The
 * frames are a sandbox's: their number is bounded by the call's limit, which init keeps, and by the
 * size of the answer, which is kept here. */
#include "api/session_collect.h"

#include <stdlib.h>
#include <string.h>

#include "api/errors.h"
#include "api/put.h"
#include "api/session_reply.h"
#include "http/http.h"

#define ANSWER_MAX (32u << 20) /* 10000 entries of the longest names, escaped */

struct collect {
    struct http_request *r;
    const struct collect_plan *plan;
    struct session_call *call;
    char *path;
    struct buf out;
    size_t n;
    bool failed;
};

static void collect_destroy(struct collect *c)
{
    buf_finish(&c->out);
    free(c->path);
    free(c);
}

static void on_gone(void *data)
{
    struct collect *c = data;
    session_call_cancel(c->call);
    collect_destroy(c);
}

static void on_frame(void *data, const struct file_message *m)
{
    struct collect *c = data;
    if (!c->plan || m->type != c->plan->frame || c->failed || (c->n > 0 && !c->plan->list))
        return;
    c->failed = (c->n++ > 0 && buf_append_str(&c->out, ",") < 0) ||
                c->plan->append(&c->out, m, c->path) < 0;
}

static void begin(struct collect *c)
{
    struct writer w = {.out = &c->out};
    if (!c->plan || !c->plan->list)
        return;
    put(&w, "{");
    if (c->plan->tells_path)
        put_text(&w, "path", c->path);
    put_name(&w, c->plan->list);
    put(&w, "[");
    c->failed = w.failed;
}

static void reply(struct collect *c, const struct file_end *end)
{
    struct writer w = {.out = &c->out, .failed = c->failed};
    struct buf none = {0};
    if (!c->plan) {
        http_reply(c->r, 204, NULL, &none);
        return;
    }
    if (c->plan->list) {
        put(&w, "]");
        put_bool(&w, "truncated", end->truncated);
        put(&w, "}");
    }
    if (w.failed || c->out.len == 0)
        error_reply_memory(c->r);
    else
        http_reply(c->r, 200, "application/json", &c->out);
}

static void on_end(void *data, const struct file_end *end, const char *text)
{
    struct collect *c = data;
    if (end->error)
        session_reply_file_error(c->r, end, text, c->path);
    else
        reply(c, end);
    collect_destroy(c);
}

static void on_refused(void *data, const struct err *e)
{
    struct collect *c = data;
    session_reply_error(c->r, e);
    collect_destroy(c);
}

void session_collect(struct http_request *r, struct session *session,
                     const struct session_call_spec *spec, const struct collect_plan *plan,
                     const char *path)
{
    const struct session_call_events events = {
        .on_frame = on_frame, .on_end = on_end, .on_refused = on_refused};
    struct session_call_events mine = events;
    struct err e = {0};
    struct collect *c = calloc(1, sizeof *c);
    if (!c || !(c->path = strdup(path))) {
        free(c);
        error_reply_memory(r);
        return;
    }
    c->r = r;
    c->plan = plan;
    buf_init(&c->out, ANSWER_MAX);
    begin(c);
    mine.data = c;
    c->call = session_call_start(session, spec, &mine, &e);
    if (!c->call) {
        session_reply_error(r, &e);
        collect_destroy(c);
        return;
    }
    http_set_gone(r, on_gone, c);
}

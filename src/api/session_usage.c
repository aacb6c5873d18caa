/* session_usage: GET .../usage: what a session takes up, in its workspace and of the machine.
 *
 * Runs in the server's loop thread.  The workspace is asked inside the sandbox, CPU and memory at
 * its control groups, one after the other, within one visit. */
#include <stdlib.h>
#include <string.h>

#include "api/errors.h"
#include "api/internal.h"
#include "api/put.h"
#include "api/session_reply.h"
#include "api/session_seen.h"
#include "engine/file_call.h"
#include "engine/live.h"
#include "http/http.h"
#include "service/session.h"

struct usage {
    struct http_request *r; /* NULL when the client has gone */
    struct session_visit *visit;
    struct file_call *call;
    bool is_asking; /* the answer to live_usage is still to come */
    bool has_storage;
    uint64_t size; /* as it was asked for: the file system rounds */
    struct file_storage storage;
    struct live_usage live;
};

static void usage_destroy(struct usage *u)
{
    if (u->visit)
        session_left(u->visit);
    free(u);
}

static void on_gone(void *data)
{
    struct usage *u = data;
    u->r = NULL;
    if (u->call)
        file_call_cancel(u->call);
    u->call = NULL;
    if (!u->is_asking)
        usage_destroy(u);
}

static void reply(struct usage *u)
{
    struct buf body = {0};
    struct writer w = {.out = &body};
    put(&w, "{");
    put_number(&w, "size", u->size);
    put_number(&w, "used", u->storage.used);
    put_number(&w, "inodes", u->storage.inodes);
    put_number(&w, "inodes_used", u->storage.inodes_used);
    put_thousandths(&w, "cpu_ms", u->live.cpu_us);
    put_thousandths(&w, "memory_peak_mb", u->live.memory_peak * 1000 >> 20);
    put_number(&w, "oom_kills", u->live.oom_kills);
    put_number(&w, "process_limit_hits", u->live.process_hits);
    put(&w, "}");
    if (!w.failed) {
        http_reply(u->r, 200, "application/json", &body);
        return;
    }
    buf_finish(&body);
    error_reply_memory(u->r);
}

static void on_frame(void *data, const struct file_message *m)
{
    struct usage *u = data;
    if (m->type != FILE_STORAGE)
        return;
    u->storage = m->storage;
    u->has_storage = true;
}

static void on_bytes(void *data, const char *bytes, size_t len)
{
}

static void on_end(void *data, const struct file_end *end, const char *text)
{
    struct usage *u = data;
    u->call = NULL;
    if (end->error || !u->has_storage)
        session_reply_file_error(u->r, end, text, "");
    else
        reply(u);
    usage_destroy(u);
}

static void ask_storage(struct usage *u)
{
    const struct session_file what = {.op = FILE_USAGE};
    const struct file_call_events events = {
        .on_frame = on_frame, .on_bytes = on_bytes, .on_end = on_end, .data = u};
    struct live *live = session_visit_live(u->visit);
    struct err e = {0};
    if (live)
        u->call = file_call_start(live, &what, "", NULL, &events, &e);
    else
        err_set(&e, ERR_UNAVAILABLE, 0, "the session's sandbox has ended");
    if (u->call)
        return;
    session_reply_error(u->r, &e);
    usage_destroy(u);
}

static void on_usage(void *data, const struct live_usage *usage)
{
    struct usage *u = data;
    u->is_asking = false;
    if (usage)
        u->live = *usage;
    if (u->r)
        ask_storage(u);
    else
        usage_destroy(u);
}

static void on_entered(void *data, struct session *session, struct live *live, const struct err *e)
{
    struct usage *u = data;
    struct session_view view;
    struct err failure = {0};
    if (!live) {
        u->visit = NULL; /* it is over */
        session_reply_error(u->r, e);
        usage_destroy(u);
        return;
    }
    session_view(session, &view);
    u->size = view.bytes;
    u->is_asking = live_usage(live, on_usage, u, &failure) == 0;
    if (u->is_asking)
        return;
    session_reply_error(u->r, &failure);
    usage_destroy(u);
}

void session_usage_get(struct api *api, struct http_request *r, const struct call *call)
{
    struct session *session = session_seen(api, r, call);
    struct err e = {0};
    struct usage *u = session ? calloc(1, sizeof *u) : NULL;
    if (!session)
        return;
    if (!u) {
        error_reply_memory(r);
        return;
    }
    u->r = r;
    u->visit = session_enter(session, on_entered, u, &e);
    if (u->visit) {
        http_set_gone(r, on_gone, u);
        return;
    }
    session_reply_error(r, &e);
    free(u);
}

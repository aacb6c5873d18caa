/* session_snapshots: copies of workspaces: kept, listed, restored, forked, removed.
 *
 * Runs in the server's loop thread.  Names and ids are the client's; whoever asks sees its own
 * snapshots only (R93). */
#include <stdlib.h>
#include <string.h>

#include "api/errors.h"
#include "api/internal.h"
#include "api/json_body.h"
#include "api/put.h"
#include "api/session_answer.h"
#include "api/session_create.h"
#include "api/session_reply.h"
#include "api/session_request.h"
#include "api/session_seen.h"
#include "http/http.h"

#define JSON           "application/json"
#define NAME_MAX_BYTES 255

/* A request that waits for the service. */
struct waiting {
    struct api *api;
    struct http_request *r; /* NULL when the client has gone */
    char *owner, *session_id;
};

static void waiting_destroy(struct waiting *w)
{
    free(w->owner);
    free(w->session_id);
    free(w);
}

static void on_gone(void *data)
{
    struct waiting *w = data;
    w->r = NULL;
}

/* NULL: the request has been answered. */
static struct waiting *begin_waiting(struct api *api, struct http_request *r,
                                     const struct call *call)
{
    struct waiting *w = calloc(1, sizeof *w);
    if (w) {
        w->api = api;
        w->r = r;
        w->owner = strdup(call->owner);
        w->session_id = strdup(call->name);
    }
    if (!w || !w->owner || !w->session_id) {
        error_reply_memory(r);
        if (w)
            waiting_destroy(w);
        return NULL;
    }
    http_set_gone(r, on_gone, w);
    return w;
}

/* Sends `body` (taken over), unless there was no memory for all of it. */
static void reply_json(struct http_request *r, int status, struct buf *body, bool failed)
{
    if (!failed) {
        http_reply(r, status, JSON, body);
        return;
    }
    buf_finish(body);
    error_reply_memory(r);
}

/* -- making -- */

static void on_snapshot(void *data, const struct snapshot_view *view, const struct err *e)
{
    struct waiting *w = data;
    struct buf body = {0};
    if (w->r && view) {
        int result = session_append_snapshot(&body, view);
        reply_json(w->r, 201, &body, result < 0);
    } else if (w->r) {
        session_reply_error(w->r, e);
    }
    waiting_destroy(w);
}

void session_snapshots_post(struct api *api, struct http_request *r, const struct call *call)
{
    struct session *session = session_seen(api, r, call);
    struct json_body b;
    const char *name = "";
    if (!session || !json_body_open(&b, r, true))
        return;
    json_body_text(&b, "name", NAME_MAX_BYTES, &name);
    struct waiting *w = json_body_accept(&b, r) ? begin_waiting(api, r, call) : NULL;
    if (w)
        snapshot_create(session, name, on_snapshot, w);
    json_body_finish(&b);
}

/* -- listing -- */

static int append_snapshot(void *data, const struct snapshot_view *v)
{
    struct writer *w = data;
    if (w->out->data[w->out->len - 1] != '[')
        put(w, ",");
    w->failed |= session_append_snapshot(w->out, v) < 0;
    return w->failed;
}

/* Of one session, or (NULL) of all. */
static void reply_list(struct api *api, struct http_request *r, const char *owner,
                       const char *session)
{
    struct buf body = {0};
    struct writer w = {.out = &body};
    struct err e = {0};
    put(&w, "{\"snapshots\":[");
    if (w.failed || snapshot_list(api->sessions, owner, session, append_snapshot, &w, &e) < 0) {
        buf_finish(&body);
        if (e.code)
            session_reply_error(r, &e);
        else
            error_reply_memory(r);
        return;
    }
    put(&w, "]}");
    reply_json(r, 200, &body, w.failed);
}

void session_snapshots_get(struct api *api, struct http_request *r, const struct call *call)
{
    if (session_seen(api, r, call))
        reply_list(api, r, call->owner, call->name);
}

void snapshots_get(struct api *api, struct http_request *r, const struct call *call)
{
    reply_list(api, r, call->owner, NULL);
}

void snapshot_delete_one(struct api *api, struct http_request *r, const struct call *call)
{
    struct err e = {0};
    struct buf none = {0};
    if (snapshot_remove(api->sessions, call->owner, call->name, &e) == 0)
        http_reply(r, 204, NULL, &none);
    else if (e.code == ERR_NOT_FOUND)
        session_reply_unknown(r, "snapshot", call->name);
    else
        session_reply_error(r, &e);
}

/* -- going back -- */

static void on_restored(void *data, const struct err *e)
{
    struct waiting *w = data;
    if (w->r && e && e->code)
        session_reply_error(w->r, e);
    else if (w->r)
        session_reply_object(w->api, w->r, w->owner, w->session_id);
    waiting_destroy(w);
}

void session_restore_post(struct api *api, struct http_request *r, const struct call *call)
{
    struct session *session = session_seen(api, r, call);
    struct json_body b;
    const char *id = "";
    if (!session || !json_body_open(&b, r, false))
        return;
    if (json_body_require(&b, "snapshot"))
        json_body_text(&b, "snapshot", NAME_MAX_BYTES, &id);
    struct waiting *w = json_body_accept(&b, r) ? begin_waiting(api, r, call) : NULL;
    if (w)
        snapshot_restore(session, id, on_restored, w);
    json_body_finish(&b);
}

/* -- forking -- */

/* What the client does not say is as in the session that is forked. */
static void inherit(struct session_wanted *wanted, const struct session_view *v)
{
    if (!wanted->environment)
        wanted->environment = v->environment;
    if (!wanted->network)
        wanted->network = v->network;
    if (!wanted->env)
        wanted->env = v->env;
    if (!wanted->labels)
        wanted->labels = v->labels;
    if (!wanted->bytes)
        wanted->bytes = v->bytes;
    if (!wanted->idle_s)
        wanted->idle_s = v->idle_s;
    if (!wanted->idle_ttl_s)
        wanted->idle_ttl_s = v->idle_ttl_s;
    if (!wanted->ttl_s)
        wanted->ttl_s = v->ttl_s;
    if (!wanted->limits.memory_mb)
        wanted->limits.memory_mb = v->limits.memory_mb;
    if (!wanted->limits.cpu_milli)
        wanted->limits.cpu_milli = v->limits.cpu_milli;
    if (!wanted->limits.processes)
        wanted->limits.processes = v->limits.processes;
}

void session_fork_post(struct api *api, struct http_request *r, const struct call *call)
{
    struct session *session = session_seen(api, r, call);
    struct session_request q = {0};
    struct session_view v;
    if (!session || !json_body_open(&q.body, r, true))
        return;
    session_request_decode(&q, &api->rules);
    if (q.wanted.snapshot)
        json_body_refuse(&q.body, "snapshot", "a fork begins as the session is now");
    session_view(session, &v);
    inherit(&q.wanted, &v);
    q.wanted.from = session;
    if (json_body_accept(&q.body, r))
        session_create_reply(api, r, call, &q.wanted);
    session_request_finish(&q);
}

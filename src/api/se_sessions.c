/* se_sessions: the predecessor's routes about sessions themselves (contract B1): create, delete,
 * list, clean up; and its health check.
 *
 * Runs in the server's loop thread.  A caller sees and ends its own sessions only (R93). */
#include <stdlib.h>
#include <string.h>

#include "api/errors.h"
#include "api/internal.h"
#include "api/se_call.h"
#include "api/se_entry.h"
#include "api/se_reply.h"
#include "api/session_size.h"
#include "api/text.h"
#include "base/settings.h"
#include "http/http.h"
#include "service/session.h"

#define CREATE_FAILED "Failed to create session"
#define SIZE_TEXT_MAX 64

void se_healthy_get(struct api *api, struct http_request *r, const struct call *call)
{
    struct buf value = {0};
    int failed = buf_append_str(&value, "{\"status\":\"success\"}");
    se_reply(r, &value, "\"ok\"", failed);
}

/* -- POST /session/{id} -- */

struct creation {
    struct se_call call; /* first */
    struct json_slice size;
};

static void creation_decode(struct se_call *c)
{
    struct creation *x = (struct creation *)c;
    json_body_bytes(&c->body, "size", SIZE_TEXT_MAX, &x->size);
}

static void reply_created(struct http_request *r, const char *id)
{
    struct buf value = {0};
    _cleanup_buf_ struct buf name = {0};
    int failed = text_append_json_str(&name, id) | buf_append(&name, "", 1);
    if (failed == 0)
        failed = buf_printf(&value, "{\"session_id\":%s}", name.data);
    se_reply(r, &value, name.data, failed);
}

/* The session is made all the same when the client has gone, as it would be had it gone a moment
 * later. */
static void on_created(void *data, struct session *session, const struct err *e)
{
    struct se_call *c = data;
    c->away = false;
    if (c->r && session)
        reply_created(c->r, c->id);
    else if (c->r && e->code == ERR_EXISTS)
        se_reply_error(c->r, 400, CREATE_FAILED, "Session already exists");
    else if (c->r)
        se_reply_err(c->r, CREATE_FAILED, e);
    se_call_end(c);
}

static void creation_on_body(struct se_call *c)
{
    const struct json_slice *size = &((struct creation *)c)->size;
    struct session_wanted wanted = {.owner = c->owner, .id = c->id};
    uint64_t whole = (uint64_t)c->api->settings->session_max_size;
    struct err e = {0};
    if (size->len > 0 && session_size_parse(size->data, size->len, whole, &wanted.bytes) < 0) {
        se_call_error(c, 400, CREATE_FAILED,
                      "size: digits and at most one of k, m, g, K, M, G and % (as 100M), not 0");
        return;
    }
    c->away = true;
    if (session_create(c->api->sessions, &wanted, on_created, c, &e) < 0)
        on_created(c, NULL, &e);
}

void se_session_post(struct api *api, struct http_request *r, const struct call *call)
{
    static const struct se_hooks hooks = {.decode = creation_decode, .on_body = creation_on_body};
    struct creation *x = se_call_begin(sizeof *x, &hooks, api, r, call);
    if (x)
        se_call_decode(&x->call);
}

/* -- DELETE /session/{id} -- */

static void reply_success(struct http_request *r)
{
    struct buf value = {0};
    int failed = buf_append_str(&value, "{\"status\":\"success\"}");
    se_reply(r, &value, NULL, failed);
}

static void on_deleted(void *data)
{
    struct se_call *c = data;
    c->away = false;
    if (c->r)
        reply_success(c->r);
    se_call_end(c);
}

/* Ids of sessions that never existed succeed, too. */
void se_session_delete(struct api *api, struct http_request *r, const struct call *call)
{
    static const struct se_hooks hooks = {0};
    struct session *session = session_find(api->sessions, call->owner, call->name);
    if (!session) {
        reply_success(r);
        return;
    }
    struct se_call *c = se_call_begin(sizeof *c, &hooks, api, r, call);
    if (!c)
        return;
    struct err e = {0};
    c->away = true;
    if (session_remove(session, on_deleted, c, &e) == 0)
        return;
    c->away = false;
    se_call_refused(c, &e);
}

/* -- GET /workspaces -- */

static int append_workspaces(struct buf *out, struct session_service *sessions, const char *owner)
{
    const struct session *at = NULL;
    struct session *session;
    struct session_view view;
    int failed = buf_append_str(out, "{\"workspaces\":{");
    for (; failed == 0 && (session = session_next(sessions, owner, at)); at = session) {
        session_view(session, &view);
        failed = buf_append_str(out, at ? "," : "") | text_append_json_str(out, view.id) |
                 buf_append_str(out, ":{") | se_append_mount_point(out, view.id) |
                 buf_append_str(out, ",\"created_at\":") | se_append_seconds(out, view.created_ms) |
                 buf_append_str(out, "}");
    }
    return failed | buf_append_str(out, "}}");
}

void se_workspaces_get(struct api *api, struct http_request *r, const struct call *call)
{
    struct buf value = {0};
    int failed = append_workspaces(&value, api->sessions, call->owner);
    se_reply(r, &value, NULL, failed);
}

/* -- POST /cleanup-all -- */

struct cleanup {
    struct se_call call; /* first */
    bool force;
    unsigned total, ended, waiting;
    struct buf skipped; /* entries, as JSON */
    int failed;
};

static void cleanup_on_end(struct se_call *c)
{
    buf_finish(&((struct cleanup *)c)->skipped);
}

static void cleanup_decode(struct se_call *c)
{
    json_body_bool(&c->body, "force", &((struct cleanup *)c)->force);
}

/* One that has been waited for is over. */
static void cleanup_done(struct cleanup *x)
{
    struct se_call *c = &x->call;
    struct buf value = {0};
    if (--x->waiting > 0)
        return;
    c->away = false;
    if (c->r) {
        int failed = x->failed |
                     buf_printf(&value, "{\"total\":%u,\"success\":%u,\"failed\":[],\"skipped\":[",
                                x->total, x->ended) |
                     buf_append(&value, x->skipped.len ? x->skipped.data : "", x->skipped.len) |
                     buf_append_str(&value, "]}");
        se_reply(c->r, &value, NULL, failed);
    }
    se_call_end(c);
}

static void on_cleaned(void *data)
{
    struct cleanup *x = data;
    x->ended++;
    cleanup_done(x);
}

static void skip(struct cleanup *x, const char *id, const char *why)
{
    x->failed |= buf_append_str(&x->skipped, x->skipped.len ? ",\"" : "\"") |
                 buf_append_str(&x->skipped, id) | buf_append_str(&x->skipped, ": ") |
                 buf_append_str(&x->skipped, why) | buf_append_str(&x->skipped, "\"");
}

static void cleanup_on_body(struct se_call *c)
{
    struct cleanup *x = (struct cleanup *)c;
    struct session_service *sessions = c->api->sessions;
    struct session *next = session_next(sessions, c->owner, NULL);
    struct session_view view;
    c->away = true;
    x->waiting = 1; /* this loop */
    while (next) {
        struct session *session = next;
        next = session_next(sessions, c->owner, session); /* before this one goes */
        session_view(session, &view);
        x->total++;
        if (!x->force && view.processes > 0) {
            skip(x, view.id, "会话正在运行");
            continue;
        }
        x->waiting++;
        if (session_remove(session, on_cleaned, x, NULL) < 0) {
            x->waiting--;
            skip(x, view.id, "会话记录无法删除");
        }
    }
    cleanup_done(x);
}

void se_cleanup_post(struct api *api, struct http_request *r, const struct call *call)
{
    static const struct se_hooks hooks = {
        .decode = cleanup_decode, .on_body = cleanup_on_body, .on_end = cleanup_on_end};
    struct cleanup *x = se_call_begin(sizeof *x, &hooks, api, r, call);
    if (x)
        se_call_decode(&x->call);
}

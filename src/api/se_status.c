/* se_status: GET /workspace/se/status/{id} (contract B1), with what tells a client that a session
 * will be deleted soon.
 *
 * Runs in the server's loop thread. */
#include <stdlib.h>

#include "api/internal.h"
#include "api/se_call.h"
#include "api/se_entry.h"
#include "api/se_reply.h"
#include "api/session_answer.h"
#include "api/session_call.h"
#include "api/text.h"
#include "http/http.h"
#include "service/session.h"

struct status {
    struct se_call call; /* first */
    struct buf list;     /* the entries, as JSON */
    int failed;
};

static void status_on_end(struct se_call *c)
{
    buf_finish(&((struct status *)c)->list);
}

/* The predecessor's fields, then when the session ends and how it is. */
static int append_status(struct buf *out, const struct session_view *v, const struct buf *files)
{
    int failed =
        buf_append_str(out, "{\"id\":") | text_append_json_str(out, v->id) |
        buf_append_str(out, ",\"exists\":true,\"created_at\":") |
        se_append_seconds(out, v->created_ms) | buf_append_str(out, ",") |
        se_append_mount_point(out, v->id) |
        buf_append_str(out, ",\"is_mounted\":true,\"files\":[") |
        buf_append(out, files->len ? files->data : "", files->len) |
        buf_append_str(out, "],\"expires_at\":") |
        (v->expires_ms ? se_append_seconds(out, v->expires_ms) : buf_append_str(out, "null"));
    return failed |
           buf_printf(out, ",\"expires_soon\":%s,\"state\":\"%s\",\"size\":%llu,\"processes\":%u}",
                      v->expires_soon ? "true" : "false", session_state_names[v->state],
                      (unsigned long long)v->bytes, (unsigned)v->processes);
}

static void reply_none(struct http_request *r, const char *id)
{
    struct buf value = {0};
    int failed = buf_append_str(&value, "{\"id\":") | text_append_json_str(&value, id) |
                 buf_append_str(&value, ",\"exists\":false,\"created_at\":null,"
                                        "\"mount_point\":null,\"is_mounted\":false,\"files\":[]}");
    se_reply(r, &value, NULL, failed);
}

/* Unlike the listing it shows all files, those that the predecessor kept its logs in, too. */
static void on_frame(void *data, const struct file_message *m)
{
    struct status *s = data;
    if (m->type != FILE_INFO || m->info.type != TYPE_FILE)
        return;
    s->failed |= buf_append_str(&s->list, s->list.len ? "," : "") |
                 se_append_entry(&s->list, "", m) | buf_append_str(&s->list, ",\"modified_at\":") |
                 se_append_seconds(&s->list, m->info.modified_ns / 1000000) |
                 buf_append_str(&s->list, "}");
}

static void on_listed(void *data, const struct file_end *end, const char *text)
{
    struct status *s = data;
    struct se_call *c = &s->call;
    struct session *session = session_find(c->api->sessions, c->owner, c->id);
    struct session_view view;
    struct buf value = {0};
    c->files = NULL;
    if (session && end->error != 0) {
        se_call_failed(c, "Failed to get status", end, text);
        return;
    }
    if (session) {
        session_view(session, &view);
        int failed = s->failed | append_status(&value, &view, &s->list);
        se_reply(c->r, &value, NULL, failed);
    } else {
        reply_none(c->r, c->id); /* it was deleted meanwhile */
    }
    se_call_end(c);
}

static void on_refused(void *data, const struct err *e)
{
    struct se_call *c = data;
    c->files = NULL;
    se_call_refused(c, e);
}

/* It makes no session. */
void se_status_get(struct api *api, struct http_request *r, const struct call *call)
{
    static const struct se_hooks hooks = {.on_end = status_on_end};
    const struct session_call_spec spec = {.what = {.op = FILE_LIST}};
    struct session_call_events events = {
        .on_frame = on_frame, .on_end = on_listed, .on_refused = on_refused};
    struct session *session = session_find(api->sessions, call->owner, call->name);
    if (!session) {
        reply_none(r, call->name);
        return;
    }
    struct status *s = se_call_begin(sizeof *s, &hooks, api, r, call);
    if (!s)
        return;
    events.data = s;
    se_call_files(&s->call, session, &spec, &events);
}

/* se_call: decodes requests of the predecessor's clients, and finds or makes their sessions.
 *
 * Runs in the server's loop thread, large bodies are decoded on the thread pool.  Ids are hostile;
 * the service refuses those that are none (R38), and shows a caller nobody else's sessions (R93).
 */
#include "api/se_call.h"

#include <stdlib.h>
#include <string.h>

#include "api/errors.h"
#include "api/internal.h"
#include "api/se_reply.h"
#include "api/session_call.h"
#include "http/http.h"
#include "service/session.h"

void se_call_end(struct se_call *c)
{
    if (c->hooks->on_end)
        c->hooks->on_end(c);
    json_body_finish(&c->body);
    free(c->text);
    free(c->owner);
    free(c->id);
    free(c->rest);
    free(c);
}

static void on_gone(void *data)
{
    struct se_call *c = data;
    c->r = NULL;
    if (c->away)
        return; /* who comes back ends it */
    if (c->files)
        session_call_cancel(c->files);
    if (c->hooks->on_gone)
        c->hooks->on_gone(c);
    se_call_end(c);
}

static char *copy(const char *text, bool *failed)
{
    char *result = text ? strdup(text) : NULL;
    *failed |= text && !result;
    return result;
}

void *se_call_begin(size_t size, const struct se_hooks *hooks, struct api *api,
                    struct http_request *r, const struct call *call)
{
    struct se_call *c = calloc(1, size);
    bool failed = !c;
    if (c) {
        c->api = api;
        c->r = r;
        c->hooks = hooks;
        c->owner = copy(call->owner, &failed);
        c->id = copy(call->name, &failed);
        c->rest = copy(call->rest, &failed);
    }
    if (!failed) {
        http_set_gone(r, on_gone, c);
        return c;
    }
    error_reply_memory(r);
    if (c)
        se_call_end(c);
    return NULL;
}

void se_call_error(struct se_call *c, int status, const char *message, const char *detail)
{
    se_reply_error(c->r, status, message, detail);
    se_call_end(c);
}

/* -- the body -- */

/* The client has gone while it was away: true, and the call with it. */
static bool came_back(struct se_call *c)
{
    c->away = false;
    if (c->r)
        return false;
    se_call_end(c);
    return true;
}

static void on_decode(void *data)
{
    struct se_call *c = data;
    char *text = c->text;
    c->text = NULL;
    json_body_parse(&c->body, text, c->text_len, false);
    if (json_body_root(&c->body))
        c->hooks->decode(c);
    c->body.fields.violations.without_url = true;
}

static void refuse_body(struct se_call *c)
{
    struct buf answer = {0};
    if (!c->body.out_of_memory && violations_write(&c->body.fields.violations, &answer) == 0) {
        error_reply_violations(c->r, &answer);
    } else {
        buf_finish(&answer);
        error_reply_memory(c->r);
    }
    se_call_end(c);
}

static void on_decoded(void *data)
{
    struct se_call *c = data;
    if (came_back(c))
        return;
    if (!json_body_is_valid(&c->body))
        refuse_body(c);
    else if (c->hooks->on_body)
        c->hooks->on_body(c);
    else
        se_call_enter(c);
}

/* A body of another type is none, or a text that is no object. */
static void refuse_type(struct se_call *c)
{
    const struct buf *body = http_body(c->r);
    struct violations *v = &c->body.fields.violations;
    v->without_url = true;
    if (body->len == 0)
        violation_add(v, "missing", PLACE_BODY, NULL, NULL, "Field required");
    else
        violation_add_text(v, body->data, body->len);
    refuse_body(c);
}

void se_call_decode(struct se_call *c)
{
    if (!content_is_json(c->r)) {
        refuse_type(c);
        return;
    }
    c->text = buf_steal(http_body(c->r), &c->text_len);
    c->away = true;
    if (c->text && offload(c->api->loop, c->text_len, on_decode, on_decoded, c) == 0)
        return;
    c->away = false;
    error_reply_memory(c->r);
    se_call_end(c);
}

/* -- the session -- */

void se_call_refused(struct se_call *c, const struct err *e)
{
    se_reply_err(c->r, "Session is not available", e);
    se_call_end(c);
}

static void on_made(void *data, struct session *session, const struct err *e)
{
    struct se_call *c = data;
    if (came_back(c))
        return;
    /* Another request may have made it meanwhile. */
    if (!session && e->code == ERR_EXISTS)
        session = session_find(c->api->sessions, c->owner, c->id);
    if (session) {
        c->hooks->on_session(c, session);
        return;
    }
    se_reply_err(c->r, "Failed to create session", e);
    se_call_end(c);
}

void se_call_enter(struct se_call *c)
{
    const struct session_wanted wanted = {.owner = c->owner, .id = c->id};
    struct session *session = session_find(c->api->sessions, c->owner, c->id);
    struct err e = {0};
    if (session) {
        c->hooks->on_session(c, session);
        return;
    }
    c->away = true;
    if (session_create(c->api->sessions, &wanted, on_made, c, &e) == 0)
        return;
    on_made(c, NULL, &e);
}

/* -- files -- */

void se_call_files(struct se_call *c, struct session *session, const struct session_call_spec *spec,
                   const struct session_call_events *events)
{
    struct err e = {0};
    c->files = session_call_start(session, spec, events, &e);
    if (!c->files)
        se_call_refused(c, &e);
}

void se_call_failed(struct se_call *c, const char *message, const struct file_end *end,
                    const char *text)
{
    se_reply_file_error(c->r, message, end, text);
    se_call_end(c);
}

/* sessions: making, listing, changing, forking and deleting sessions.
 *
 * Runs in the server's loop thread.  Ids and bodies are hostile.  Whoever asks sees the sessions of
 * its own key only: those of others do not exist for it (R93). */
#include "service/session.h"

#include <stdlib.h>
#include <string.h>

#include "api/errors.h"
#include "api/internal.h"
#include "api/put.h"
#include "api/session_answer.h"
#include "api/session_create.h"
#include "api/session_label.h"
#include "api/session_query.h"
#include "api/session_reply.h"
#include "api/session_request.h"
#include "api/session_seen.h"
#include "http/http.h"

#define JSON       "application/json"
#define LIST_USUAL 50
#define LIST_MAX   1000

struct session *session_seen(struct api *api, struct http_request *r, const struct call *call)
{
    struct session *session = session_find(api->sessions, call->owner, call->name);
    if (!session)
        session_reply_unknown(r, "session", call->name);
    return session;
}

static void reply_session(struct http_request *r, int status, struct session *session)
{
    struct session_view v;
    struct buf body = {0};
    session_view(session, &v);
    if (session_append(&body, &v) == 0) {
        http_reply(r, status, JSON, &body);
        return;
    }
    buf_finish(&body);
    error_reply_memory(r);
}

/* -- requests that wait for the service -- */

struct waiting {
    struct api *api;
    struct http_request *r; /* NULL when the client has gone */
    struct session *session;
};

static void on_gone(void *data)
{
    struct waiting *w = data;
    w->r = NULL; /* what was begun is ended by the service, which then frees this */
}

static struct waiting *begin_waiting(struct api *api, struct http_request *r,
                                     struct session *session)
{
    struct waiting *w = calloc(1, sizeof *w);
    if (!w) {
        error_reply_memory(r);
        return NULL;
    }
    *w = (struct waiting){.api = api, .r = r, .session = session};
    http_set_gone(r, on_gone, w);
    return w;
}

static void on_made(void *data, struct session *session, const struct err *e)
{
    struct waiting *w = data;
    if (w->r && session)
        reply_session(w->r, 201, session);
    else if (w->r)
        session_reply_error(w->r, e);
    free(w);
}

static void on_changed(void *data, const struct err *e)
{
    struct waiting *w = data;
    if (w->r && e && e->code != ERR_NONE)
        session_reply_error(w->r, e);
    else if (w->r)
        reply_session(w->r, 200, w->session);
    free(w);
}

static void on_deleted(void *data)
{
    struct waiting *w = data;
    struct buf none = {0};
    if (w->r)
        http_reply(w->r, 204, NULL, &none);
    free(w);
}

/* -- bodies -- */

void session_create_reply(struct api *api, struct http_request *r, const struct call *call,
                          struct session_wanted *wanted)
{
    struct err e = {0};
    wanted->owner = call->owner;
    if (wanted->id && !session_id_is_valid(wanted->id)) {
        error_reply_str(r, 400,
                        "id must match [A-Za-z0-9][A-Za-z0-9_.-]{0,127}: letters, digits, '_', "
                        "'.' and '-', and not begin with one of the last three");
        return;
    }
    struct waiting *w = begin_waiting(api, r, NULL);
    if (w && session_create(api->sessions, wanted, on_made, w, &e) < 0) {
        session_reply_error(r, &e);
        free(w);
    }
}

void session_reply_object(struct api *api, struct http_request *r, const char *owner,
                          const char *id)
{
    struct session *session = session_find(api->sessions, owner, id);
    if (session)
        reply_session(r, 200, session);
    else
        session_reply_unknown(r, "session", id);
}

void sessions_post(struct api *api, struct http_request *r, const struct call *call)
{
    struct session_request q = {0};
    if (!json_body_open(&q.body, r, true))
        return;
    session_request_decode(&q, &api->rules);
    if (json_body_accept(&q.body, r))
        session_create_reply(api, r, call, &q.wanted);
    session_request_finish(&q);
}

void session_patch(struct api *api, struct http_request *r, const struct call *call)
{
    struct session *session = session_seen(api, r, call);
    struct session_request q = {0};
    if (!session || !json_body_open(&q.body, r, false))
        return;
    session_change_decode(&q, &api->rules);
    struct waiting *w = json_body_accept(&q.body, r) ? begin_waiting(api, r, session) : NULL;
    if (w)
        session_change(session, &q.change, on_changed, w);
    session_request_finish(&q);
}

/* -- requests without one -- */

void session_get(struct api *api, struct http_request *r, const struct call *call)
{
    struct session *session = session_seen(api, r, call);
    if (session)
        reply_session(r, 200, session);
}

void session_delete_one(struct api *api, struct http_request *r, const struct call *call)
{
    struct session *session = session_seen(api, r, call);
    struct err e = {0};
    struct waiting *w = session ? begin_waiting(api, r, session) : NULL;
    if (w && session_remove(session, on_deleted, w, &e) < 0) {
        session_reply_error(r, &e);
        free(w);
    }
}

void session_sleep_post(struct api *api, struct http_request *r, const struct call *call)
{
    struct session *session = session_seen(api, r, call);
    struct err e = {0};
    struct waiting *w = session ? begin_waiting(api, r, session) : NULL;
    if (w && session_sleep(session, on_changed, w, &e) < 0) {
        session_reply_error(r, &e);
        free(w);
    }
}

/* -- the list -- */

struct list_query {
    const char *label, *environment, *state, *after; /* NULL: any */
    uint64_t limit;
};

static bool is_wanted(const struct list_query *q, const struct session_view *v)
{
    return (!q->label || session_label_matches(v->labels, q->label)) &&
           (!q->environment ||
            strcmp(q->environment, v->environment ? v->environment : "default") == 0) &&
           (!q->state || strcmp(q->state, session_state_names[v->state]) == 0);
}

/* Appends up to q->limit sessions behind `after`, and the id that the next page begins behind. */
static void append_page(struct api *api, const char *owner, const struct list_query *q,
                        struct session *after, struct writer *w)
{
    char last[SESSION_ID_MAX + 1] = "";
    uint64_t n = 0;
    bool more = false;
    struct session *session = session_next(api->sessions, owner, after);
    for (; session; session = session_next(api->sessions, owner, session)) {
        struct session_view v;
        session_view(session, &v);
        if (!is_wanted(q, &v))
            continue;
        more = n == q->limit;
        if (more)
            break;
        if (n++)
            put(w, ",");
        w->failed |= session_append(w->out, &v) < 0;
        strncpy(last, v.id, sizeof last - 1);
    }
    put(w, "]");
    put_text(w, "next", more ? last : NULL);
}

static uint64_t count_sessions(struct api *api, const char *owner)
{
    uint64_t n = 0;
    struct session *session = NULL;
    while ((session = session_next(api->sessions, owner, session)))
        n++;
    return n;
}

static int read_list_query(struct http_request *r, struct list_query *q)
{
    *q = (struct list_query){
        .label = http_query(r, "label"),
        .environment = http_query(r, "environment"),
        .state = http_query(r, "state"),
        .after = http_query(r, "after"),
        .limit = LIST_USUAL,
    };
    bool known = !q->state;
    for (size_t i = 0; !known && session_state_names[i]; i++)
        known = strcmp(session_state_names[i], q->state) == 0;
    if (!known) {
        error_reply_query(r, "state", "literal_error",
                          "Input should be 'asleep', 'waking', 'awake' or 'falling asleep'");
        return -1;
    }
    return session_query_number(r, "limit", 1, LIST_MAX, &q->limit);
}

void sessions_get(struct api *api, struct http_request *r, const struct call *call)
{
    struct list_query q;
    struct session *after = NULL;
    struct buf body = {0};
    struct writer w = {.out = &body};
    if (read_list_query(r, &q) < 0)
        return;
    if (q.after && !(after = session_find(api->sessions, call->owner, q.after))) {
        session_reply_unknown(r, "session", q.after);
        return;
    }
    put(&w, "{\"sessions\":[");
    append_page(api, call->owner, &q, after, &w);
    put_number(&w, "total", count_sessions(api, call->owner));
    put(&w, "}");
    if (!w.failed) {
        http_reply(r, 200, JSON, &body);
        return;
    }
    buf_finish(&body);
    error_reply_memory(r);
}

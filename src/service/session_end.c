/* session_end: how a session is deleted, and changed.
 *
 * Runs in the server, on the loop.  The record goes first and the workspace last: a crash between
 * them leaves an image that no record names, which the next start removes; never a record whose
 * image is gone. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/log.h"
#include "service/session_internal.h"

/* -- the end ----------------------------------------------------------------------------------- */

static void tell_deleted(struct session_answer *a)
{
    a->deleted(a->data);
}

static void on_dropped(void *data)
{
    struct session *session = data;
    struct session_answer *a;

    while ((a = session->on_deleted) != NULL) {
        session->on_deleted = a->next;
        session_answer(session->service, a, NULL);
    }
    session->is_gone = true;
    session_unref(session);
}

void session_end(struct session *session)
{
    if (session->is_busy || session->is_ending || session->state != SESSION_ASLEEP)
        return;
    session->is_ending = true;
    session_set_disk(session, 0);
    if (session->ephemeral)
        on_dropped(session);
    else
        workspace_drop(session->service, session->record.workspace, on_dropped, session);
}

static void add_answer(struct session *session, void (*done)(void *data), void *data)
{
    struct session_answer *a = session_answer_create(session, data, NULL);

    if (a == NULL) {
        done(data); /* without memory for more */
        return;
    }
    a->tell = tell_deleted;
    a->deleted = done;
    if (session->is_gone) {
        session_answer(session->service, a, NULL);
        return;
    }
    a->next = session->on_deleted;
    session->on_deleted = a;
}

static void forget(struct session *session)
{
    struct err e = {0};

    if (session->record.number != 0 &&
        store_session_remove(session->service->store, session->record.number, &e) < 0)
        log_event(LOG_ERROR, "session.not_removed", LOG_STR("session", session->record.id),
                  LOG_STR("reason", e.text));
    session_unlink(session);
    err_set(&e, ERR_NOT_FOUND, 0, "session '%.128s' was deleted", session->record.id);
    session_fail_waiting(session, &e);
    log_event(LOG_INFO, "session.deleted", LOG_STR("session", session->record.id));
}

void session_delete(struct session *session, void (*done)(void *data), void *data)
{
    if (done != NULL)
        add_answer(session, done, data);
    if (session->is_deleted)
        return;
    session->is_deleted = true;
    forget(session);
    if (session->on_asleep == NULL)
        session->on_asleep = session_end;
    if (session->state != SESSION_ASLEEP)
        session_close(session);
    session_advance(session);
}

int session_remove(struct session *session, void (*done)(void *data), void *data, struct err *e)
{
    if (!session->is_deleted && session->record.number != 0) {
        if (store_session_remove(session->service->store, session->record.number, e) < 0)
            return -1;
        session->record.number = 0;
    }
    session_delete(session, done, data);
    return 0;
}

/* -- changes ----------------------------------------------------------------------------------- */

static void tell_changed(struct session_answer *a)
{
    struct err e = a->e;

    a->changed(a->data, e.code != ERR_NONE ? &e : NULL);
}

struct session_answer *session_change_answer(struct session *session,
                                             void (*done)(void *data, const struct err *e),
                                             void *data)
{
    struct err e = {0};
    struct session_answer *a = session_answer_create(session, data, &e);

    if (a == NULL) {
        done(data, &e); /* without memory for more */
        return NULL;
    }
    a->tell = tell_changed;
    a->changed = done;
    return a;
}

/* The record becomes another; if that cannot be written it stays as it is.  The texts that differ
 * are taken over if it works. */
static int keep_changed(struct session *session, const struct session_record *changed,
                        struct err *e)
{
    struct session_record *r = &session->record;

    if (r->number != 0 && !session->is_deleted &&
        store_session_update(session->service->store, changed, e) < 0)
        return -1;
    if (changed->env != r->env)
        free(r->env);
    if (changed->labels != r->labels)
        free(r->labels);
    *r = *changed;
    return 0;
}

struct growth {
    struct session *session;
    struct session_visit *visit;
    struct session_answer *answer;
    uint64_t bytes;
};

static void end_growth(struct growth *g, const struct err *e)
{
    session_answer(g->session->service, g->answer, e);
    if (g->visit != NULL)
        session_left(g->visit);
    free(g);
}

static void on_grown(void *data, const struct err *e)
{
    struct growth *g = data;

    struct session_record changed = g->session->record;
    struct err why = {0};

    if (e == NULL && g->bytes > changed.bytes) {
        changed.bytes = g->bytes;
        if (keep_changed(g->session, &changed, &why) < 0)
            e = &why;
    }
    end_growth(g, e);
}

static void on_entered(void *data, struct session *session, struct live *live, const struct err *e)
{
    struct growth *g = data;
    struct err why = {0};

    if (live == NULL) {
        g->visit = NULL;
        end_growth(g, e);
    } else if (live_grow(live, g->bytes, on_grown, g, &why) < 0) {
        end_growth(g, &why);
    }
}

/* Takes over the answer. */
static void grow_awake(struct session *session, uint64_t bytes, struct session_answer *a)
{
    struct growth *g = calloc(1, sizeof *g);
    struct err e = {0};

    if (g != NULL) {
        *g = (struct growth){.session = session, .answer = a, .bytes = bytes};
        g->visit = session_enter(session, on_entered, g, &e);
    } else {
        err_set(&e, ERR_UNAVAILABLE, 0, "out of memory");
    }
    if (g != NULL && g->visit != NULL)
        return;
    session_answer(session->service, a, &e);
    free(g);
}

/* NULL stays NULL. */
static int copy_text(const char *text, char **ret, struct err *e)
{
    *ret = text != NULL ? strdup(text) : NULL;
    return text == NULL || *ret != NULL ? 0 : err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
}

/* All of it or nothing. */
static int apply(struct session *session, const struct session_change *c, struct err *e)
{
    struct session_record r = session->record;
    char *env = NULL, *labels = NULL, **list = NULL;

    if (session_change_check(session, c, e) < 0)
        return -1;
    if (copy_text(c->env, &env, e) < 0 || copy_text(c->labels, &labels, e) < 0 ||
        (env != NULL && (list = session_env_parse(env)) == NULL)) {
        free(env);
        free(labels);
        return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
    }
    r.env = env != NULL ? env : r.env;
    r.labels = labels != NULL ? labels : r.labels;
    r.idle_s = c->idle_s != 0 ? c->idle_s : r.idle_s;
    r.idle_ttl_s = c->idle_ttl_s != 0 ? c->idle_ttl_s : r.idle_ttl_s;
    r.ttl_s = c->ttl_s != 0 ? c->ttl_s : r.ttl_s;
    if (session->state == SESSION_ASLEEP && !session->is_busy && c->bytes != 0)
        r.bytes = c->bytes;
    if (keep_changed(session, &r, e) < 0) {
        free(env);
        free(labels);
        free(list);
        return -1;
    }
    if (list != NULL) {
        free(session->env);
        session->env = list;
    }
    return 0;
}

void session_change(struct session *session, const struct session_change *c,
                    void (*done)(void *data, const struct err *e), void *data)
{
    struct session_answer *a = session_change_answer(session, done, data);
    struct err e = {0};

    if (a == NULL)
        return;
    if (session->is_deleted)
        err_set(&e, ERR_NOT_FOUND, 0, "session '%.128s' was deleted", session->record.id);
    if (session->is_deleted || apply(session, c, &e) < 0)
        session_answer(session->service, a, &e);
    else if (c->bytes > session->record.bytes)
        grow_awake(session, c->bytes, a);
    else
        session_answer(session->service, a, NULL);
}

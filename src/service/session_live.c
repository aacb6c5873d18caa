/* session_live: how a session wakes and falls asleep (session_sleep.c: when).
 *
 *   asleep --(somebody enters)--> waking: a seat, the environment, the sandbox --> awake
 *   awake --(idle, no seat for others, deleted, restored, lost)--> falling asleep --> asleep
 *
 * Runs in the server, on the loop.  A seat is what SESSION_LIVE_LIMIT counts: a session has one
 * from the beginning of its waking until its sandbox has gone.  Who enters while it falls asleep
 * waits, and wakes it again. */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/nest.h"
#include "service/session_internal.h"

/* -- the list of those that are awake, the longest unused first -------------------------------- */

static void awake_add(struct session *session)
{
    struct session_service *s = session->service;

    session->awake_next = NULL;
    session->awake_prev = s->awake_last;
    *(s->awake_last != NULL ? &s->awake_last->awake_next : &s->awake_first) = session;
    s->awake_last = session;
}

static void awake_remove(struct session *session)
{
    struct session_service *s = session->service;

    *(session->awake_prev != NULL ? &session->awake_prev->awake_next : &s->awake_first) =
        session->awake_next;
    *(session->awake_next != NULL ? &session->awake_next->awake_prev : &s->awake_last) =
        session->awake_prev;
}

static void note_use(struct session *session)
{
    session->record.used_ms = session_now_ms(session->service);
    session->used_us = clock_now_us();
    session_touch(session);
    if (session->state == SESSION_AWAKE) {
        awake_remove(session);
        awake_add(session);
    }
}

void session_visit_use(struct session_visit *v, bool in_use)
{
    if (v->in_use == in_use)
        return;
    v->in_use = in_use;
    v->session->users += in_use ? 1 : (uint32_t)-1;
    note_use(v->session);
}

/* -- visits ------------------------------------------------------------------------------------ */

static void add_visit(struct session_visits *list, struct session_visit *v)
{
    v->next = NULL;
    v->prev = list->last;
    *(list->last != NULL ? &list->last->next : &list->first) = v;
    list->last = v;
}

static void remove_visit(struct session_visits *list, struct session_visit *v)
{
    *(v->prev != NULL ? &v->prev->next : &list->first) = v->next;
    *(v->next != NULL ? &v->next->prev : &list->last) = v->prev;
}

/* Its visits are looked at soon. */
static void pump_soon(struct session *session)
{
    struct session_service *s = session->service;

    if (session->in_pump)
        return;
    session->in_pump = true;
    session->pump_next = NULL;
    session_ref(session);
    *(s->pump_last != NULL ? &s->pump_last->pump_next : &s->pump_first) = session;
    s->pump_last = session;
    session_soon(s);
}

void session_fail_waiting(struct session *session, const struct err *e)
{
    for (struct session_visit *v = session->waiting.first; v != NULL; v = v->next) {
        v->is_failed = true;
        v->e = *e;
    }
    if (session->waiting.first != NULL)
        pump_soon(session);
}

static void tell_failed(struct session_visit *v)
{
    struct session_visit copy = *v;

    remove_visit(&v->session->waiting, v);
    free(v);
    copy.done(copy.data, copy.session, NULL, &copy.e);
    session_unref(copy.session);
}

static void let_in(struct session_visit *v)
{
    struct session *session = v->session;

    remove_visit(&session->waiting, v);
    add_visit(&session->inside, v);
    v->is_inside = true;
    v->up = session->ups;
    session_visit_use(v, true);
    v->done(v->data, session, session->live, NULL);
}

static bool may_enter(const struct session *session)
{
    return session->state == SESSION_AWAKE && !session->is_busy && !session->is_deleted;
}

/* Whoever is told may come again, leave, or end the session: look anew after each. */
static void pump(struct session *session)
{
    struct session_visit *v;

    while ((v = session->waiting.first) != NULL) {
        if (v->is_failed)
            tell_failed(v);
        else if (may_enter(session))
            let_in(v);
        else
            break;
    }
    session_advance(session);
}

void session_pump_all(struct session_service *s)
{
    struct session *session;

    while ((session = s->pump_first) != NULL) {
        s->pump_first = session->pump_next;
        if (s->pump_first == NULL)
            s->pump_last = NULL;
        session->in_pump = false;
        pump(session);
        session_unref(session);
    }
}

struct session_visit *session_enter(struct session *session, session_entered *done, void *data,
                                    struct err *e)
{
    struct session_visit *v = calloc(1, sizeof *v);

    if (v == NULL) {
        err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
        return NULL;
    }
    *v = (struct session_visit){.session = session, .done = done, .data = data};
    session_ref(session);
    add_visit(&session->waiting, v);
    if (session->is_deleted) {
        v->is_failed = true;
        err_set(&v->e, ERR_NOT_FOUND, 0, "session '%.128s' was deleted", session->record.id);
    }
    if (v->is_failed || may_enter(session))
        pump_soon(session);
    else
        session_advance(session);
    return v;
}

struct live *session_visit_live(const struct session_visit *v)
{
    const struct session *session = v->session;

    return session->state == SESSION_AWAKE && session->ups == v->up && v->is_inside ? session->live
                                                                                    : NULL;
}

void session_left(struct session_visit *v)
{
    struct session *session = v->session;

    session_visit_use(v, false);
    remove_visit(v->is_inside ? &session->inside : &session->waiting, v);
    free(v);
    session_unref(session);
}

/* -- seats ------------------------------------------------------------------------------------- */

static void give_up_seat(struct session *session)
{
    if (session->has_seat)
        session->service->seats--;
    session->has_seat = false;
}

static void leave_queue(struct session *session)
{
    struct session_service *s = session->service;
    struct session **at = &s->queue_first, *before = NULL;

    if (!session->in_queue)
        return;
    while (*at != session) {
        before = *at;
        at = &(*at)->queue_next;
    }
    *at = session->queue_next;
    if (s->queue_last == session)
        s->queue_last = before;
    session->in_queue = false;
    s->nqueue--;
}

static void enter_queue(struct session *session)
{
    struct session_service *s = session->service;

    session->in_queue = true;
    session->queue_next = NULL;
    *(s->queue_last != NULL ? &s->queue_last->queue_next : &s->queue_first) = session;
    s->queue_last = session;
    s->nqueue++;
}

/* Whether a seat will be free for one more that waits: puts the one to sleep that was not used for
 * longest, unless enough are on their way. */
static bool make_room(struct session_service *s)
{
    struct session *one;

    if (s->leaving > s->nqueue)
        return true;
    one = session_longest_unused(s);
    if (one != NULL)
        session_close(one);
    return one != NULL;
}

/* -- waking ------------------------------------------------------------------------------------ */

static void leave_environment(struct session *session)
{
    if (session->in_environment)
        environment_left(session->service->config.environments, session->record.environment,
                         session->nest, NULL);
    session->in_environment = false;
    session->nest = NULL;
}

void session_stop_waking(struct session *session)
{
    if (session->entering != NULL)
        environment_enter_cancel(session->entering);
    session->entering = NULL;
    run_spec_destroy(session->spec);
    session->spec = NULL;
    leave_queue(session);
    leave_environment(session);
    give_up_seat(session);
    if (session->state == SESSION_WAKING)
        session->state = SESSION_ASLEEP;
}

static void fail_waking(struct session *session, const struct err *e)
{
    log_event(LOG_WARNING, "session.not_awake", LOG_STR("session", session->record.id),
              LOG_STR("reason", e->text));
    session_stop_waking(session);
    session_fail_waiting(session, e);
    session_soon(session->service);
}

static void on_up(void *data)
{
    struct session *session = data;

    session->is_up = true;
    session->ups++;
    session->state = SESSION_AWAKE;
    awake_add(session);
    note_use(session);
    if (!session->ephemeral && !session->record.is_made) {
        session->record.is_made = true;
        session_save(session);
    }
    log_event(LOG_DEBUG, "session.awake", LOG_STR("session", session->record.id));
    pump_soon(session);
}

static void on_lost(void *data, const struct err *e)
{
    struct session *session = data;

    session->is_lost = true;
    session->lost = *e;
    session_close(session);
}

static void open_live(struct session *session)
{
    const struct session_record *r = &session->record;
    const struct live_config config = {
        .nest = session->nest,
        .workspace = session->ephemeral ? 0 : r->workspace,
        .bytes = r->bytes,
        .is_new = !session->ephemeral && !r->is_made,
        .limits = session->spec->limits,
        .network = session->spec->network,
        .on_up = on_up,
        .on_lost = on_lost,
        .data = session,
    };
    struct err e = {0};

    run_spec_destroy(session->spec);
    session->spec = NULL;
    free(session->env);
    session->env = session_env_parse(r->env);
    if (session->env == NULL)
        err_set(&e, ERR_UNAVAILABLE, 0, "out of memory");
    else
        session->live = live_open(session->service->config.engine, &config, &e);
    if (session->live == NULL)
        fail_waking(session, &e);
}

static void on_environment(void *data, enum environment_entry how, const char *status,
                           const struct err *e)
{
    struct session *session = data;
    const char *name = session->record.environment;
    struct err why = {0};

    session->entering = NULL;
    if (how == ENVIRONMENT_ENTERED) {
        session->in_environment = true;
        session->nest = session->spec->nest;
        open_live(session);
        return;
    }
    if (how == ENVIRONMENT_UNKNOWN)
        err_set(&why, ERR_NOT_FOUND, 0,
                "environment '%.60s' of session '%.128s' does not exist any more", name,
                session->record.id);
    else if (how == ENVIRONMENT_NOT_READY)
        err_set(&why, ERR_UNAVAILABLE, 0, "environment '%.60s' is not ready: %.20s", name, status);
    else
        why = *e;
    fail_waking(session, &why);
}

/* With a seat. */
static void enter_environment(struct session *session)
{
    struct session_service *s = session->service;
    const struct session_record *r = &session->record;
    struct environment_visit *v;
    struct err e = {0};

    session->has_seat = true;
    s->seats++;
    session->spec = run_spec_create();
    if (session->spec == NULL) {
        err_set(&e, ERR_UNAVAILABLE, 0, "out of memory");
        fail_waking(session, &e);
        return;
    }
    session->spec->limits = (struct run_limits){.memory_mb = (uint32_t)r->memory_mb,
                                                .cpu_milli = (uint32_t)r->cpu_milli,
                                                .processes = (uint32_t)r->processes};
    session->spec->network = r->network[0] == 'b' ? SPAWN_NETWORK_BRIDGE : SPAWN_NETWORK_NONE;
    session->spec->network_set = true;
    v = environment_enter(s->config.environments, r->environment, session->spec, on_environment,
                          session);
    if (v != NULL)
        session->entering = v;
}

static void wake(struct session *session)
{
    struct session_service *s = session->service;
    struct err e = {0};

    session->state = SESSION_WAKING;
    if (s->is_short) {
        err_set(&e, ERR_UNAVAILABLE, 0, "the machine is short of memory; try again later");
        fail_waking(session, &e);
    } else if (s->seats < s->rules.awake_max && s->nqueue == 0) {
        enter_environment(session);
    } else if (make_room(s)) {
        enter_queue(session);
    } else {
        err_set(&e, ERR_UNAVAILABLE, 0, "%u sessions are in use already (SESSION_LIVE_LIMIT)",
                s->seats);
        fail_waking(session, &e);
    }
}

void session_seats_pump(struct session_service *s)
{
    while (s->queue_first != NULL && s->seats < s->rules.awake_max) {
        struct session *session = s->queue_first;

        leave_queue(session);
        enter_environment(session);
    }
}

/* -- falling asleep ---------------------------------------------------------------------------- */

/* What became of a sandbox that did not come up, or was lost. */
static void judge_loss(struct session *session, bool was_up)
{
    struct session_record *r = &session->record;
    struct err e = session->lost;
    bool retry = false;

    session->is_lost = false;
    if (was_up)
        log_event(LOG_WARNING, "session.lost", LOG_STR("session", r->id),
                  LOG_STR("reason", e.text));
    if (was_up && session->ephemeral && !session->is_deleted) {
        session_delete(session, NULL, NULL); /* its files are gone */
    } else if (!was_up && !r->is_made && (e.errnum == EEXIST || e.code == ERR_EXISTS)) {
        /* A crash came between making the image and writing that down. */
        r->is_made = true;
        session_touch(session);
        retry = true;
    } else if (!was_up && r->is_made && (e.errnum == ENOENT || e.code == ERR_NOT_FOUND)) {
        err_set(&e, ERR_NOT_FOUND, 0,
                "the workspace of session '%.100s' is gone: its image is not on the disk any more; "
                "delete the session",
                r->id);
    } else if (!was_up && e.code == ERR_LIMIT) {
        retry = make_room(session->service);
        e.code = ERR_UNAVAILABLE;
    }
    if (!was_up && !retry)
        session_fail_waiting(session, &e);
}

static void on_closed(void *data, uint64_t bytes)
{
    struct session *session = data;
    struct session_service *s = session->service;
    bool was_up = session->is_up;

    session->live = NULL;
    session->is_up = false;
    session->state = SESSION_ASLEEP;
    s->leaving--;
    leave_environment(session);
    give_up_seat(session);
    if (was_up && !session->ephemeral && bytes > 0) {
        session_set_disk(session, bytes);
        session_save(session);
    }
    log_event(LOG_DEBUG, "session.asleep", LOG_STR("session", session->record.id));
    if (session->is_lost)
        judge_loss(session, was_up);
    session_tell_asleep(session);
    session_seats_pump(s);
    session_advance(session);
    session_unref(session);
}

void session_close(struct session *session)
{
    if (session->state == SESSION_FALLING_ASLEEP)
        return;
    if (session->live == NULL) {
        session_stop_waking(session);
        session_soon(session->service);
        return;
    }
    if (session->state == SESSION_AWAKE)
        awake_remove(session);
    session->state = SESSION_FALLING_ASLEEP;
    session->service->leaving++;
    session_ref(session);
    live_close(session->live, on_closed, session);
}

/* -- what comes next --------------------------------------------------------------------------- */

void session_advance(struct session *session)
{
    void (*on_asleep)(struct session * session) = session->on_asleep;

    if (session->state != SESSION_ASLEEP)
        return;
    if (on_asleep != NULL) {
        session->on_asleep = NULL;
        on_asleep(session);
    } else if (!session->is_deleted && !session->is_busy && session->waiting.first != NULL &&
               !session->waiting.first->is_failed) {
        wake(session);
    }
}

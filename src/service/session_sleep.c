/* session_sleep: when sessions are put to sleep: when they are told to, have been idle for long, or
 * hold what others need.
 *
 * Runs in the server, on the loop.  Only sessions that nobody would miss are put to sleep for
 * others: durable, and with nobody in them. */
#include "base/clock.h"
#include "base/log.h"
#include "service/session_internal.h"

#define RELIEVE_MAX   8 /* sessions that one tick puts to sleep because memory is short */
#define SLEEP_WAIT_US (UINT64_C(10) * 1000000) /* a caller waits at most so long for it */

/* Whether it could sleep now without anybody noticing. */
static bool is_unused(const struct session *session)
{
    return session->state == SESSION_AWAKE && !session->ephemeral &&
           session->inside.first == NULL && session->waiting.first == NULL;
}

struct session *session_longest_unused(struct session_service *s)
{
    struct session *one = s->awake_first;

    while (one != NULL && !is_unused(one))
        one = one->awake_next;
    return one;
}

/* -- told to ----------------------------------------------------------------------------------- */

/* Tells those that wait for this session (NULL: for any) and for whom `now` is late enough. */
static void tell_sleepers(struct session_service *s, const struct session *session, uint64_t now)
{
    struct session_answer *a, **at = &s->sleepers;
    struct err e;

    while ((a = *at) != NULL) {
        if ((session != NULL && a->session != session) || now < a->until_us) {
            at = &a->next;
            continue;
        }
        *at = a->next;
        e = (struct err){0};
        if (a->session->is_deleted)
            err_set(&e, ERR_NOT_FOUND, 0, "session '%.128s' was deleted", a->session->record.id);
        session_answer(s, a, &e);
    }
}

void session_tell_asleep(struct session *session)
{
    tell_sleepers(session->service, session, UINT64_MAX);
}

int session_sleep(struct session *session, void (*done)(void *data, const struct err *e),
                  void *data, struct err *e)
{
    struct session_service *s = session->service;
    struct session_answer *a;

    if (session->ephemeral)
        return err_set(e, ERR_INVALID, 0, "a session in memory cannot sleep");
    if (session->inside.first != NULL || session->waiting.first != NULL || session->is_busy ||
        session->state == SESSION_WAKING)
        return err_set(e, ERR_EXISTS, 0, "session '%.128s' is in use", session->record.id);
    a = session_change_answer(session, done, data);
    if (a == NULL)
        return 0;
    if (session->state == SESSION_ASLEEP) {
        session_answer(s, a, NULL);
        return 0;
    }
    a->until_us = clock_now_us() + SLEEP_WAIT_US;
    a->next = s->sleepers;
    s->sleepers = a;
    session_close(session);
    return 0;
}

/* -- idle -------------------------------------------------------------------------------------- */

void session_sleep_idle(struct session_service *s)
{
    struct session *next;
    uint64_t now = clock_now_us();

    tell_sleepers(s, NULL, now);
    for (struct session *one = s->awake_first; one != NULL; one = next) {
        int64_t idle_s = one->record.idle_s;

        next = one->awake_next;
        if (session_is_expired(one))
            session_delete(one, NULL, NULL);
        else if (!one->ephemeral && one->users == 0 && one->waiting.first == NULL && idle_s >= 0 &&
                 now - one->used_us >= (uint64_t)idle_s * 1000000)
            session_close(one);
    }
}

/* -- for an environment that another wants ------------------------------------------------------
 */

/* The list of those that are awake begins with the longest unused. */
static uint64_t unused_since(void *data, const struct nest *nest, uint32_t entered)
{
    const struct session_service *s = data;
    uint64_t since = 0;
    uint32_t n = 0;

    for (const struct session *one = s->awake_first; one != NULL; one = one->awake_next) {
        if (one->nest != nest || !is_unused(one))
            continue;
        since = one->used_us;
        n++;
    }
    return n == entered ? since : 0;
}

static void leave_nest(void *data, const struct nest *nest)
{
    struct session_service *s = data;
    struct session *next;

    for (struct session *one = s->awake_first; one != NULL; one = next) {
        next = one->awake_next;
        if (one->nest == nest && is_unused(one))
            session_close(one);
    }
}

void session_be_guests(struct session_service *s)
{
    const struct environment_guests guests = {
        .unused_since = unused_since, .leave = leave_nest, .data = s};

    environment_set_guests(s->config.environments, &guests);
}

/* -- for others -------------------------------------------------------------------------------- */

/* Durable ones first: they lose nothing.  One in memory has to be idle for as long as a durable one
 * until it sleeps. */
void session_relieve(struct session_service *s)
{
    uint64_t now = clock_now_us();
    struct session *one;

    for (int i = 0; i < RELIEVE_MAX; i++) {
        one = session_longest_unused(s);
        if (one == NULL)
            break;
        session_close(one);
    }
    if (s->leaving > 0)
        return;
    for (one = s->awake_first; one != NULL; one = one->awake_next) {
        if (!one->ephemeral || one->users > 0 || one->waiting.first != NULL ||
            one->record.idle_s < 0 || now - one->used_us < (uint64_t)one->record.idle_s * 1000000)
            continue;
        log_event(LOG_WARNING, "session.out_of_memory", LOG_STR("session", one->record.id));
        session_delete(one, NULL, NULL);
        return;
    }
}

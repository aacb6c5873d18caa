/* pool: sandboxes that are ready before anybody asks.
 *
 * Runs in the server's loop.  A pool keeps `target` ready ones, follows the demand between its
 * floor and its ceiling, and never has more than a few under construction, so that making them does
 * not starve those who run.  Every sandbox is given out once. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/internal.h"

#define OPENING_MAX     4    /* under construction at once: two cores, and the zygote serves one */
#define TICK_S          0.1  /* engine.c's timer */
#define RATE_WEIGHT     0.2  /* of the newest tick in the smoothed rate: follows within a second */
#define COVER_S         0.05 /* the pool covers so many seconds of demand */
#define LULL_TICKS      100  /* without a run, after which nobody is expected to come at once */
#define FAILURES_LOUD   3    /* in a row, before it is more than a warning */
#define RETRY_FIRST_US  10000
#define RETRY_DOUBLINGS 7        /* at most 1.3 s between attempts */
#define GIVE_UP_US      10000000 /* a run waits so long for a sandbox while none can be made, */
#define WAIT_US         60000000 /* and so long while they are made, however slowly */
#define READY_US        75000000 /* init itself waits 65 s for an interpreter that imports */

void pool_init(struct pool *p, struct nest *nest, enum spawn_kind kind, uint32_t min, uint32_t max)
{
    *p = (struct pool){.nest = nest, .kind = kind, .min = min, .max = max, .target = min};
    p->enabled = true;
    p->waiting_tail = &p->waiting;
}

void pool_refill(struct pool *p)
{
    uint32_t want = p->target + p->nwaiting;

    if (want == 0 && p->is_proof && !p->made)
        want = 1;
    if (!p->enabled || clock_now_us() < p->retry_us)
        return;
    while (p->nready + p->nopening < want && p->nopening < OPENING_MAX) {
        struct sandbox *sb = sandbox_open(p);

        if (sb == NULL)
            return;
        sb->next = p->opening;
        p->opening = sb;
        p->nopening++;
    }
}

static bool unlink_from(struct sandbox **list, const struct sandbox *sb)
{
    for (struct sandbox **at = list; *at != NULL; at = &(*at)->next) {
        if (*at == sb) {
            *at = sb->next;
            return true;
        }
    }
    return false;
}

static struct sandbox *pop_ready(struct pool *p)
{
    struct sandbox *sb = p->ready;

    p->ready = sb->next;
    p->nready--;
    return sb;
}

static struct taker *pop_waiting(struct pool *p)
{
    struct taker *t = p->waiting;

    p->waiting = t->next;
    if (p->waiting == NULL)
        p->waiting_tail = &p->waiting;
    p->nwaiting--;
    return t;
}

void pool_take(struct pool *p, struct taker *t)
{
    p->taken++;
    t->pool = p;
    if (p->ready != NULL) {
        t->ops->begin(t, pop_ready(p));
    } else {
        t->next = NULL;
        t->waiting_since_us = clock_now_us();
        *p->waiting_tail = t;
        p->waiting_tail = &t->next;
        p->nwaiting++;
    }
    /* Making a sandbox takes a core for longer than most runs need one: while there are others, the
     * replacement waits until this run has ended (engine_refill_soon, or the next tick). */
    if (p->nready * 2 < p->target || p->nwaiting > 0)
        pool_refill(p);
}

void pool_leave(struct pool *p, struct taker *t)
{
    for (struct taker **at = &p->waiting; *at != NULL; at = &(*at)->next) {
        if (*at != t)
            continue;
        *at = t->next;
        if (*at == NULL)
            p->waiting_tail = at;
        p->nwaiting--;
        return;
    }
}

static void forget_opening(struct pool *p, const struct sandbox *sb)
{
    if (unlink_from(&p->opening, sb))
        p->nopening--;
}

void pool_ready(struct pool *p, struct sandbox *sb)
{
    forget_opening(p, sb);
    p->made = true;
    p->failures = 0;
    p->retry_us = 0;
    if (p->nwaiting > 0) {
        struct taker *t = pop_waiting(p);

        t->ops->begin(t, sb);
    } else {
        sb->next = p->ready;
        p->ready = sb;
        p->nready++;
    }
    pool_refill(p);
}

void pool_failed(struct pool *p, struct sandbox *sb, const struct err *e)
{
    uint32_t doublings = p->failures < RETRY_DOUBLINGS ? p->failures : RETRY_DOUBLINGS;

    if (sb->state == SANDBOX_READY) {
        if (unlink_from(&p->ready, sb))
            p->nready--; /* it died while it waited: the next tick replaces it */
        return;
    }
    forget_opening(p, sb);
    if (p->failures++ == 0)
        p->failing_since_us = clock_now_us();
    p->retry_us = clock_now_us() + ((uint64_t)RETRY_FIRST_US << doublings);
    p->errnum = e->errnum;
    snprintf(p->reason, sizeof p->reason, "%s", e->text);
    log_event(p->failures >= FAILURES_LOUD ? LOG_ERROR : LOG_WARNING, "sandbox.failed",
              LOG_STR("kind", p->kind == SPAWN_WARM ? "warm" : "cold"), LOG_STR("reason", e->text),
              LOG_INT("in_a_row", p->failures));
}

void pool_drop(struct pool *p, struct sandbox *sb)
{
    forget_opening(p, sb);
}

static void follow_demand(struct pool *p)
{
    double now = p->taken / TICK_S;
    uint32_t want;

    p->quiet_ticks = p->taken > 0 ? 0 : p->quiet_ticks + 1;
    p->taken = 0;
    p->rate += (now - p->rate) * RATE_WEIGHT;
    want = p->min + (uint32_t)(p->rate * COVER_S);
    p->target = want > p->max ? p->max : want;
}

/* One too many at a time, and some more than the target are kept for a while: a short lull must not
 * throw away what the next burst needs.  The proof stays until the nest has answered for itself. */
static void shrink(struct pool *p)
{
    uint32_t kept = p->is_proof && p->min == 0 ? 1 : p->min;
    uint32_t spare = p->quiet_ticks < LULL_TICKS ? kept : 0;

    if (p->nready > p->target + spare)
        sandbox_close(pop_ready(p));
}

static void fail_first(struct pool *p, const char *why)
{
    struct taker *t = pop_waiting(p);

    t->ops->unserved(t, why);
}

static struct sandbox *find_silent(const struct pool *p, uint64_t now)
{
    for (struct sandbox *sb = p->opening; sb != NULL; sb = sb->next) {
        if (sb->state == SANDBOX_BUILDING && now - sb->built_us > READY_US)
            return sb;
    }
    return NULL;
}

/* One whose init stands still would keep its place among those under construction for ever. */
static void give_up_silent(struct pool *p, uint64_t now)
{
    struct sandbox *sb;
    struct err e;

    while ((sb = find_silent(p, now)) != NULL) {
        err_set(&e, ERR_UNAVAILABLE, 0, "a sandbox did not get ready in %d s", READY_US / 1000000);
        sandbox_fail(sb, &e);
    }
}

/* On a machine that has too much to do runs are late; only where making sandboxes has failed for a
 * while, or nobody makes any, is there nothing to wait for. */
static uint64_t patience_us(const struct pool *p, uint64_t now)
{
    bool fails = p->failures > 0 && now - p->failing_since_us > GIVE_UP_US;

    return p->enabled && !fails ? WAIT_US : GIVE_UP_US;
}

void pool_tick(struct pool *p)
{
    uint64_t now = clock_now_us();

    follow_demand(p);
    shrink(p);
    give_up_silent(p, now);
    while (p->waiting != NULL && now - p->waiting->waiting_since_us > patience_us(p, now))
        fail_first(p, p->reason);
    pool_refill(p);
}

static void close_opening(struct pool *p, bool unanswered)
{
    struct sandbox *next;

    for (struct sandbox *sb = p->opening; sb != NULL; sb = next) {
        next = sb->next;
        if (sb->state == SANDBOX_OPENING && !unanswered)
            continue;
        forget_opening(p, sb);
        sandbox_close(sb);
    }
}

void pool_drain(struct pool *p)
{
    p->enabled = false;
    while (p->ready != NULL)
        sandbox_close(pop_ready(p));
    close_opening(p, false);
}

void pool_hand_over(struct pool *from, struct pool *to)
{
    while (from->waiting != NULL) {
        struct taker *t = pop_waiting(from);
        uint64_t since_us = t->waiting_since_us;

        pool_take(to, t);
        t->waiting_since_us = since_us;
    }
}

void pool_fail_waiting(struct pool *p, const char *why)
{
    while (p->waiting != NULL)
        fail_first(p, why);
}

void pool_close(struct pool *p)
{
    pool_drain(p);
    close_opening(p, true);
}

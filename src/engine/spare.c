/* spare: a warm interpreter in a session's sandbox, ready before somebody runs Python there.
 *
 * Runs in the server's loop.  Init is told to admit it, the spawner has a child of the nest's
 * zygote join, init gets what that child is fed and watched by, and says when it waits for its
 * script.  Whatever fails on the way costs nothing but time: the program then starts cold. */
#include "engine/spare.h"

#include <signal.h>

#include "base/fd.h"
#include "engine/process_internal.h"

#define PATIENCE_MS  250 /* a program waits so long for its interpreter, then it starts cold */
#define AHEAD_MS     10  /* after one was taken, the next is made */
#define FAILURES_MAX 3   /* in a row: then this session has none */

static void on_timer(uv_timer_t *timer);

void spare_init(struct live *live)
{
    live->spare = (struct spare){.out = -1, .err = -1};
    live->spare.waiting_tail = &live->spare.waiting;
}

bool spare_is_possible(const struct live *live)
{
    const struct nest *nest = live->taker.nest;

    return nest != NULL && nest->is_warm && !nest->closing && nest->pools[SPAWN_WARM].made &&
           live->state == LIVE_UP && live->spare.failures < FAILURES_MAX;
}

static struct process *pop(struct spare *s)
{
    struct process *p = s->waiting;

    s->waiting = p->waiting_next;
    if (s->waiting == NULL)
        s->waiting_tail = &s->waiting;
    return p;
}

static void start_cold(struct live *live)
{
    while (live->spare.waiting != NULL)
        process_run_cold(pop(&live->spare));
}

static int say(struct live *live, uint32_t op, int *fds, size_t nfds)
{
    struct session_head head = {.op = op, .id = live->spare.id};

    return live_send(live, &head, sizeof head, fds, nfds, NULL);
}

static void close_outputs(struct spare *s)
{
    fd_close(&s->out);
    fd_close(&s->err);
}

/* None comes of this one: it has ended, or is ended. */
static void give_up(struct live *live, enum spare_state then)
{
    struct {
        struct session_head head;
        struct session_signal signal;
    } m = {{SESSION_SIGNAL, live->spare.id}, {SIGKILL, SCOPE_GROUP}};

    close_outputs(&live->spare);
    live->spare.state = then;
    if (then == SPARE_DYING)
        live_send(live, &m, sizeof m, NULL, 0, NULL);
}

static void fail(struct live *live, enum spare_state then)
{
    live->spare.failures++;
    give_up(live, then);
    start_cold(live);
}

static void begin(struct live *live)
{
    struct spare *s = &live->spare;

    if (s->state != SPARE_NONE || !spare_is_possible(live))
        return;
    s->id = SPARE_ID | ++s->last_id;
    if (say(live, SESSION_ADMIT, NULL, 0) < 0)
        fail(live, SPARE_NONE);
    else
        s->state = SPARE_ASKED;
}

static void plan(struct live *live)
{
    if (live->spare.waiting != NULL)
        uv_timer_start(&live->patience, on_timer, PATIENCE_MS, 0);
    else if (live->spare.state == SPARE_NONE && live->spare.is_wanted)
        uv_timer_start(&live->patience, on_timer, AHEAD_MS, 0);
    else
        uv_timer_stop(&live->patience);
}

/* It is time: for the next one, or not to wait for this one any more. */
static void on_timer(uv_timer_t *timer)
{
    struct live *live = timer->data;
    enum spare_state state = live->spare.state;

    if (live->spare.waiting == NULL)
        begin(live);
    else
        fail(live, state == SPARE_NONE ? SPARE_NONE : SPARE_DYING);
}

/* Gives a ready one away. */
static void give(struct live *live)
{
    struct spare *s = &live->spare;

    if (s->state == SPARE_READY && s->waiting != NULL) {
        s->state = SPARE_NONE;
        process_run_warm(pop(s), s->id, s->pid, &s->out, &s->err);
    }
    if (s->waiting != NULL)
        begin(live);
    plan(live);
}

void spare_await(struct live *live, struct process *p)
{
    struct spare *s = &live->spare;

    s->is_wanted = true;
    p->is_waiting = true;
    p->waiting_next = NULL;
    *s->waiting_tail = p;
    s->waiting_tail = &p->waiting_next;
    give(live);
}

void spare_leave(struct live *live, struct process *p)
{
    struct spare *s = &live->spare;

    for (struct process **at = &s->waiting; p->is_waiting && *at != NULL;
         at = &(*at)->waiting_next) {
        if (*at != p)
            continue;
        *at = p->waiting_next;
        if (*at == NULL)
            s->waiting_tail = at;
        break;
    }
    p->is_waiting = false;
}

static void on_joined(void *data, const struct spawn_reply *reply, int *fds)
{
    struct sandbox *sb = data;
    struct live *live = live_of_sandbox(sb);
    struct spare *s = &live->spare;

    if (reply->error == 0 && s->state == SPARE_JOINING) {
        s->out = fds[0];
        s->err = fds[1];
        s->state = SPARE_COMING;
        if (say(live, SESSION_CHILD, fds + 2, 2) < 0)
            fail(live, SPARE_NONE);
        return;
    }
    for (int i = 0; reply->error == 0 && i < SPAWN_JOIN_FDS; i++)
        fd_close(&fds[i]);
    if (s->state == SPARE_JOINING)
        fail(live, SPARE_DYING);
}

static void on_ready(struct live *live, uint32_t pid)
{
    live->spare.state = SPARE_READY;
    live->spare.pid = pid;
    live->spare.failures = 0;
    give(live);
}

static void join(struct live *live)
{
    struct spawn_request req = {.op = SPAWN_JOIN, .slot = live->sandbox->slot};

    live->spare.state = SPARE_JOINING;
    spawner_request(live->engine->spawner, &req, on_joined, live->sandbox);
}

static void on_ended(struct live *live)
{
    bool was_dying = live->spare.state == SPARE_DYING;

    live->spare.state = SPARE_NONE;
    if (was_dying)
        give(live);
    else
        fail(live, SPARE_NONE);
}

bool spare_on_message(struct live *live, const struct session_message *m)
{
    struct spare *s = &live->spare;

    if (s->state == SPARE_NONE || m->head.id != s->id)
        return false;
    if (m->head.op == SESSION_ENDED) {
        on_ended(live);
        return true;
    }
    if (s->state == SPARE_DYING) /* it was said before our signal was heard */
        return m->head.op == SESSION_ADMITTED || m->head.op == SESSION_READY;
    if (m->head.op == SESSION_ADMITTED && s->state == SPARE_ASKED)
        join(live);
    else if (m->head.op == SESSION_READY && s->state == SPARE_COMING)
        on_ready(live, m->started.pid);
    else
        return false;
    return true;
}

void spare_make_ahead(struct live *live)
{
    if (live->spare.is_wanted)
        begin(live);
}

void spare_give_up(struct live *live)
{
    enum spare_state state = live->spare.state;

    live->spare.is_wanted = false;
    if (state == SPARE_COMING || state == SPARE_READY)
        give_up(live, SPARE_DYING);
}

void spare_finish(struct live *live)
{
    uv_timer_stop(&live->patience);
    close_outputs(&live->spare);
    live->spare.state = SPARE_NONE;
}

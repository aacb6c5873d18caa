/* session_limits: asks the control groups of a session what ended a program.  Runs in the server's
 * loop thread.  They count for the session as a whole since it is awake: a program that somebody
 * killed after another one had run out of memory is said to have hit the limit, too. */
#include "api/session_limits.h"

#include <signal.h>
#include <stdlib.h>

#include "engine/live.h"
#include "engine/run.h"
#include "service/session.h"

struct session_limits {
    session_limits_known *done; /* NULL when nobody waits any more */
    void *data;
    struct session_visit *visit;
    bool is_asking; /* the answer to live_usage is still to come */
    unsigned hit;
};

/* Whether it, or what a shell waited for, was killed, and not by us. */
static bool looks_killed(const struct process_result *result)
{
    return !result->error && !result->timed_out && !result->lost &&
           (result->signal == SIGKILL ||
            (result->signal == 0 && result->exit_code == 128 + SIGKILL));
}

static void tell(struct session_limits *l)
{
    if (l->done)
        l->done(l->data, l->hit);
    free(l);
}

static void on_usage(void *data, const struct live_usage *u)
{
    struct session_limits *l = data;
    if (u && u->oom_kills > 0)
        l->hit |= RUN_HIT_MEMORY;
    session_left(l->visit);
    tell(l);
}

static void on_entered(void *data, struct session *session, struct live *live, const struct err *e)
{
    struct session_limits *l = data;
    if (!live) {
        tell(l);
        return;
    }
    l->is_asking = live_usage(live, on_usage, l, NULL) == 0;
    if (l->is_asking)
        return;
    session_left(l->visit);
    tell(l);
}

/* One that sleeps has no groups any more, and waking it would not bring them back. */
static bool is_awake(struct session *session)
{
    struct session_view v;
    if (!session)
        return false;
    session_view(session, &v);
    return v.state == SESSION_AWAKE;
}

struct session_limits *session_limits_ask(struct session *session,
                                          const struct session_process_view *v,
                                          session_limits_known *done, void *data)
{
    unsigned hit = v->result.timed_out ? RUN_HIT_TIME : 0;
    struct session_limits *l =
        looks_killed(&v->result) && is_awake(session) ? malloc(sizeof *l) : NULL;
    if (l) {
        *l = (struct session_limits){.done = done, .data = data, .hit = hit};
        l->visit = session_enter(session, on_entered, l, NULL);
        if (l->visit)
            return l;
        free(l);
    }
    done(data, hit);
    return NULL;
}

void session_limits_cancel(struct session_limits *l)
{
    l->done = NULL;
    if (l->is_asking)
        return; /* on_usage frees it */
    session_left(l->visit);
    free(l);
}

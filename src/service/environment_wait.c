/* environment_wait: those who wait for the end of a build, and those who follow its log.
 *
 * Runs in the server, on the loop.  Each has a timer of his own, from which he is told: so he is
 * never called back while he calls us, nor while somebody else does. */
#include <stdlib.h>

#include "service/environment_internal.h"

/* -- the end of a build ------------------------------------------------------------------------ */

struct environment_waiter {
    struct environment_waiter *next;
    struct environment *environment; /* NULL: has been told to go */
    uv_timer_t timer;
    void (*done)(void *data);
    void *data;
};

static void on_waiter_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void unlink_waiter(struct environment_waiter *w)
{
    struct environment_waiter **at;

    if (w->environment == NULL)
        return;
    for (at = &w->environment->waiters; *at != w; at = &(*at)->next)
        ;
    *at = w->next;
}

static void on_waited(uv_timer_t *timer)
{
    struct environment_waiter *w = timer->data;

    unlink_waiter(w);
    w->done(w->data);
    uv_close((uv_handle_t *)timer, on_waiter_closed);
}

struct environment_waiter *environment_wait(struct environment_service *s, const char *name,
                                            uint64_t timeout_ms, void (*done)(void *data),
                                            void *data)
{
    struct environment *env = environment_find(s, name);
    struct environment_waiter *w = calloc(1, sizeof *w);
    bool waits = env != NULL && env->build != NULL;

    if (w == NULL)
        return NULL;
    *w = (struct environment_waiter){.done = done, .data = data};
    if (waits) {
        w->environment = env;
        w->next = env->waiters;
        env->waiters = w;
    }
    uv_timer_init(s->config.loop, &w->timer);
    w->timer.data = w;
    uv_timer_start(&w->timer, on_waited, waits ? timeout_ms : 0, 0);
    return w;
}

void environment_wait_cancel(struct environment_waiter *w)
{
    unlink_waiter(w);
    uv_close((uv_handle_t *)&w->timer, on_waiter_closed);
}

void environment_tell_waiters(struct environment *env)
{
    struct environment_waiter *next;

    for (struct environment_waiter *w = env->waiters; w != NULL; w = next) {
        next = w->next;
        w->environment = NULL;
        uv_timer_start(&w->timer, on_waited, 0, 0);
    }
    env->waiters = NULL;
}

/* -- logs -------------------------------------------------------------------------------------- */

struct log_follower {
    struct log_follower *next;
    struct environment *environment; /* NULL: the log has ended */
    uv_timer_t timer;
    void (*more)(void *data, bool ended);
    void *data;
};

static void on_follower_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void unlink_follower(struct log_follower *f)
{
    struct log_follower **at;

    if (f->environment == NULL)
        return;
    for (at = &f->environment->followers; *at != f; at = &(*at)->next)
        ;
    *at = f->next;
}

static void on_more(uv_timer_t *timer)
{
    struct log_follower *f = timer->data;
    bool ended = f->environment == NULL;

    /* The follower is dead when it has been told of the end. */
    f->more(f->data, ended);
    if (ended)
        uv_close((uv_handle_t *)timer, on_follower_closed);
}

struct log_follower *environment_log_follow(struct environment_service *s, const char *name,
                                            void (*more)(void *data, bool ended), void *data)
{
    struct environment *env = environment_find(s, name);
    struct log_follower *f = calloc(1, sizeof *f);

    if (f == NULL)
        return NULL;
    *f = (struct log_follower){.more = more, .data = data};
    if (env != NULL && env->build != NULL) {
        f->environment = env;
        f->next = env->followers;
        env->followers = f;
    }
    uv_timer_init(s->config.loop, &f->timer);
    f->timer.data = f;
    uv_timer_start(&f->timer, on_more, 0, 0);
    return f;
}

void environment_log_unfollow(struct log_follower *f)
{
    unlink_follower(f);
    uv_close((uv_handle_t *)&f->timer, on_follower_closed);
}

void environment_tell_followers(struct environment *env, bool ended)
{
    struct log_follower *next;

    for (struct log_follower *f = env->followers; f != NULL; f = next) {
        next = f->next;
        if (ended)
            f->environment = NULL;
        uv_timer_start(&f->timer, on_more, 0, 0);
    }
    if (ended)
        env->followers = NULL;
}

/* pool: sandboxes of one nest and one kind that are ready before anybody asks.  For src/engine
 * only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "engine/reader.h"
#include "wire/spawn.h"

struct nest;
struct pool;
struct sandbox;

/* -- taker ------------------------------------------------------------------------------------- */
struct taker;

/* What is told to whoever wants, and then has, a sandbox. */
struct taker_ops {
    void (*begin)(struct taker *t, struct sandbox *sb);
    void (*unserved)(struct taker *t, const char *why); /* none can be had */
    void (*cancel)(struct taker *t);  /* its nest closes and ends all that is in it */
    void (*control)(struct taker *t); /* the reader has new things to say */
    void (*writable)(struct taker *t);
    void (*output)(struct taker *t, int channel);
    void (*lost)(struct taker *t, const struct err *e); /* it ended or broke the protocol */
};

/* Embedded in a run, and in the live sandbox of a session. */
struct taker {
    const struct taker_ops *ops;
    struct nest *nest;
    struct taker *nest_next, **nest_prev; /* in the nest's list */
    struct pool *pool;                    /* where it waits, or has its sandbox from */
    struct taker *next;                   /* in the pool's queue */
    uint64_t waiting_since_us;
};

/* -- sandbox ----------------------------------------------------------------------------------- */
enum { CHANNEL_CONTROL, CHANNEL_OUT, CHANNEL_ERR, CHANNELS };

enum sandbox_state { SANDBOX_OPENING, SANDBOX_BUILDING, SANDBOX_READY, SANDBOX_TAKEN };

struct sandbox {
    struct engine *engine;
    struct pool *pool; /* that it was made for; it lives no longer than the pool */
    enum sandbox_state state;
    uint32_t slot;
    int fds[CHANNELS];
    uv_poll_t polls[CHANNELS];
    unsigned watched;  /* polls that were begun, */
    unsigned handles;  /* and those that libuv still knows */
    uint64_t built_us; /* since when it is BUILDING */
    struct reader reader;
    struct taker *taker;  /* while TAKEN */
    struct sandbox *next; /* in the pool's list of those that are made, or that are ready */
};

/* Asks for one; pool_ready(), pool_failed() or pool_drop() follows.  NULL when out of memory. */
struct sandbox *sandbox_open(struct pool *p);
/* It ended, broke the protocol or is not heard from: whoever has it is told, else it is closed and
 * its pool is told. */
void sandbox_fail(struct sandbox *sb, const struct err *e);
/* Ends it and frees it.  Safe from its own callbacks. */
void sandbox_close(struct sandbox *sb);
/* Starts to watch stdout and stderr for its run. */
void sandbox_watch_output(struct sandbox *sb);
/* Of one of the two only. */
void sandbox_watch_channel(struct sandbox *sb, int channel, bool watched);
/* Nobody needs stdout and stderr. */
void sandbox_close_output(struct sandbox *sb);
/* Watches the control socket, for room to write as well. */
void sandbox_watch_control(struct sandbox *sb, bool writable);

/* -- pool -------------------------------------------------------------------------------------- */
struct pool {
    struct nest *nest;
    enum spawn_kind kind;
    bool enabled;            /* sandboxes are made */
    bool is_proof;           /* the first is made whatever the floor: health tells from it */
    struct sandbox *opening; /* under construction */
    struct sandbox *ready;   /* the last one that became ready comes first: it is still in caches */
    struct taker *waiting, **waiting_tail; /* without a sandbox, in order */
    uint32_t nready, nopening, nwaiting;
    uint32_t min, max, target;
    uint32_t taken;            /* since the last tick */
    uint32_t quiet_ticks;      /* since one was taken */
    double rate;               /* sandboxes taken per second, smoothed */
    bool made;                 /* one has been made since the start */
    uint32_t failures;         /* in a row */
    uint64_t failing_since_us; /* means nothing while failures is 0 */
    uint64_t retry_us;         /* not before */
    int errnum;                /* of the last failure */
    char reason[240];
};

void pool_init(struct pool *p, struct nest *nest, enum spawn_kind kind, uint32_t min, uint32_t max);
/* Gives a ready sandbox to the taker, now or later. */
void pool_take(struct pool *p, struct taker *t);
/* It does not want one any more. */
void pool_leave(struct pool *p, struct taker *t);
/* A run has ended and its answer is out: a good moment to replace what was taken. */
void pool_refill(struct pool *p);
void pool_ready(struct pool *p, struct sandbox *sb);
/* It could not be made, or died while it waited; the caller closes it. */
void pool_failed(struct pool *p, struct sandbox *sb, const struct err *e);
/* Nobody wants it any more although it is still being made; the caller closes it. */
void pool_drop(struct pool *p, struct sandbox *sb);
/* Ten times a second: size, refill, give up on what cannot be had. */
void pool_tick(struct pool *p);
/* Makes no more, and closes all but those that the spawner has yet to answer for: pool_drop()
 * follows for each of the nopening that are left. */
void pool_drain(struct pool *p);
/* Those that wait here wait there from now on, in order and as long as they would have. */
void pool_hand_over(struct pool *from, struct pool *to);
/* Answers all that wait. */
void pool_fail_waiting(struct pool *p, const char *why);
/* At the end of the engine. */
void pool_close(struct pool *p);

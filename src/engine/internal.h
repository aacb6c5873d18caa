/* internal: the parts of the engine as they see each other.  For src/engine only.
 *
 *   engine_run -> pool (a ready sandbox, or a place in its queue) -> running (feed, watch, answer)
 *   pool -> sandbox (one slot of the spawner: three descriptors and a reader)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "engine/engine.h"
#include "engine/feed.h"
#include "engine/reader.h"
#include "engine/spawner_client.h"

/* -- sandbox ----------------------------------------------------------------------------------- */
enum { CHANNEL_CONTROL, CHANNEL_OUT, CHANNEL_ERR, CHANNELS };

enum sandbox_state { SANDBOX_OPENING, SANDBOX_BUILDING, SANDBOX_READY, SANDBOX_TAKEN };

struct sandbox {
    struct engine *engine;
    enum sandbox_state state;
    enum spawn_kind kind;
    uint32_t slot;
    int fds[CHANNELS];
    uv_poll_t polls[CHANNELS];
    unsigned handles; /* polls that libuv still knows */
    struct reader reader;
    struct run *run; /* while TAKEN */
    struct sandbox *next;
};

/* Asks for one; pool_ready() or pool_failed() follows.  -1 when out of memory. */
int sandbox_open(struct engine *en, enum spawn_kind kind);
/* Ends it and frees it.  Safe from its own callbacks. */
void sandbox_close(struct sandbox *sb);
/* Starts to watch stdout and stderr for its run. */
void sandbox_watch_output(struct sandbox *sb);
/* Watches the control socket, for room to write as well. */
void sandbox_watch_control(struct sandbox *sb, bool writable);

/* -- pool -------------------------------------------------------------------------------------- */
struct pool {
    struct engine *engine;
    enum spawn_kind kind;
    bool enabled;
    struct sandbox *ready; /* the last one that became ready comes first: it is still in caches */
    struct run *waiting, **waiting_tail; /* runs without a sandbox, in order */
    uint32_t nready, nopening, nwaiting;
    uint32_t min, max, target;
    uint32_t taken;    /* since the last tick */
    double rate;       /* sandboxes taken per second, smoothed */
    bool made;         /* one has been made since the start */
    uint32_t failures; /* in a row */
    uint64_t retry_us; /* not before */
    char reason[240];  /* of the last failure */
};

void pool_init(struct pool *p, struct engine *en, enum spawn_kind kind, uint32_t min, uint32_t max);
/* Gives a ready sandbox to the run (running_begin), now or later. */
void pool_take(struct pool *p, struct run *run);
/* The run does not want one any more. */
void pool_leave(struct pool *p, struct run *run);
/* A run has ended: a good moment to replace what was taken. */
void pool_refill_soon(struct pool *p);
void pool_ready(struct pool *p, struct sandbox *sb);
/* It could not be made, or died while it waited; the caller closes it. */
void pool_failed(struct pool *p, struct sandbox *sb, const char *why);
/* Ten times a second: size, refill, give up on what cannot be had. */
void pool_tick(struct pool *p);
void pool_close(struct pool *p);

/* -- running ----------------------------------------------------------------------------------- */
struct run {
    struct engine *engine;
    struct run_spec *spec;
    struct run_events events;
    struct run_result result;
    struct sandbox *sandbox;
    struct pool *pool;
    uv_timer_t timer; /* the deadline of last resort, and the deferred end */
    struct feed feed;
    struct run *next; /* in the pool's queue */
    uint64_t taken_us;
    uint64_t waiting_since_us;
    uint64_t discarded; /* bytes of output beyond the limit */
    size_t output_max;  /* bytes of one stream */
    uint32_t attempts;
    bool waits_for_limits;   /* the job is sent when they are in force */
    uint64_t sampled_us;     /* when counters were read ahead of the verdict, 0: not */
    unsigned closed_outputs; /* of stdout and stderr */
    bool usage_asked, usage_known;
    bool cancelled;
    bool finished;
};

void running_begin(struct run *run, struct sandbox *sb);
/* The reader has new things to say. */
void running_control(struct run *run);
void running_writable(struct run *run);
void running_output(struct run *run, int channel);
/* The sandbox ended or broke the protocol. */
void running_lost(struct run *run, const struct err *e);
/* No sandbox can be had. */
void running_unserved(struct run *run, const char *why);

/* -- engine ------------------------------------------------------------------------------------ */
struct engine {
    uv_loop_t *loop;
    struct engine_config config;
    struct spawner_client *spawner;
    struct pool pools[2]; /* by enum spawn_kind */
    uv_timer_t tick;
    uv_timer_t refill; /* runs out a moment after a run has ended */
    uint64_t ticks;
    uint64_t pinged_us; /* 0: no ping under way */
    bool pong_good;
    bool spawner_gone;
    uint32_t busy;
    char input[64 << 10]; /* where every read of this loop lands first */
};

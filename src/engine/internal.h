/* internal: the parts of the engine as they see each other.  For src/engine only.
 *
 *   engine_run -> nest (which pool) -> pool (a ready sandbox, or a place in its queue)
 *              -> running (feed, watch, answer)
 *   live_open -> the same -> live (a session: processes, calls on files)
 *   pool -> sandbox (one slot of the spawner: three descriptors and a reader)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/limits.h"
#include "engine/engine.h"
#include "engine/feed.h"
#include "engine/nest.h"
#include "engine/pool.h"
#include "engine/spawner_client.h"

/* -- nest -------------------------------------------------------------------------------------- */
enum nest_state { NEST_OPENING, NEST_UP, NEST_FAILED };

struct nest {
    struct engine *engine;
    uint32_t number; /* the spawner's name for it; 0: the built-in one */
    enum spawn_nest_kind kind;
    enum nest_state state;
    bool is_held;         /* the spawner holds the number until SPAWN_NEST_CLOSE */
    bool is_warm;         /* runs may take from the warm pool */
    bool closing, ending; /* by its owner; by the spawner */
    uint32_t min;         /* idle sandboxes, once there has been a run */
    struct pool pools[2]; /* by enum spawn_kind */
    struct taker *takers; /* that wait or have their sandboxes */
    uint32_t busy;        /* how many */
    uint64_t used_us;
    struct err error; /* why it failed, or could not be completed */
    uint64_t bytes;   /* of the target */
    uv_timer_t timer; /* its owner is told from the loop only */
    struct nest_config config;
    void (*on_closed)(void *data, uint64_t bytes, const struct err *e);
    void *closed_data;
};

/* Nest 0, which is there from the start.  NULL when out of memory. */
struct nest *nest_create_built_in(struct engine *en, struct err *e);
/* At the end of the engine, whatever state it is in. */
void nest_destroy(struct nest *nest);
/* Somebody begins or ends to be the nest's. */
void nest_enter(struct nest *nest, struct taker *t);
void nest_leave(struct taker *t);
/* The most that a sandbox in it may have, enum spawn_network; the spawner knows it too. */
uint32_t nest_highest_network(const struct nest *nest);
/* A sandbox for it, warm if there are warm ones, with this network (enum spawn_network), now or
 * later. */
void nest_take(struct taker *t, enum spawn_kind kind, uint32_t network);
/* A sandbox of this pool could not be made, and has been closed. */
void nest_sandbox_failed(struct pool *p, const struct err *e);
/* One that nobody wants any more has been closed. */
void nest_sandbox_dropped(struct pool *p);
void nest_tick(struct nest *nest);
/* "none", "bridge" or "host". */
const char *network_name(uint32_t network);

/* -- running ----------------------------------------------------------------------------------- */
struct run {
    struct engine *engine;
    struct run_spec *spec;
    struct run_events events;
    struct run_result result;
    struct taker taker;
    struct sandbox *sandbox;
    uv_timer_t timer; /* the deadline of last resort, and the deferred end */
    struct feed feed;
    uint64_t taken_us;
    uint64_t discarded; /* bytes of output beyond the limit, or of a job of ours */
    size_t output_max;  /* bytes of one stream */
    uint32_t attempts;
    bool waits_for_start;    /* the job is sent when limits and network are in force */
    uint64_t sampled_us;     /* when counters were read ahead of the verdict, 0: not */
    unsigned closed_outputs; /* bits by channel: of stdout and stderr */
    bool is_paused;          /* its stdout is not read */
    bool usage_asked, usage_known;
    bool is_spoilt; /* output was lost: what is there must not pass for all there was */
    bool cancelled;
    bool finished;
};

/* -- engine ------------------------------------------------------------------------------------ */
struct engine {
    uv_loop_t *loop;
    struct engine_config config;
    struct spawner_client *spawner;
    struct nest *nests[LIMIT_NESTS]; /* by number */
    struct live *lives;              /* of sessions */
    struct layer_call *layer_calls;  /* that the spawner has yet to answer */
    uv_timer_t tick;
    uv_timer_t refill; /* runs out a moment after a run has ended */
    uint64_t ticks;
    uint64_t pinged_us; /* 0: no ping under way */
    bool pong_good;
    bool spawner_gone;
    uint32_t busy;
    char input[64 << 10]; /* where every read of this loop lands first */
};

/* A run has ended: its sandbox is replaced as soon as its answer is out. */
void engine_refill_soon(struct engine *en);
/* Sessions at the end of the engine, and when the spawner is gone. */
void lives_finish(struct engine *en);
void lives_spawner_gone(struct engine *en);
/* See live_grow(). */
int workspace_grow(struct engine *en, uint64_t workspace, uint64_t bytes,
                   void (*done)(void *data, const struct err *e), void *data);
/* At the end of the engine: no answer comes any more. */
void layer_calls_finish(struct engine *en);

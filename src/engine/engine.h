/* engine: gets a sandbox for a run, feeds it, watches it, and returns what came of it.
 *
 * One loop, one thread.  The engine knows no HTTP and no JSON; it trusts its caller for checked
 * file names and limits within the ceilings, and trusts nothing that comes out of a sandbox. */
#pragma once

#include <uv.h>

#include "engine/run.h"

struct engine;
struct run;

struct engine_config {
    int spawner;              /* connected SEQPACKET socket, taken over */
    uint32_t pool_min;        /* idle sandboxes kept per pool */
    uint32_t pool_max;        /* idle sandboxes at most */
    struct run_limits limits; /* defaults, all set */
    const char *work_dir;     /* as the spawner was told; outlives the engine */
    int landlock_abi;         /* of the kernel, for struct run_isolation */
    uint32_t network;         /* enum spawn_network: as the spawner was told */
    bool warm;                /* keep warm sandboxes; otherwise every run starts cold */
    void (*on_spawner_gone)(void *data);
    void *data;
};

struct engine_health {
    bool spawner;     /* it answered the last ping within a second */
    bool sandbox;     /* a ready sandbox exists, or the last attempt to make one succeeded */
    uint32_t idle;    /* ready sandboxes */
    uint32_t busy;    /* runs in progress */
    char reason[240]; /* why not, when something above is false */
};

struct engine *engine_create(uv_loop_t *loop, const struct engine_config *config, struct err *e);
void engine_destroy(struct engine *en);

/* Starts a run; takes over `spec`.  Never calls back before it returns.  NULL and e only when out
 * of memory; everything else is reported through on_done. */
struct run *engine_run(struct engine *en, struct run_spec *spec, const struct run_events *events,
                       struct err *e);
/* Ends the run as fast as possible; on_done follows (RUN_CANCELLED).  The run must not have been
 * done yet. */
void run_cancel(struct run *run);
/* No more of its stdout is read until it is told so again: what it prints fills its pipe, and it
 * waits.  Its deadline does not.  When it ends all the same, what is in the pipe is handed over.
 * For who hears its output, from the first of it until on_done. */
void run_pause(struct run *run, bool paused);

void engine_health(struct engine *en, struct engine_health *ret);

/* live: the sandbox of a session that is awake: it stays, and does many things at once.
 *
 * All on the loop.  live_open takes a ready cold sandbox of the nest (microseconds when the pool
 * has one), opens the workspace if there is one (wire/workspace.h) and turns the sandbox into a
 * session's (wire/session.h).  Nothing here calls back before it returns. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/run.h"
#include "wire/workspace.h"

struct engine;
struct live;
struct nest;

struct live_config {
    struct nest *nest;  /* NULL: the built-in environment */
    uint64_t workspace; /* its number; 0: in memory, gone with the sandbox */
    uint64_t bytes;     /* quota of the workspace; in memory: of it, /tmp and /dev/shm together */
    bool is_new;        /* the workspace does not exist yet */
    struct run_limits limits;
    uint32_t network; /* enum spawn_network */
    void (*on_up)(void *data);
    /* It could not be made (before on_up), or is lost (after): every process and call has been told
     * its end.  The owner then calls live_close.  ERR_LIMIT: all slots are in use; ERR_NOT_FOUND:
     * no such workspace; e->errnum ENOSPC: the disk is full. */
    void (*on_lost)(void *data, const struct err *e);
    void *data;
};

/* NULL and e: out of memory, a network beyond the operator's (ERR_INVALID). */
struct live *live_open(struct engine *en, const struct live_config *config, struct err *e);

/* Ends everything in it: each process and call is told its end, on_lost is not.  Then what was
 * written is safe in the workspace, it is unmounted, and `closed` is called once with the bytes
 * that it takes up on the disk (0: in memory).  The handle is gone after that.  Once, also after
 * on_lost. */
void live_close(struct live *live, void (*closed)(void *data, uint64_t bytes), void *data);

bool live_is_up(const struct live *live);
/* Whether anything of ours is in progress: processes that were started and calls on files. */
uint32_t live_busy(const struct live *live);
/* More room for the workspace, without stopping: ERR_INVALID when it is in memory. */
int live_grow(struct live *live, uint64_t bytes, void (*done)(void *data, const struct err *e),
              void *data, struct err *e);
/* CPU and memory of all of it since it is up, from its control groups. */
struct live_usage {
    uint64_t cpu_us, memory_peak;
    uint32_t oom_kills, process_hits;
};
int live_usage(struct live *live, void (*done)(void *data, const struct live_usage *u), void *data,
               struct err *e);

/* -- workspaces of sessions that are asleep (or, copy: awake) -- `done` as layer_done in nest.h */
typedef void workspace_done(void *data, uint64_t value, const struct err *e);
/* Copies it, of one moment, to the number `to`, which is new.  value: bytes on the disk. */
int workspace_copy(struct engine *en, uint64_t from, uint64_t to, workspace_done *done, void *data);
int workspace_remove(struct engine *en, uint64_t workspace, workspace_done *done, void *data);

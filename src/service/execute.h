/* execute: runs, from "asked for" to "told what came of it": admission, the engine, the log line.
 */
#pragma once

#include <stdint.h>

#include "engine/run.h"

struct engine;
struct execute_service;
struct execution;

struct execute_config {
    struct engine *engine;
    uint32_t slots;     /* runs at once */
    uint32_t queue_max; /* requests that wait for one */
    uint64_t memory_mb; /* promised to all of them together */
};

struct execute_status {
    uint32_t running, waiting;
};

/* NULL and e when out of memory. */
struct execute_service *execute_service_create(const struct execute_config *config, struct err *e);
/* Call it when the engine is gone or holds no run; what still waits is dropped without a callback.
 * Accepts NULL. */
void execute_service_destroy(struct execute_service *s);

/* Asks for a run; takes over `spec`, whose limits.memory_mb must be set, in any case.  `client`
 * says whose turn it uses (see admission.h; copied).  The events are copied; none is called before
 * this returns.  on_done's result is the callee's to finish.  NULL and e: ERR_UNAVAILABLE when the
 * queue is full, ERR_LIMIT when the run could never be admitted. */
struct execution *execute_submit(struct execute_service *s, struct run_spec *spec,
                                 const char *client, const struct run_events *events,
                                 struct err *e);
/* Nobody waits for this one any more: frees its place or kills its run.  No event comes after this
 * and `x` is dead.  Not after on_done. */
void execute_cancel(struct execution *x);

/* Seconds after which someone who was turned away should come back. */
unsigned execute_retry_after(const struct execute_service *s);
struct execute_status execute_status(const struct execute_service *s);

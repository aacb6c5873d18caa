/* nest: an environment in use: its own namespaces, zygote and pools, beside the built-in one.
 *
 * All on the loop.  A nest is opened, used by runs (run_spec.nest), and closed; opening takes some
 * tens of milliseconds in the spawner, and runs that name it meanwhile wait in its pools. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/spawn.h"

struct engine;
struct nest; /* a handle */

struct nest_config {
    struct spawn_nest make;
    const char *modules; /* one a line, for the zygote; NULL: none.  Copied */
    uint32_t pool_min;   /* idle sandboxes kept, once there has been a run */
    uint32_t pool_max;
    /* The nest could not be made, or was lost for good: e says why.  Its waiting runs have been
     * answered.  The owner then closes it. */
    void (*on_failed)(struct nest *nest, const struct err *e, void *data);
    void *data;
};

/* A new nest.  It is up when nest_is_up() says so; until then, and when it fails, its owner has
 * nothing to do but wait.  NULL and e: a network beyond the operator's (ERR_INVALID), out of
 * memory, or LIMIT_NESTS are open (ERR_LIMIT: close an idle one first). */
struct nest *nest_open(struct engine *en, const struct nest_config *config, struct err *e);

/* No new run may name it.  Those in progress finish (end_runs: are ended), then the spawner takes
 * it down, and on_closed follows with the bytes of the target on the disk and e == NULL, or with
 * the error that kept the target from becoming complete.  The handle is gone after on_closed, which
 * never comes before this returns.  A nest is closed once; one that failed must be closed too. */
void nest_close(struct nest *nest, bool end_runs,
                void (*on_closed)(void *data, uint64_t bytes, const struct err *e), void *data);

bool nest_is_up(const struct nest *nest); /* made, and has not failed */
uint32_t
nest_busy(const struct nest *nest); /* runs and live sessions in it, the waiting ones too */
uint64_t nest_used_us(const struct nest *nest); /* monotonic, when its last run ended */

/* Work of the spawner on layers; `done` is called once, later, with bytes or the next number in
 * `value` and e == NULL, or with an error.  -1: out of memory; `done` is then not called. */
typedef void layer_done(void *data, uint64_t value, const struct err *e);
int layer_make_host(struct engine *en, enum spawn_host_layer which, uint64_t layer,
                    layer_done *done, void *data);
int layer_remove(struct engine *en, uint64_t layer, layer_done *done, void *data);
int layer_next(struct engine *en, uint64_t after, layer_done *done, void *data);
int input_remove(struct engine *en, uint64_t input, layer_done *done, void *data);

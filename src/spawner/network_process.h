/* network_process: the one that works with links.  Numbers only between it and the spawner. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "spawner/network_plan.h"

/* Comes with a descriptor of the sandbox's network namespace. */
struct network_request {
    uint32_t slot;
    uint32_t serial; /* comes back in the answer */
};

struct network_answer {
    uint32_t slot;
    uint32_t serial;
    int32_t error; /* 0 or an errno; EIO when there is none */
    uint32_t step; /* enum network_step: what failed */
};

/* What a process that was just forked becomes.  Sets the network up at the first request, serves
 * the socket until its other end is closed, then removes everything it made. */
_Noreturn void network_process_run(struct network_plan *plan, int sock);

/* The same, for removing what one left that was killed. */
_Noreturn void network_process_sweep(struct network_plan *plan);

/* Whether there is something to be swept; for the spawner itself, and quick. */
bool network_process_left_something(const struct network_plan *plan);

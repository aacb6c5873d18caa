/* network_process: the one that works with links.  Numbers only between it and the spawner. */
#pragma once

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
    int32_t error; /* 0 or an errno */
    uint32_t step; /* enum network_step: what failed */
};

/* The first answer of a new process: whether there is a network at all. */
#define NETWORK_READY UINT32_MAX

/* What a process that was just forked becomes.  Serves the socket until its other end is closed,
 * then removes everything it made. */
_Noreturn void network_process_run(struct network_plan *plan, int sock);

/* The same, for removing what one left that was killed. */
_Noreturn void network_process_sweep(struct network_plan *plan);

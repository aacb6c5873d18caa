/* network_attach: one sandbox's link, from its address to its default route. */
#pragma once

#include "spawner/network_filter.h"

struct network_place {
    const struct network_plan *plan;
    int host;  /* the host's network namespace */
    int links; /* a socket in it */
};

/* Addresses are given from somewhere in the range on, so that answers to a predecessor's sandboxes
 * rarely find one. */
void network_attach_begin(void);

/* NETWORK_STEP_NONE, or what failed with errno; then nothing is left of it. */
enum network_step network_attach_link(const struct network_place *at, uint32_t slot, int netns);

/* network_filter: puts rules into the kernel, and lets it forward. */
#pragma once

#include "spawner/network_plan.h"

/* What stands between an operator and a network; the text of each is network_step_text()'s. */
enum network_step {
    NETWORK_STEP_NONE,
    NETWORK_STEP_RIGHTS,
    NETWORK_STEP_NETLINK,
    NETWORK_STEP_SWEEP,
    NETWORK_STEP_ROUTES,
    NETWORK_STEP_POOL,
    NETWORK_STEP_LOCK,
    NETWORK_STEP_NFT_MISSING,
    NETWORK_STEP_NFT_REFUSED,
    NETWORK_STEP_FORWARD,
    NETWORK_STEP_RESERVE,
    NETWORK_STEP_ENTER,
    NETWORK_STEP_VETH,
    NETWORK_STEP_OUTSIDE,
    NETWORK_STEP_INSIDE,
    NETWORK_STEP_ADDRESS,
    NETWORK_STEP_GONE,
    NETWORK_STEP_COUNT
};

/* Says what could not be done and what enables it. */
const char *network_step_text(enum network_step step);

/* Loading returns NETWORK_STEP_NONE, or what failed with errno (0: nft's own words are in the log).
 */

/* Loads the instance's table, and has the host forward IPv4 if it does not: then everything that
 * is not of sandboxes stays unforwarded.  `ret_lock` is held while the instance has a network. */
enum network_step network_filter_load(const struct network_plan *plan, int *ret_lock);
/* Loads the table that keeps tools in the host's own network from our API; nothing else of the host
 * is touched. */
enum network_step network_filter_load_api(const struct network_plan *plan);
void network_filter_unload_api(const struct network_plan *plan);

/* Takes the instance's table away; the last instance that does so also ends the forwarding that it
 * or another one began. */
void network_filter_unload(const struct network_plan *plan, int *lock);

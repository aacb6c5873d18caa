/* network_rules: the nftables rules of one instance, as text for nft(8). */
#pragma once

#include "spawner/network_plan.h"

#define NETWORK_RULES_BYTES 16384

/* Writes the whole table, replacing one that is there.  0, or -1 when it does not fit. */
int network_rules_write(const struct network_plan *plan, char out[static NETWORK_RULES_BYTES]);

/* The table that keeps our API from tools that work in the host's own network: "<table>_api". */
int network_rules_write_api(const struct network_plan *plan, char out[static NETWORK_RULES_BYTES]);

/* The table that keeps this host from being a router for others while IPv4 forwarding is on for
 * the sake of sandboxes.  All instances share it. */
#define NETWORK_GUARD "ip dunlin_forward"
extern const char network_rules_guard[];

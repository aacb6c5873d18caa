/* network_plan: names, addresses and limits of one instance's network, worked out from the
 * configuration and from what the host already uses. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "spawner/network_link.h"
#include "wire/spawn.h"

#define NETWORK_PREFIX "dunlin" /* every host end of every instance begins so */

/* A range of addresses that was checked to be one: only these become text of rules. */
struct network_range {
    struct link_address base;
    unsigned char prefix;
};

struct network_plan {
    char table[40];    /* of our rules: dunlin_<instance> */
    char links[16];    /* what the names of our host ends begin with; three digits follow */
    uint32_t tag;      /* never 0: group of our links, metric of the routes that reserve */
    bool has_pool;     /* a free range was found */
    bool has_ipv6;     /* the host has a way out over IPv6 and forwards it */
    uint32_t pool;     /* first IPv4 address of sandboxes, host order */
    uint64_t pool_ula; /* upper half of the IPv6 addresses of sandboxes, host order */
    uint32_t mtu;

    uint32_t ndns, nallowed, nports;
    struct network_range dns[SPAWN_DNS];
    struct network_range allowed[SPAWN_ALLOWED];
    uint32_t ports[SPAWN_PORTS];
    uint32_t connections; /* of one sandbox at once, 0: any number */
    uint32_t rate_kb;     /* KiB/s of one sandbox each way, 0: any */
};

/* Reads what was configured; `instance` is "dunlin-<16 hexadecimal digits>".  Fails with a text for
 * the operator when an address is none. */
int network_plan_init(struct network_plan *plan, const struct spawn_config *config,
                      const char *instance, struct err *e);

/* Settles the ranges, the way out and the MTU by the routes of the host.  A predecessor's own
 * reservation does not count as use.  0, or -1 with errno; has_pool says whether a range was
 * free. */
int network_plan_settle(struct network_plan *plan, int sock);

#define NETWORK_POOL_PREFIX 18
#define NETWORK_GATEWAY     1
#define NETWORK_POOL_FIRST  2     /* the first address of a sandbox within a range */
#define NETWORK_POOL_LAST   16382 /* the next one could be taken for a broadcast */

/* The address with this number in our ranges. */
struct link_address network_ipv4(const struct network_plan *plan, uint32_t number);
struct link_address network_ipv6(const struct network_plan *plan, uint32_t number);

/* "a.b.c.d/n" or an address alone. */
int network_range_parse(const char *text, struct network_range *ret);

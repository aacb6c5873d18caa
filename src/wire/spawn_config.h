/* spawn_config: what the spawner is told once, by the operator's own trusted process: ids and
 * limits.
 */
#pragma once

#include <stdint.h>

/* Host ids, above all that systemd's tables give to anybody (0x70000000 to 0x7fffffff is nobody's):
 * the server's own, then 65536 for each nest's user namespace. */
#define SPAWN_UID_SERVER 0x70000000u
#define SPAWN_UID_NEST   0x70010000u
#define SPAWN_UID_COUNT  0x10000u /* nest n has those from SPAWN_UID_NEST + n * SPAWN_UID_COUNT */

#define SPAWN_PATH    256 /* bytes of a path in the configuration, its NUL included */
#define SPAWN_DNS     3
#define SPAWN_ADDRESS 46 /* bytes of an address, its NUL included */
#define SPAWN_ALLOWED 16
#define SPAWN_CIDR    50
#define SPAWN_PORTS   4
#define SPAWN_MODULES 512 /* bytes of the list of modules to import ahead */

struct spawn_limits {
    uint32_t memory_mb;
    uint32_t cpu_milli;
    uint32_t processes;
    uint32_t workspace_mb;
};

/* Set by the operator's settings; every path is absolute, every string ends in a NUL. */
struct spawn_config {
    char data[SPAWN_PATH];     /* state directory: names our groups, holds the stage mount */
    char system[SPAWN_PATH];   /* the private copy of the system files (usr/, etc/) */
    char runtime[SPAWN_PATH];  /* the private copy of our own runners */
    char programs[SPAWN_PATH]; /* runtime/ of the installation: our own programs for root */
    char init[SPAWN_PATH];     /* dunlin-init */
    char work_dir[SPAWN_PATH];
    char python[SPAWN_PATH];            /* the zygote's interpreter inside the system copy, or "" */
    char modules[SPAWN_MODULES];        /* comma-separated, imported by the zygote */
    struct spawn_limits defaults;       /* what a sandbox gets unless SPAWN_START says otherwise */
    struct spawn_limits ceilings;       /* SPAWN_START beyond these is refused */
    struct spawn_limits build_ceilings; /* the same in BUILD and TOOL nests; workspace_mb is the
                                           size of a target */
    uint32_t build_weight;              /* percent of a run's share of the CPU */
    uint32_t network;                   /* enum spawn_network: the most that anybody may have */
    uint32_t ndns;
    char dns[SPAWN_DNS][SPAWN_ADDRESS]; /* resolvers of sandboxes with a network */
    uint32_t nallowed;
    char allowed[SPAWN_ALLOWED][SPAWN_CIDR]; /* networks that are reachable although private */
    uint32_t connections;                    /* of one sandbox at once */
    uint32_t rate_kb;                        /* KiB/s of one sandbox, each way */
    uint32_t ports[SPAWN_PORTS];             /* TCP ports of our own API, 0: none */
    uint32_t zygote_forks;                   /* a zygote is renewed after so many */
    uint32_t zygote_minutes;                 /* or after so long */
    uint32_t slots;                          /* sandboxes at once */
    uint64_t workspace_bytes_max; /* of a session's durable workspace; 0: there are none */
};

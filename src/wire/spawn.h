/* spawn: what the server may say to the spawner, and what comes back.
 *
 * One SEQPACKET socket.  The first message is a struct spawn_config, sent while the server still is
 * the operator's own trusted process.  Every later message is one struct spawn_request, answered in
 * order by one struct spawn_reply (SPAWN_CLOSE has none).  Numbers only: no path, no text, nothing
 * that a client chose.  A message of any other size or kind is fatal to the sender. */
#pragma once

#include <stdint.h>

/* Host ids, above all that systemd's tables give to anybody (0x70000000 to 0x7fffffff is nobody's):
 * the server's own, then 65536 for the nest's user namespace. */
#define SPAWN_UID_SERVER 0x70000000u
#define SPAWN_UID_NEST   0x70010000u
#define SPAWN_UID_COUNT  0x10000u

#define SPAWN_PATH    256 /* bytes of a path in the configuration, its NUL included */
#define SPAWN_MODULES 512 /* bytes of the list of modules to import ahead */

struct spawn_limits {
    uint32_t memory_mb;
    uint32_t cpu_milli;
    uint32_t processes;
    uint32_t workspace_mb;
};

/* Set by the operator's settings; every path is absolute, every string ends in a NUL. */
struct spawn_config {
    char data[SPAWN_PATH];    /* state directory: names our groups, holds the stage mount */
    char system[SPAWN_PATH];  /* the private copy of the system files (usr/, etc/) */
    char runtime[SPAWN_PATH]; /* the private copy of our own runners */
    char init[SPAWN_PATH];    /* dunlin-init */
    char work_dir[SPAWN_PATH];
    char python[SPAWN_PATH];      /* the zygote's interpreter inside the system copy, or "" */
    char modules[SPAWN_MODULES];  /* comma-separated, imported by the zygote */
    struct spawn_limits defaults; /* what a sandbox gets unless SPAWN_START says otherwise */
    struct spawn_limits ceilings; /* SPAWN_START beyond these is refused */
    uint32_t slots;               /* sandboxes at once */
};

enum spawn_op {
    SPAWN_OPEN = 1, /* kind -> slot and three descriptors: control, stdout, stderr */
    SPAWN_START,    /* slot, limits (0 = default): put in force, counters to zero */
    SPAWN_USAGE,    /* slot -> counters since SPAWN_START */
    SPAWN_CLOSE,    /* slot: kill, destroy, reuse; no reply */
    SPAWN_PING,     /* -> an empty reply: the spawner is alive and its nest answers */
};

enum spawn_kind { SPAWN_COLD = 0, SPAWN_WARM = 1 };

struct spawn_request {
    uint32_t op;
    uint32_t slot;
    uint32_t kind;
    struct spawn_limits limits;
};

struct spawn_reply {
    uint32_t op;
    uint32_t slot;
    int32_t error; /* 0 or an errno */
    uint32_t oom_kills;
    uint32_t pids_hits; /* times the process limit refused a fork */
    uint32_t cgroup;    /* version in use: 1 or 2 */
    uint64_t cpu_us;
    uint64_t memory_peak; /* bytes */
};

#define SPAWN_OPEN_FDS 3 /* control, stdout, stderr */

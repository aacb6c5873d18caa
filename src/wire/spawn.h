/* spawn: what the server may say to the spawner, and what comes back.
 *
 * One SEQPACKET socket.  The first message is a struct spawn_config, sent while the server still is
 * the operator's own trusted process.  Every later one is a struct spawn_request, answered by one
 * struct spawn_reply (SPAWN_CLOSE has none), in order but where it says otherwise.  Numbers only:
 * nothing that a client chose.  A message of another size or kind is fatal to the sender. */
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
};

/* What a nest is for, and with it the profile of every sandbox in it. */
enum spawn_nest_kind {
    SPAWN_NEST_RUN,   /* read-only root; runs as uid 1000 of the sandbox */
    SPAWN_NEST_BUILD, /* root in a user namespace, in a writable layer over the others */
    SPAWN_NEST_TOOL,  /* as BUILD, but the root is read-only and the target is seen as /image */
};

enum spawn_network {
    SPAWN_NETWORK_NONE,   /* loopback only */
    SPAWN_NETWORK_BRIDGE, /* its own veth behind our filter */
    SPAWN_NETWORK_HOST,   /* the host's own; tools only, for what the operator has named */
};

#define SPAWN_NUMBER (UINT64_C(1) << 48) /* numbers of layers and of archives are below */
#define SPAWN_LAYERS 8                   /* under one nest */

/* What SPAWN_NEST_OPEN makes a nest from.  A layer is a number: of the ext4 image (once complete)
 * data/layers/<number>.img whose directory root/ is the tree. */
struct spawn_nest {
    uint32_t kind;                 /* enum spawn_nest_kind */
    uint32_t network;              /* enum spawn_network: the most that its sandboxes may have */
    uint32_t warm;                 /* 1: with a zygote (RUN only); a descriptor comes along, which
                                      holds the modules to import, one a line, for the zygote */
    uint32_t nlayers;              /* at least 1 */
    uint64_t layers[SPAWN_LAYERS]; /* the upper first */
    uint64_t target;               /* BUILD, TOOL: the layer to be made; it must not exist yet */
    uint64_t input;     /* TOOL: the file data/imports/<number>, seen as /input; 0: none */
    uint32_t target_mb; /* size of the target's file system */
};

/* Layers that only the host itself can give: copies of packages that are installed on it. */
enum spawn_host_layer {
    SPAWN_HOST_BASE,  /* a root file system with Python, pip and a package database */
    SPAWN_HOST_TOOLS, /* skopeo, umoci, mmdebstrap, bsdtar and what they need */
};

enum spawn_op {
    SPAWN_OPEN = 1, /* nest, kind -> slot and three descriptors: control, stdout, stderr.  EAGAIN:
                       try again (a build has one at a time); ESHUTDOWN: a build's nest has died */
    SPAWN_START,    /* slot, limits (0 = default), network: put in force, counters to zero.  With
                       SPAWN_NETWORK_BRIDGE the reply may come after others; match the slot.
                       ERANGE: beyond a ceiling */
    SPAWN_USAGE,    /* slot -> counters since SPAWN_START */
    SPAWN_CLOSE,    /* slot: kill, destroy, reuse; no reply */
    SPAWN_PING,     /* -> an empty reply: the spawner is alive and nest 0 answers */

    /* The replies to these come when the work is done: match op and nest, or op and layer.  One
     * after the other, in the order of the requests, but that SPAWN_NEST_CLOSE first waits for the
     * end of all in the nest. */
    SPAWN_NEST_OPEN,  /* nest (1 to LIMIT_NESTS - 1, not in use), make; maybe a descriptor.  When it
                         fails the number is free again, and no file of the target is left */
    SPAWN_NEST_CLOSE, /* nest (open): end all in it; a target is then complete and safe on the
                         disk -> bytes that the target takes up.  The number is free again, also
                         when it fails: then the target is not to be used, but to be removed */
    SPAWN_LAYER_HOST, /* layer, kind (enum spawn_host_layer): make it; EBUSY as below -> bytes */
    SPAWN_LAYER_REMOVE, /* layer: EBUSY if it is under a nest; that there is none is no error -> */
    SPAWN_LAYER_NEXT,   /* layer (0: from the start) -> the next higher one on the disk, 0: none; at
                           the start, to find what a crash has left */
    SPAWN_INPUT_REMOVE, /* layer: the number of data/imports/<number> -> */
};

enum spawn_kind { SPAWN_COLD = 0, SPAWN_WARM = 1 };

struct spawn_request {
    uint32_t op;
    uint32_t slot;
    uint32_t kind;
    uint32_t nest;    /* 0: the built-in environment, which is always there */
    uint32_t network; /* enum spawn_network */
    struct spawn_limits limits;
    uint64_t layer;
    struct spawn_nest make;
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
    uint32_t nest;
    uint32_t reserved;
    uint64_t layer;
    uint64_t bytes; /* of a layer on the disk */
    char text[160]; /* of the nest and layer operations: the first true cause, for people */
};

#define SPAWN_OPEN_FDS 3 /* control, stdout, stderr */

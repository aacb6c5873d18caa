/* spawn: what the server may say to the spawner, and what comes back.
 *
 * One SEQPACKET socket.  The first message is a struct spawn_config, sent while the server still is
 * the operator's own trusted process.  Every later one is a struct spawn_request, answered by one
 * struct spawn_reply (SPAWN_CLOSE has none), in order but where it says otherwise.  Numbers only:
 * nothing that a client chose.  A message of another size or kind is fatal to the sender. */
#pragma once

#include <stdint.h>

#include "base/limits.h"
#include "wire/spawn_config.h"

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

/* Descriptors of the spawner: of each slot (four groups, five counters, a pidfd, and what is under
 * way), and of the rest (of each nest the same, a socket, modules and a target). */
#define SPAWN_SLOT_FDS 12
#define SPAWN_OWN_FDS  (128 + LIMIT_NESTS * 13)

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

    /* Workspaces of sessions: wire/workspace.h says what each asks and answers. */
    SPAWN_JOIN,
    SPAWN_WORKSPACE_MAKE,
    SPAWN_WORKSPACE_OPEN,
    SPAWN_WORKSPACE_ATTACH,
    SPAWN_WORKSPACE_CLOSE,
    SPAWN_WORKSPACE_GROW,
    SPAWN_WORKSPACE_COPY,
    SPAWN_WORKSPACE_REMOVE,
};

enum spawn_kind { SPAWN_COLD = 0, SPAWN_WARM = 1 };

struct spawn_request {
    uint32_t op;
    uint32_t slot;
    uint32_t kind;
    uint32_t nest;    /* 0: the built-in environment, which is always there */
    uint32_t network; /* enum spawn_network */
    struct spawn_limits limits;
    uint64_t layer; /* or the number of a workspace */
    uint64_t other; /* SPAWN_WORKSPACE_COPY: the number of the copy */
    uint64_t bytes; /* size of a workspace */
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
    uint64_t bytes; /* of a layer or workspace on the disk */
    char text[160]; /* of the nest and layer operations: the first true cause, for people */
};

#define SPAWN_OPEN_FDS   3 /* control, stdout, stderr */
#define SPAWN_JOIN_FDS   4 /* stdout, stderr, job, status */
#define SPAWN_ATTACH_FDS 1 /* the mount */
#define SPAWN_FDS_MAX    4 /* that come with any reply */

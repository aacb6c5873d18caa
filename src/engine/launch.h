/* launch: what must happen as root before there is an engine: state directory, system copy,
 * spawner.  Used by `dunlin serve` and `dunlin run`, both still the operator's own process. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "wire/spawn.h"

struct settings;

/* Where Dunlin's own files lie, found from the running executable. */
struct launch_paths {
    char libexec[SPAWN_PATH]; /* dunlin-spawner, dunlin-init */
    char share[SPAWN_PATH];   /* runtime/, web/ */
};
int launch_find_paths(struct launch_paths *ret, struct err *e);

#define LAUNCH_KEY 128 /* bytes of a key, its NUL included */

struct launch {
    int spawner;       /* the socket, for engine_create() */
    pid_t spawner_pid; /* our child */
    int lock;          /* held as long as the instance lives */
    /* What the host can give to environments; "" where it cannot. */
    char base_key[LAUNCH_KEY];       /* of the layer SPAWN_HOST_BASE as it would be made now */
    char tools_key[LAUNCH_KEY];      /* of SPAWN_HOST_TOOLS */
    char python_version[LAUNCH_KEY]; /* of the host's Python: "3.11" */
};

/* Sandboxes at once: what the pools and the concurrency limit can ask for, with room for those on
 * their way out. */
uint32_t launch_slots(const struct settings *s);
/* How many of SESSION_LIVE_LIMIT sessions can be awake where the server and the spawner may open so
 * many files; at least 1. */
uint32_t launch_live_sessions(const struct settings *s, uint64_t files);

/* The most that any sandbox may have, enum spawn_network. */
uint32_t launch_network(const struct settings *s);

/* Needs root.  Makes the state directory settings->data and locks it, so that there is one instance
 * for each; with `beside`, when a server may be using it, locks a place of its own within.  Makes
 * or checks the system copy (which takes seconds the first time, and says so on stderr), tells
 * language.h what is available, and starts the spawner.  `warm`: with a zygote.  -1 and e. */
int launch_start(const struct settings *s, const struct launch_paths *paths, bool warm, bool beside,
                 struct launch *ret, struct err *e);

/* Waits until the spawner, whose socket has been closed, has cleaned up. */
void launch_wait(struct launch *l);

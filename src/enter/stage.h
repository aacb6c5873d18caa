/* stage: the file tree of a nest, assembled by the spawner in its own mount namespace. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/spawn.h"

struct stage_config {
    const char *dir;      /* an existing empty directory; the tree is mounted there */
    const char *system;   /* private system copy: usr/ and etc/ */
    const char *runtime;  /* our runners, seen as STAGE_RUNTIME */
    const char *work_dir; /* absolute; an empty mount point is made for it */
    const char *resolv;   /* file seen as /etc/resolv.conf, NULL: the system copy's empty one */
};

#define STAGE_RUNTIME "/opt/dunlin"

/* Mounts a read-only tmpfs on config->dir that holds usr, etc and the runtime (read-only binds),
 * the device nodes, and empty mount points for proc, dev/pts, dev/shm, tmp and the work directory.
 * Needs real root.  0, or -1 with what was mounted so far left there, in the caller's mount
 * namespace. */
int stage_make(const struct stage_config *config, struct err *e);

/* The text of /etc/resolv.conf for the configured resolvers: empty when there are none. */
void stage_resolver_text(const struct spawn_config *c, char *out, size_t cap);

/* What lies on top of the layers of an environment, so that no link in them can lead a mount point
 * of ours anywhere (R32), and gives it our own resolver and host names. */
struct stage_skeleton {
    const char *dir; /* an existing empty directory */
    enum spawn_nest_kind kind;
    uint32_t owner; /* host id of the nest's root where it may change the tree, else 0 */
    const char *work_dir;
    const char *resolv; /* text of /etc/resolv.conf */
    const char *hosts;  /* text of /etc/hosts */
};
#define STAGE_HOSTS "127.0.0.1\tlocalhost sandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n"

/* Mounts a small tmpfs on k->dir with mount points for proc, dev, tmp, run, the runtime and the
 * work directory (TOOL: /image and /input too) and with etc/{resolv.conf,hosts,hostname}.  The
 * caller's file-system ids are the owner's. */
int stage_make_skeleton(const struct stage_skeleton *k, struct err *e);

/* A read-only /dev with the device nodes and mount points for pts and shm, mounted on `at`/dev. */
int stage_make_dev(int at, struct err *e);

/* Mounts a detached tree, or the file or directory `from` read-only, on `at`/`name`, a path without
 * links on the same mount. */
int stage_attach(int tree, int at, const char *name, struct err *e);
int stage_bind(int from, int at, const char *name, struct err *e);

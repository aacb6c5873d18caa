/* stage: the file tree of a nest, assembled by the spawner in its own mount namespace. */
#pragma once

#include "base/err.h"

struct stage_config {
    const char *dir;      /* an existing empty directory; the tree is mounted there */
    const char *system;   /* private system copy: usr/ and etc/ */
    const char *runtime;  /* our runners, seen as STAGE_RUNTIME */
    const char *work_dir; /* absolute; an empty mount point is made for it */
};

#define STAGE_RUNTIME "/opt/dunlin"

/* Mounts a read-only tmpfs on config->dir that holds usr, etc and the runtime (read-only binds),
 * the device nodes, and empty mount points for proc, dev/pts, dev/shm, tmp and the work directory.
 * Needs real root.  0, or -1 with whatever was mounted left to stage_remove(). */
int stage_make(const struct stage_config *config, struct err *e);

/* Takes the tree down again.  Safe on a directory where nothing is mounted. */
void stage_remove(const char *dir);

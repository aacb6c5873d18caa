/* mounts: what a nest and a sandbox mount for themselves, without any right over the host. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Makes the current directory (the root of a stage, as inherited from the spawner) the root of the
 * calling process's mount namespace, with a fresh /proc, and drops the old root.  The caller is
 * root of its own user, pid and mount namespaces. */
int mounts_enter_nest(struct err *e);

struct mounts_sandbox {
    const char *work_dir;
    uint32_t workspace_mb; /* size of all writable storage together */
    uint32_t uid;          /* owner of the work directory, inside the sandbox */
    bool keep_tmp;         /* /tmp stays the nest's own: a build's lies in its layer */
};

/* Files and directories that fit into a workspace, by its size: one for each 16 KiB, at least
 * 1024. */
uint64_t mounts_inodes(uint32_t workspace_mb);

/* On top of the nest's tree: one sized tmpfs seen as work_dir, /dev/shm and /tmp; /proc of the
 * caller's pid namespace, read-only, own processes only; a private /dev/pts (R21, R23, R24, R53).
 */
int mounts_enter_sandbox(const struct mounts_sandbox *m, struct err *e);

/* Changes the size of the writable storage to workspace_mb. */
int mounts_resize(const struct mounts_sandbox *m, struct err *e);

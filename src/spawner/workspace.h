/* workspace: the durable storage of sessions as image files, by number.
 *
 * Workspace N is data/workspaces/N.img, an ext4 image; its directory root/ is the tree, with plain
 * ids.  What is open is mounted on w<N> below the stage directory, where all of these run.  They
 * may wait for the disk: for the worker, or before the spawner serves. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/spawn.h"
#include "wire/workspace.h"

#define WORKSPACE_FOLDER "workspaces"
#define WORKSPACE_NAME   24

/* At the start: makes the folder, and removes what a dead predecessor has left half-made. */
int workspace_prepare(const struct spawn_config *c, struct err *e);

/* Where workspace N is mounted, below the stage directory. */
void workspace_dir(uint64_t number, char out[static WORKSPACE_NAME]);

/* As SPAWN_WORKSPACE_MAKE: EEXIST, ENOSPC, ERANGE. */
int workspace_make(const struct spawn_config *c, uint64_t number, uint64_t bytes, struct err *e);

/* Has mke2fs make its file system in a file of that size. */
struct workspace_geometry;
int workspace_make_file_system(const char *path, const struct workspace_geometry *g, struct err *e);

/* Mounts one that is not open.  ENOENT; EAGAIN: still in use; ERANGE. */
int workspace_open(const struct spawn_config *c, uint64_t number, uint64_t bytes, struct err *e);

/* Sets the quota of an open one.  ERANGE. */
int workspace_grow(uint64_t number, uint64_t bytes, struct err *e);

/* Writes everything down and unmounts it.  *ret_bytes: what it takes up on the disk. */
int workspace_close(const struct spawn_config *c, uint64_t number, uint64_t *ret_bytes,
                    struct err *e);

/* For what an order that was cut off may have left: a mount, and files that are half made. */
void workspace_unmount(uint64_t number);
void workspace_remove_parts(const struct spawn_config *c, uint64_t number);

/* Removes one that is not open: EBUSY while a sandbox still has it. */
int workspace_remove(const struct spawn_config *c, uint64_t number, struct err *e);

/* Whether so many bytes fit beside a reserve on the disk that `file` lies on: ENOSPC. */
int workspace_check_disk(int file, uint64_t bytes, struct err *e);

/* A copy of one moment under a new number; `is_open`: it is frozen meanwhile.  EEXIST, ENOENT,
 * EAGAIN, ENOSPC; leaves nothing behind when it fails. */
int workspace_copy(const struct spawn_config *c, uint64_t number, uint64_t other, bool is_open,
                   uint64_t *ret_bytes, struct err *e);

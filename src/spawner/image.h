/* image: files that hold a file system, by number, in a folder of the data directory.
 *
 * Number N is <folder>/N.img; while it is made, N.img.part, from which nothing can be made: the
 * kernel shall not read a file system that is still written to, or that a crash has cut off. */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "wire/spawn.h"

#define IMAGE_PATH     (SPAWN_PATH + 48)
#define IMAGE_PART     ".part"
#define IMAGE_MKE2FS   "/sbin/mke2fs"
#define IMAGE_BLOCK    4096
#define IMAGE_BLOCK_S  "4096"
#define ST_BLOCK_BYTES 512 /* of st_blocks, whatever the file system: stat(2) */

/* `suffix` is "" or IMAGE_PART. */
void image_path(const struct spawn_config *c, const char *folder, uint64_t number,
                const char *suffix, char out[static IMAGE_PATH]);

/* At the start: makes the folder, and removes the files in it whose names end in `suffix`. */
int image_prepare(const struct spawn_config *c, const char *folder, const char *suffix,
                  struct err *e);

/* A descriptor of the folder, or -1. */
int image_open_folder(const struct spawn_config *c, const char *folder, struct err *e);

/* Makes an empty sparse file of this size.  EEXIST when there is one. */
int image_make(const char *path, uint64_t bytes, struct err *e);

/* Copies all of a file into an empty one; what was never written takes up nothing there either.
 * ENOSPC. */
int image_copy(int from, int to, struct err *e);

/* Makes a file and its name safe on the disk.  *ret_bytes: what it takes up. */
int image_settle(const struct spawn_config *c, const char *folder, const char *path,
                 uint64_t *ret_bytes, struct err *e);

/* A finished one or a part; none is no error. */
int image_remove(const struct spawn_config *c, const char *folder, uint64_t number, struct err *e);

/* The lowest number above `after`, 0: none. */
int image_next(const struct spawn_config *c, const char *folder, uint64_t after, uint64_t *ret,
               struct err *e);

/* Mounts the directory root of the file system on `dir` over it, so that this is all that can be
 * seen. */
int image_show_root(const char *dir, struct err *e);

/* layer: file systems as files, by number.
 *
 * Layer N is data/layers/N.img, an ext4 image whose directory root/ is a tree of files with plain
 * ids; while it is made, N.img.part, which nothing can be made from.  Everything here may wait for
 * the disk: for the worker, or before the spawner serves. */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "wire/spawn.h"

/* At the start: makes the directories layers and imports, and removes from them what can only be a
 * dead predecessor's: half-made layers and imports. */
int layer_prepare(const struct spawn_config *c, struct err *e);

/* Makes a new image with room for `mb` MiB, mounted for writing on `dir`, with the empty
 * directories root and work.  Fails with EEXIST when the layer exists; leaves no file behind when
 * it fails. */
int layer_create(const struct spawn_config *c, uint64_t layer, uint32_t mb, const char *dir,
                 struct err *e);

/* Mounts the tree of a finished layer on `dir`. */
int layer_mount(const struct spawn_config *c, uint64_t layer, const char *dir, struct err *e);

/* Makes a target, mounted on `dir`, read-only, complete on the disk and a layer.  `fd` was opened
 * on it before anything was written; *ret_bytes: what it takes up. */
int layer_seal(const struct spawn_config *c, uint64_t layer, const char *dir, int fd,
               uint64_t *ret_bytes, struct err *e);

/* Has system-image make a layer from packages of the host. */
int layer_make_host(const struct spawn_config *c, uint64_t layer, uint32_t which,
                    uint64_t *ret_bytes, struct err *e);

/* A finished one, or a target that was not sealed.  That it does not exist is no error. */
int layer_remove(const struct spawn_config *c, uint64_t layer, struct err *e);
/* The lowest number above `after`, 0: none. */
int layer_next(const struct spawn_config *c, uint64_t after, uint64_t *ret, struct err *e);

/* data/imports/N opened for a sandbox that shall read it. */
int layer_open_input(const struct spawn_config *c, uint64_t number, struct err *e);
int layer_remove_input(const struct spawn_config *c, uint64_t number, struct err *e);

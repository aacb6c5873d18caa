/* world: the file tree of a nest that is made of layers. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct spawner;

#define WORLD_NAME 32 /* bytes of a name below the stage directory */

/* Where the target of nest n is mounted, below the stage directory. */
void world_target_dir(uint32_t n, char out[static WORLD_NAME]);

/* Mounts the layers of nest n that no other nest has mounted, makes its target, and assembles its
 * tree.  The current directory is the stage directory.  When it fails, what was mounted is left to
 * world_remove(); *ret_target: whether the target's file was made and is left to layer_remove(). */
int world_make(const struct spawner *s, uint32_t n, bool *ret_target, struct err *e);

/* Takes down the tree of nest n and the layers that no other nest uses, but not its target. Nothing
 * lives in it any more.  Safe to call for a nest that was half made. */
void world_remove(const struct spawner *s, uint32_t n);

/* Whether a nest other than `except` has this layer, as a target too. */
bool world_uses_layer(const struct spawner *s, uint64_t layer, uint32_t except);

/* idmap: a file tree as a nest's own users see it. */
#pragma once

#include <stdint.h>

#include "base/err.h"

/* A user namespace that maps the ids 0 to SPAWN_UID_COUNT - 1 to those of nest n.  Its descriptor.
 */
int idmap_open(uint32_t n, struct err *e);

/* A detached copy of the mount on `dir` where on-disk ids are the nest's, without set-uid programs
 * and devices.  Its descriptor. */
int idmap_clone(int userns, const char *dir, struct err *e);

/* Acts on files as root of nest n from now on, with all capabilities kept; back to 0 with
 * idmap_act_as_host().  What is made meanwhile belongs to the nest. */
int idmap_act_as_nest(uint32_t n, struct err *e);
void idmap_act_as_host(void);

/* nest_birth: making the process of a nest. */
#pragma once

#include <stdint.h>

#include "base/err.h"

struct spawner;

/* Starts the builder of nest n in its own namespaces, with `sock` as its socket; sets the nest's
 * pid and pidfd.  -1 and e; if the pid is set the process is there all the same, and must be ended.
 */
int nest_birth(struct spawner *s, uint32_t n, int sock, struct err *e);

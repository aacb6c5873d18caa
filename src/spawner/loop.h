/* loop: image files mounted through loop devices. */
#pragma once

#include <stdbool.h>

#include "base/err.h"

/* Mounts the ext4 image `file` on `dir`, without set-uid programs and devices.  The loop device
 * goes away by itself with the last mount of it, also when everybody dies. */
int loop_mount(const char *file, const char *dir, bool read_only, struct err *e);

/* execute: programs of the host that the spawner's worker needs. */
#pragma once

#include <stdint.h>

#include "base/err.h"

/* Executes argv[0], an absolute path, with an environment of our own and no descriptor but the
 * standard ones, and waits for it.  0 when it ended with status 0; -1 and the last line that it
 * wrote on stderr.  It dies with the caller. */
int execute(const char *const *argv, struct err *e);

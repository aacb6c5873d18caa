/* pidfd: from a descriptor of a process to what /proc knows of it. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* Whether the descriptor is a pidfd at all. */
bool pidfd_is_one(int fd);

/* Its number in the host's /proc, -1 once it has been reaped.  The number may be somebody else's by
 * the time it is used: check pidfd_is_alive() after opening what it led to. */
pid_t pidfd_pid(int pidfd);

/* Its namespace of this kind ("net", "user"): a descriptor, or -1 and e. */
int pidfd_open_namespace(int pidfd, const char *kind, struct err *e);

/* Whether it has not ended yet. */
int pidfd_is_alive(int pidfd);

/* child: the end of a process of ours. */
#pragma once

#include <sys/types.h>

/* Waits until the child has ended, and reaps it: one that is not stays in the kernel's table for as
 * long as we do.  Its wait status, or -1 (errno) if it is no child of ours. */
int child_reap(pid_t pid);

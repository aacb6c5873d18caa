/* landlock: the second, independent file layer of a run (R26). */
#pragma once

#include <stdbool.h>

/* Restricts the calling process (which has no_new_privs): reading and executing anywhere in the
 * sandbox, writing only beneath work_dir, /tmp, /dev/shm and to the harmless devices (a build:
 * anywhere; the mounts decide); signals and abstract sockets stay inside where the kernel can scope
 * them (ABI 6).  0 or a negative errno; -ENOSYS or -EOPNOTSUPP when the kernel has no Landlock: a
 * missing lock, so the caller stops. */
long landlock_confine(const char *work_dir, bool build);

/* The same for a session's init and all that it starts: one domain, within which signals and
 * abstract sockets reach everybody; `proc`, a directory mounted nowhere, may be read too. */
long landlock_confine_session(const char *work_dir, int proc);

/* The same for one that joins a session with a domain of its own. */
long landlock_confine_joining(const char *work_dir);

/* The ABI of the running kernel, 0 if it has none. */
int landlock_abi(void);

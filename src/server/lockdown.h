/* lockdown: the server gives up everything it does not need. */
#pragma once

#include <stdint.h>

#include "base/err.h"

/* No identity, no capability, no file but those beneath the directory `state` (a descriptor), no
 * outgoing connection, no new process, and a short list of system calls.  Irreversible.  Everything
 * that needs another file or a listening socket has been opened before.  -1 and e when any step
 * fails: the caller must not go on. */
int lockdown_enter(uint32_t uid, int state, struct err *e);

/* ABI of the kernel's Landlock, 0 without. */
int lockdown_landlock_abi(void);

/* freeze: nobody can leave a file system frozen.
 *
 * A frozen file system whose freezer is dead stops its writers for good and can never be unmounted.
 * So a guard stands beside whoever freezes: a process that does not die with the spawner, and thaws
 * as soon as the freezer is gone. */
#pragma once

#include <sys/types.h>

#include "base/err.h"

struct freeze_guard {
    pid_t pid; /* 0: none */
    int alive; /* while there is one: the freezer has a copy as long as it lives */
};

/* Starts a guard of the file system at `dir`.  The freezer is cloned next, and then
 * freeze_guard_release() called. */
int freeze_guard_start(struct freeze_guard *g, const char *dir, struct err *e);

/* Only the freezer holds the guard back now. */
void freeze_guard_release(struct freeze_guard *g);

/* Once the freezer is dead: returns when the file system has thawed. */
void freeze_guard_finish(struct freeze_guard *g);

/* build: from clone3 to a sandbox whose pid 1 waits for its job. */
#pragma once

#include <sys/types.h>

#include "init/nest.h"
#include "wire/nest.h"

struct build {
    const struct nest_request *request;
    int control;                 /* socket to the server */
    int out, err;                /* pipes to the server */
    int zygote;                  /* socket to the zygote that gives the child; -1: cold */
    int groups[NEST_GROUPS_MAX]; /* cgroup.procs files opened by root */
};

/* Makes the sandbox's pid 1 in seven new namespaces.  Returns its pid in the nest and stores a
 * pidfd; the rest of the building goes on in the child and is reported over build->control.
 * -1 and e when it could not be made.  The descriptors of `build` stay the caller's. */
pid_t build_sandbox(struct nest *nest, const struct build *build, int *ret_pidfd, struct err *e);

/* nest: what is said inside the privileged half: spawner to builder, builder's child to zygote.
 *
 * SEQPACKET sockets, fixed-size messages.  The spawner treats what a nest says as hostile. */
#pragma once

#include <stdint.h>

/* Groups that a process must enter itself, by writing "0" to descriptors that root opened: memory,
 * cpu, cpuacct, pids on version 1, one on version 2. */
#define NEST_GROUPS_MAX 4

/* Ids inside a nest's user namespace. */
#define NEST_UID_BUILDER 0
#define NEST_UID_ZYGOTE  1
#define NEST_UID_SLOTS   1000 /* slot s: init is 1000 + 2s, the run 1001 + 2s */
/* Ids inside a sandbox: of init, and of the run.  In BUILD and TOOL nests a sandbox has all ids of
 * its nest under the same numbers, and the job is root like init. */
#define SANDBOX_UID_INIT 0
#define SANDBOX_UID_RUN  1000

enum nest_op { NEST_BUILD = 1, NEST_PING, NEST_JOIN };

/* NEST_BUILD carries descriptors: control, stdout, stderr, then `groups` descriptors of
 * cgroup.procs files.  NEST_JOIN has the zygote's child join a sandbox that is there; it carries
 * the descriptors of struct nest_join and is not answered: when no child can come, its status
 * descriptor is told so. */
struct nest_request {
    uint32_t op;
    uint32_t slot;
    uint32_t kind; /* enum spawn_kind; in BUILD and TOOL nests SPAWN_COLD */
    uint32_t workspace_mb;
    uint32_t groups;
    uint32_t
        host_network; /* 1: stays in the nest's network namespace, which is the host's (TOOL) */
};
#define NEST_BUILD_FDS(groups) (3 + (groups))

/* NEST_BUILD is answered with a pidfd of the sandbox's init when error == 0. */
struct nest_reply {
    uint32_t op;
    uint32_t slot;
    int32_t error; /* 0 or an errno */
};

/* To the zygote, with descriptors: pidfd of the sandbox's init, stdout, stderr, job socket, status
 * pipe, then the groups. */
struct nest_join {
    uint32_t groups;
    uint32_t session; /* 1: the child is a session's and works in SESSION_WORK_DIR */
};
#define NEST_JOIN_FDS(groups) (5 + (groups))
#define NEST_JOIN_STATUS      4 /* which of them is the status pipe */

/* From the middle process (the run's parent) to init, once, when the run's main process is dead or
 * could not be made; or from the builder, when there is no zygote: EAGAIN, there may be one soon;
 * ENOENT, this tree has none. */
struct nest_status {
    int32_t error;        /* errno of the step that failed, or 0 */
    int32_t wait_status;  /* as wait(2) gives it, when error == 0 */
    uint64_t cpu_us;      /* of it and its waited-for children; a hint, as the zygote gives it */
    uint64_t memory_peak; /* bytes, of the largest of them */
};

/* Exit status of an init whose zygote child did not report in time: the builder then replaces the
 * zygote. */
#define NEST_EXIT_ZYGOTE_STUCK 42

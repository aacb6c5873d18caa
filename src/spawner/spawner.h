/* spawner: the state of the one process that stays root.
 *
 * The spawner reads fixed-size numbers from the server and from its nests, and nothing else after
 * its configuration.  It makes groups, nests and pipes; the nests make the sandboxes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/limits.h"
#include "spawner/cgroup.h"
#include "spawner/freeze.h"
#include "wire/spawn.h"

enum slot_state {
    SLOT_FREE,    /* its group is empty and as new */
    SLOT_OPENING, /* the nest was told to build */
    SLOT_OPEN,    /* a sandbox lives in it */
    SLOT_DEAD,    /* its init is gone, the server has not closed it yet */
    SLOT_DRAINING /* closed and its init gone; processes may still be on their way out */
};

struct slot {
    enum slot_state state;
    bool closing;  /* the server has closed it */
    bool starting; /* a start waits for the network */
    bool lent;     /* the nest's zygote, or whom it told, can enter its group */
    uint32_t nest;
    enum spawn_nest_kind nest_kind; /* of the nest that it was opened in, */
    uint32_t network;               /* and the most that this one may have */
    int pidfd;                      /* of the sandbox's init, -1 if none */
    struct cgroup group;
    uint64_t overdue_us; /* opening: when the nest must have answered; draining: when whoever is
                            still in the group is ended or it is said */
    uint32_t next_free;  /* queue of free slots: the longest unused is taken first */
};

enum nest_state {
    NEST_FREE,    /* not in use; its group, once made, is kept */
    NEST_MAKING,  /* the worker has it, or will */
    NEST_UP,      /* its tree is there; a process is in it, or will be started again */
    NEST_CLOSING, /* its process is being killed, or the worker takes it down */
};

struct nest_process {
    enum nest_state state;
    struct spawn_nest make; /* of nest 0 only kind and warm mean something */
    int modules;            /* what its zygote shall import; never read here */
    int target;             /* the root of its target's file system: sees the errors of writing */
    pid_t pid;              /* 0 while there is none */
    int pidfd;
    int sock;
    uint32_t pings;         /* asked of it and not answered yet */
    uint64_t pong_due_us;   /* when the first of them must be; means nothing while there is none */
    uint64_t answer_due_us; /* when to look whether an answer is overdue, 0: it owes none */
    struct cgroup group;
    uint32_t failures; /* deaths soon after the start, in a row */
    uint64_t started_us;
    uint64_t retry_us; /* when to start it again, UINT64_MAX: never */
};

#define NEST_UNUSED                                                                                \
    ((struct nest_process){                                                                        \
        .modules = -1, .target = -1, .pidfd = -1, .sock = -1, .retry_us = UINT64_MAX})

/* What waits for the disk waits in one of these, so that what takes seconds keeps nobody waiting
 * who has milliseconds.  Each is worked off in order, one thing at a time; between them there is
 * none. */
enum lane {
    LANE_LAYERS, /* nests and layers */
    LANE_WAKE,   /* workspaces: made, opened, grown, listed */
    LANE_SLEEP,  /* workspaces: closed, removed */
    LANE_COPIES, /* workspaces: copied */
    LANES
};

/* One thing that may wait for the disk, for a worker. */
struct work {
    struct spawn_reply reply; /* names what is to be done, and then says what came of it */
    uint32_t kind;            /* SPAWN_LAYER_HOST: enum spawn_host_layer */
    uint64_t other, bytes;    /* of a workspace, as asked for */
    bool undo;                /* it has failed: take down what was made */
    bool made_target;         /* and remove its target */
};

/* What a worker's process reports. */
struct work_result {
    int32_t error;
    uint32_t made_target;
    uint32_t lost;  /* nothing was reported: what there is of it is unknown */
    uint64_t value; /* bytes, or the number of an image */
    char text[sizeof((struct err *)0)->text];
};

#define WORKS_MAX 1024 /* in a lane; each nest waits for one at most, the rest is for others */

struct worker {
    pid_t pid; /* 0: at rest */
    int result;
    struct freeze_guard guard;    /* LANE_COPIES, of what it freezes */
    struct work queue[WORKS_MAX]; /* a ring; the first is being done while pid > 0 */
    uint32_t first, count;
};

/* Numbers of those that are mounted. */
struct workspaces {
    uint64_t open[LIMIT_SLOTS];
    uint32_t count;
};

struct spawner {
    struct spawn_config config;
    char base[40];               /* name of the base group */
    char stage[SPAWN_PATH + 16]; /* a directory of root's alone; nest n's tree is in n<n> */
    int server;                  /* SEQPACKET socket */
    int epoll;
    int init; /* dunlin-init, opened once */
    const struct cgroup_ops *cgroups;
    struct nest_process nests[LIMIT_NESTS];
    struct worker lanes[LANES];
    struct cgroup worker_group; /* of what is built and copied */
    struct workspaces workspaces;
    struct slot slots[LIMIT_SLOTS];
    uint32_t nslots; /* made so far */
    uint32_t first_free, last_free;
    uint32_t ndraining;
};

#define SLOT_NONE UINT32_MAX

#define SPAWNER_LOCK_FD 4 /* the instance's lock: nobody else cleans up while it is open */

/* What epoll tells us about. */
enum spawner_event {
    EVENT_SERVER,
    EVENT_NEST_SOCK,
    EVENT_NEST_PIDFD,
    EVENT_SLOT,
    EVENT_WORKER,
    EVENT_NETWORK
};

/* `number` is that of the nest, slot or lane. */
int spawner_watch(struct spawner *s, int fd, enum spawner_event event, uint32_t number,
                  struct err *e);
void spawner_unwatch(struct spawner *s, int fd);
/* Logs one line on stderr; the spawner links no logger. */
void spawner_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

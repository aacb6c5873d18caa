/* cgroup: control groups of both versions behind one interface.
 *
 * Every group of an instance lies beneath one base group "dunlin-<instance>"; nothing outside it is
 * ever touched.  A group is made once for a slot and reused, because removed memory groups of
 * version 1 linger while pages are charged to them. */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "wire/nest.h"
#include "wire/spawn.h"

#define CGROUP_CPU_PERIOD_US 100000
/* Percent of a run's share.  A sandbox that is being made, or rehearses, steps aside for one that
 * somebody waits for: a lighter group is preempted when a heavier one wakes up. */
#define CGROUP_WEIGHT_RUN     100
#define CGROUP_WEIGHT_WAITING 25

struct cgroup_usage {
    uint64_t cpu_us;      /* all processes, dead ones included */
    uint64_t memory_peak; /* bytes since the last reset */
    uint32_t oom_kills;
    uint32_t pids_hits; /* forks that the process limit refused */
};

#define CGROUP_FILES_MAX 8

struct cgroup {
    char name[32];              /* beneath the base group */
    int procs[NEST_GROUPS_MAX]; /* cgroup.procs, to be handed to who shall enter */
    uint32_t nprocs;
    int files[CGROUP_FILES_MAX]; /* kept open by the back end, which knows their meaning */
    struct cgroup_usage base;    /* counters that cannot be set to zero, at the last reset */
    struct spawn_limits in_force;
    uint32_t percent; /* weight in force, 0: not set yet */
};

struct cgroup_ops {
    uint32_t version;
    /* Makes the base group, or takes over an old one. */
    int (*open)(const char *base, struct err *e);
    int (*create)(struct cgroup *g, const char *name, struct err *e);
    int (*limit)(struct cgroup *g, const struct spawn_limits *limits, struct err *e);
    /* Share of the CPU, in percent of a run's. */
    int (*weight)(struct cgroup *g, uint32_t percent, struct err *e);
    /* Between two sandboxes, when no process is left: makes the group as good as new. */
    int (*renew)(struct cgroup *g, struct err *e);
    /* The same with a new group of that name: descriptors of the old one lead nowhere any more.  -1
     * also when somebody still is in it; then it stays as it was. */
    int (*replace)(struct cgroup *g, struct err *e);
    /* Sends SIGKILL to all that are in it, once, and does not wait. */
    void (*end)(const struct cgroup *g);
    /* Just before the run starts: counters to zero. */
    int (*reset)(struct cgroup *g, struct err *e);
    int (*usage)(struct cgroup *g, struct cgroup_usage *ret, struct err *e);
    /* Number of processes and threads, zombies included; -1 on error. */
    int (*count)(struct cgroup *g);
    /* Removes the base group and all beneath it, ending what still runs there. */
    void (*sweep)(const char *base);
};

/* The version this host offers with memory, cpu and pids controllers, its base group made.  NULL
 * and e, naming what is missing. */
const struct cgroup_ops *cgroup_open(const char *base, struct err *e);

void cgroup_finish(struct cgroup *g);

/* For the back ends: takes what was counted before the last reset off *usage. */
void cgroup_subtract_base(const struct cgroup *g, struct cgroup_usage *usage);

extern const struct cgroup_ops cgroup_v1, cgroup_v2;

/* cgroup_v1: control groups version 1, one hierarchy per controller.
 *
 * Runs in the spawner, as root.  Creates and removes only beneath its base group. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "spawner/cgroup.h"
#include "spawner/cgroup_file.h"

/* Sockets may hold this part of the memory limit. */
#define SOCKET_PART 4

enum { MEMORY, CPU, CPUACCT, PIDS, CONTROLLERS };

static const char *const controllers[CONTROLLERS] = {"memory", "cpu", "cpuacct", "pids"};
/* Mount point and base group of each controller. */
static char bases[CONTROLLERS][CGROUP_PATH];

enum { FILE_PEAK, FILE_OOM, FILE_CPU, FILE_PIDS_EVENTS, FILE_PIDS_CURRENT, FILES };

static const struct {
    int controller;
    const char *name;
    int flags;
} files[FILES] = {
    [FILE_PEAK] = {MEMORY, "memory.max_usage_in_bytes", O_RDWR},
    [FILE_OOM] = {MEMORY, "memory.oom_control", O_RDONLY},
    [FILE_CPU] = {CPUACCT, "cpuacct.usage", O_RDONLY},
    [FILE_PIDS_EVENTS] = {PIDS, "pids.events", O_RDONLY},
    [FILE_PIDS_CURRENT] = {PIDS, "pids.current", O_RDONLY},
};

static int v1_open(const char *base, struct err *e)
{
    for (int i = 0; i < CONTROLLERS; i++) {
        char mount[CGROUP_PATH / 2];

        if (!cgroup_file_mount("cgroup", controllers[i], mount, sizeof mount))
            return err_set(e, ERR_UNAVAILABLE, 0, "no %s controller is mounted", controllers[i]);
        snprintf(bases[i], sizeof bases[i], "%s/%s", mount, base);
        if (mkdir(bases[i], 0755) < 0 && errno != EEXIST)
            return err_set(e, ERR_UNAVAILABLE, errno, "mkdir %s", bases[i]);
    }
    return 0;
}

static void group_dir(char out[static CGROUP_PATH], const struct cgroup *g, int controller)
{
    snprintf(out, CGROUP_PATH, "%.400s/%s", bases[controller], g->name);
}

static int v1_create(struct cgroup *g, const char *name, struct err *e)
{
    char dir[CGROUP_PATH];

    *g = (struct cgroup){.nprocs = 0};
    snprintf(g->name, sizeof g->name, "%s", name);
    memset(g->files, -1, sizeof g->files);
    for (int i = 0; i < CONTROLLERS; i++) {
        group_dir(dir, g, i);
        if (mkdir(dir, 0755) < 0 && errno != EEXIST)
            return err_set(e, ERR_INTERNAL, errno, "mkdir %s", dir);
        g->procs[i] = cgroup_file_open(dir, "cgroup.procs", O_WRONLY, e);
        if (g->procs[i] < 0)
            return -1;
        g->nprocs++;
    }
    for (int i = 0; i < FILES; i++) {
        group_dir(dir, g, files[i].controller);
        g->files[i] = cgroup_file_open(dir, files[i].name, files[i].flags, e);
        if (g->files[i] < 0)
            return -1;
    }
    return 0;
}

/* The limit with swap can never be below the one without, so the order depends on the direction;
 * tried first and once more at the end, it needs not be known. */
static int limit_memory(const char *dir, int64_t bytes, struct err *e)
{
    static const char with_swap[] = "memory.memsw.limit_in_bytes";
    char path[CGROUP_PATH + 64];

    snprintf(path, sizeof path, "%s/%s", dir, with_swap);
    if (access(path, F_OK) < 0 && cgroup_file_swap_is_on())
        return err_set(e, ERR_UNAVAILABLE, 0,
                       "swap is on and this kernel does not account for it: a run's memory limit "
                       "would not hold (swapoff -a, or boot with swapaccount=1)");
    if (access(path, F_OK) < 0)
        return cgroup_file_write_number(dir, "memory.limit_in_bytes", bytes, e);
    cgroup_file_write_number(dir, with_swap, bytes, NULL);
    if (cgroup_file_write_number(dir, "memory.limit_in_bytes", bytes, e) < 0)
        return -1;
    return cgroup_file_write_number(dir, with_swap, bytes, e);
}

/* Buffers of TCP and UDP sockets are in no other counter of version 1, not even in kmem.  Bounded
 * in addition to the memory limit: a loopback connection works with a fraction of this. */
static int limit_sockets(const char *dir, int64_t memory_bytes, struct err *e)
{
    return cgroup_file_write_number(dir, "memory.kmem.tcp.limit_in_bytes",
                                    memory_bytes / SOCKET_PART, e);
}

static int v1_limit(struct cgroup *g, const struct spawn_limits *limits, struct err *e)
{
    struct spawn_limits old = g->in_force;
    char dir[CGROUP_PATH];
    int64_t quota = (int64_t)limits->cpu_milli * CGROUP_CPU_PERIOD_US / 1000;

    g->in_force = (struct spawn_limits){0}; /* nothing is certain if a write fails */
    group_dir(dir, g, MEMORY);
    if (limits->memory_mb != old.memory_mb &&
        (limit_memory(dir, (int64_t)limits->memory_mb << 20, e) < 0 ||
         limit_sockets(dir, (int64_t)limits->memory_mb << 20, e) < 0))
        return -1;
    group_dir(dir, g, CPU);
    if (limits->cpu_milli != old.cpu_milli &&
        (cgroup_file_write_number(dir, "cpu.cfs_period_us", CGROUP_CPU_PERIOD_US, e) < 0 ||
         cgroup_file_write_number(dir, "cpu.cfs_quota_us", quota, e) < 0))
        return -1;
    group_dir(dir, g, PIDS);
    if (limits->processes != old.processes &&
        cgroup_file_write_number(dir, "pids.max", limits->processes, e) < 0)
        return -1;
    g->in_force = *limits;
    return 0;
}

static int v1_weight(struct cgroup *g, uint32_t percent, struct err *e)
{
    char dir[CGROUP_PATH];

    if (g->percent == percent)
        return 0;
    g->percent = 0; /* not certain if the write fails */
    group_dir(dir, g, CPU);
    if (cgroup_file_write_number(dir, "cpu.shares", (int64_t)percent * 1024 / 100, e) < 0)
        return -1;
    g->percent = percent;
    return 0;
}

/* Counters as the kernel has them, since the group was made. */
static int read_counters(const struct cgroup *g, struct cgroup_usage *ret, struct err *e)
{
    uint64_t cpu_ns, oom, hits;

    if (cgroup_file_number(g->files[FILE_CPU], NULL, &cpu_ns, e) < 0 ||
        cgroup_file_number(g->files[FILE_PEAK], NULL, &ret->memory_peak, e) < 0 ||
        cgroup_file_number(g->files[FILE_OOM], "oom_kill", &oom, e) < 0 ||
        cgroup_file_number(g->files[FILE_PIDS_EVENTS], "max", &hits, e) < 0)
        return -1;
    ret->cpu_us = cpu_ns / 1000;
    ret->oom_kills = (uint32_t)oom;
    ret->pids_hits = (uint32_t)hits;
    return 0;
}

/* Nothing to do: every counter of version 1 can be reset while the sandbox waits. */
static int v1_renew(struct cgroup *g, struct err *e)
{
    (void)g;
    (void)e;
    return 0;
}

static int v1_replace(struct cgroup *g, struct err *e)
{
    char dir[CGROUP_PATH], name[sizeof g->name];
    int error = 0;

    memcpy(name, g->name, sizeof name);
    for (int i = 0; i < CONTROLLERS; i++) {
        group_dir(dir, g, i);
        if (rmdir(dir) < 0 && errno != ENOENT) /* two controllers may share a hierarchy */
            error = errno;
    }
    cgroup_finish(g);
    if (v1_create(g, name, e) < 0)
        return -1;
    return error == 0 ? 0 : err_set(e, ERR_INTERNAL, error, "remove group %s", name);
}

static void v1_end(const struct cgroup *g)
{
    char dir[CGROUP_PATH];

    for (int i = 0; i < CONTROLLERS; i++) {
        group_dir(dir, g, i);
        cgroup_file_end(dir);
    }
}

static int v1_reset(struct cgroup *g, struct err *e)
{
    if (pwrite(g->files[FILE_PEAK], "0", 1, 0) != 1)
        return err_set(e, ERR_INTERNAL, errno, "reset the memory peak");
    return read_counters(g, &g->base, e);
}

static int v1_usage(struct cgroup *g, struct cgroup_usage *ret, struct err *e)
{
    if (read_counters(g, ret, e) < 0)
        return -1;
    cgroup_subtract_base(g, ret);
    return 0;
}

static int v1_count(struct cgroup *g)
{
    uint64_t n;

    return cgroup_file_number(g->files[FILE_PIDS_CURRENT], NULL, &n, NULL) < 0 ? -1 : (int)n;
}

static void v1_sweep(const char *base)
{
    char mount[CGROUP_PATH / 2], dir[CGROUP_PATH];

    for (int i = 0; i < CONTROLLERS; i++) {
        if (!cgroup_file_mount("cgroup", controllers[i], mount, sizeof mount))
            continue;
        snprintf(dir, sizeof dir, "%s/%s", mount, base);
        cgroup_file_sweep(dir);
    }
}

const struct cgroup_ops cgroup_v1 = {
    .version = 1,
    .open = v1_open,
    .create = v1_create,
    .limit = v1_limit,
    .weight = v1_weight,
    .renew = v1_renew,
    .replace = v1_replace,
    .end = v1_end,
    .reset = v1_reset,
    .usage = v1_usage,
    .count = v1_count,
    .sweep = v1_sweep,
};

/* cgroup_v2: control groups version 2, one hierarchy.
 *
 * Runs in the spawner, as root.  The base group lies in the group that we were started in (a unit
 * with Delegate=yes), or at the root of the hierarchy.  Creates and removes only beneath it. */
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

#define CONTROLLERS "+memory +cpu +pids"
/* Groups with children may hold no process of their own: we and the server move here. */
#define LEAF "dunlin-service"

static char base_dir[CGROUP_PATH];

enum { FILE_PEAK, FILE_MEMORY_EVENTS, FILE_CPU, FILE_PIDS_EVENTS, FILE_PIDS_CURRENT, FILES };

static const struct {
    const char *name;
    int flags;
} files[FILES] = {
    [FILE_PEAK] = {"memory.peak", O_RDWR},
    [FILE_MEMORY_EVENTS] = {"memory.events", O_RDONLY},
    [FILE_CPU] = {"cpu.stat", O_RDONLY},
    [FILE_PIDS_EVENTS] = {"pids.events", O_RDONLY},
    [FILE_PIDS_CURRENT] = {"pids.current", O_RDONLY},
};

/* The directory of the group this process is in. */
static int own_group(const char *mount, char out[static CGROUP_PATH], struct err *e)
{
    char line[CGROUP_PATH / 2], path[CGROUP_PATH / 2] = "";
    FILE *f = fopen("/proc/self/cgroup", "re");

    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "0::%255[^\n]", path) == 1)
            break;
    }
    if (f != NULL)
        fclose(f);
    if (path[0] == '\0')
        return err_set(e, ERR_UNAVAILABLE, 0, "not in a group");
    snprintf(out, CGROUP_PATH, "%s%s", mount, strcmp(path, "/") == 0 ? "" : path);
    return 0;
}

static int has_controllers(const char *dir, struct err *e)
{
    char text[256] = " ";
    _cleanup_fd_ int fd = cgroup_file_open(dir, "cgroup.controllers", O_RDONLY, e);
    ssize_t n = fd < 0 ? -1 : read(fd, text + 1, sizeof text - 3);

    if (n < 0)
        return -1;
    text[n] = ' '; /* over the line's end */
    text[n + 1] = '\0';
    if (strstr(text, " memory ") == NULL || strstr(text, " cpu ") == NULL ||
        strstr(text, " pids ") == NULL)
        return err_set(e, ERR_UNAVAILABLE, 0, "%.60s does not offer memory, cpu and pids", dir);
    return 0;
}

/* Moves every process of `dir` into its leaf, so that dir may have groups with controllers. */
static int make_room(const char *dir, struct err *e)
{
    char leaf[CGROUP_PATH + 32];
    FILE *procs;
    int pid;

    snprintf(leaf, sizeof leaf, "%s/%s", dir, LEAF);
    if (mkdir(leaf, 0755) < 0 && errno != EEXIST)
        return err_set(e, ERR_UNAVAILABLE, errno, "mkdir %s", leaf);
    snprintf(leaf, sizeof leaf, "%s/cgroup.procs", dir);
    procs = fopen(leaf, "re");
    snprintf(leaf, sizeof leaf, "%s/%s", dir, LEAF);
    while (procs != NULL && fscanf(procs, "%d", &pid) == 1)
        cgroup_file_write_number(leaf, "cgroup.procs", pid, NULL);
    if (procs != NULL)
        fclose(procs);
    return 0;
}

static int v2_open(const char *base, struct err *e)
{
    char mount[CGROUP_PATH / 2], own[CGROUP_PATH];

    if (!cgroup_file_mount("cgroup2", NULL, mount, sizeof mount))
        return err_set(e, ERR_UNAVAILABLE, 0, "not mounted");
    if (own_group(mount, own, e) < 0 || has_controllers(own, e) < 0)
        return -1;
    if (strcmp(own, mount) != 0 && make_room(own, e) < 0)
        return -1;
    if (cgroup_file_write(own, "cgroup.subtree_control", CONTROLLERS, e) < 0)
        return -1;
    snprintf(base_dir, sizeof base_dir, "%.400s/%s", own, base);
    if (mkdir(base_dir, 0755) < 0 && errno != EEXIST)
        return err_set(e, ERR_UNAVAILABLE, errno, "mkdir %s", base_dir);
    return cgroup_file_write(base_dir, "cgroup.subtree_control", CONTROLLERS, e);
}

static void group_dir(char out[static CGROUP_PATH], const struct cgroup *g)
{
    snprintf(out, CGROUP_PATH, "%.400s/%s", base_dir, g->name);
}

static int v2_create(struct cgroup *g, const char *name, struct err *e)
{
    char dir[CGROUP_PATH];

    *g = (struct cgroup){.nprocs = 0};
    snprintf(g->name, sizeof g->name, "%s", name);
    memset(g->files, -1, sizeof g->files);
    group_dir(dir, g);
    if (mkdir(dir, 0755) < 0 && errno != EEXIST)
        return err_set(e, ERR_INTERNAL, errno, "mkdir %s", dir);
    g->procs[0] = cgroup_file_open(dir, "cgroup.procs", O_WRONLY, e);
    if (g->procs[0] < 0)
        return -1;
    g->nprocs = 1;
    for (int i = 0; i < FILES; i++) {
        g->files[i] = cgroup_file_open(dir, files[i].name, files[i].flags, e);
        if (g->files[i] < 0)
            return -1;
    }
    /* The kernel takes single processes, not the whole group: init must live to report the end. */
    return cgroup_file_write(dir, "memory.oom.group", "0", e);
}

static int limit_memory(const char *dir, int64_t bytes, struct err *e)
{
    char path[CGROUP_PATH + 32];

    snprintf(path, sizeof path, "%s/memory.swap.max", dir);
    if (access(path, F_OK) < 0 && cgroup_file_swap_is_on())
        return err_set(e, ERR_UNAVAILABLE, 0,
                       "swap is on and this kernel does not account for it: a run's memory limit "
                       "would not hold (swapoff -a, or boot with swapaccount=1)");
    if (access(path, F_OK) == 0 && cgroup_file_write(dir, "memory.swap.max", "0", e) < 0)
        return -1;
    return cgroup_file_write_number(dir, "memory.max", bytes, e);
}

static int v2_limit(struct cgroup *g, const struct spawn_limits *limits, struct err *e)
{
    struct spawn_limits old = g->in_force;
    char dir[CGROUP_PATH], text[64];
    uint64_t quota = (uint64_t)limits->cpu_milli * CGROUP_CPU_PERIOD_US / 1000;

    g->in_force = (struct spawn_limits){0}; /* nothing is certain if a write fails */
    group_dir(dir, g);
    if (limits->memory_mb != old.memory_mb &&
        limit_memory(dir, (int64_t)limits->memory_mb << 20, e) < 0)
        return -1;
    snprintf(text, sizeof text, "%llu %d", (unsigned long long)quota, CGROUP_CPU_PERIOD_US);
    if (limits->cpu_milli != old.cpu_milli && cgroup_file_write(dir, "cpu.max", text, e) < 0)
        return -1;
    if (limits->processes != old.processes &&
        cgroup_file_write_number(dir, "pids.max", limits->processes, e) < 0)
        return -1;
    g->in_force = *limits;
    return 0;
}

static int v2_weight(struct cgroup *g, uint32_t percent, struct err *e)
{
    char dir[CGROUP_PATH];

    if (g->percent == percent)
        return 0;
    g->percent = 0; /* not certain if the write fails */
    group_dir(dir, g);
    if (cgroup_file_write_number(dir, "cpu.weight", percent, e) < 0)
        return -1;
    g->percent = percent;
    return 0;
}

static int read_counters(const struct cgroup *g, struct cgroup_usage *ret, struct err *e)
{
    uint64_t oom, hits;

    if (cgroup_file_number(g->files[FILE_CPU], "usage_usec", &ret->cpu_us, e) < 0 ||
        cgroup_file_number(g->files[FILE_PEAK], NULL, &ret->memory_peak, e) < 0 ||
        cgroup_file_number(g->files[FILE_MEMORY_EVENTS], "oom_kill", &oom, e) < 0 ||
        cgroup_file_number(g->files[FILE_PIDS_EVENTS], "max", &hits, e) < 0)
        return -1;
    ret->oom_kills = (uint32_t)oom;
    ret->pids_hits = (uint32_t)hits;
    return 0;
}

/* From Linux 6.12 on a write to memory.peak starts it anew for this descriptor.  Before, the peak
 * of a reused group would be an earlier run's, so the group is made anew between two runs. */
static bool peak_resets(const struct cgroup *g)
{
    return pwrite(g->files[FILE_PEAK], "0", 1, 0) == 1;
}

static int v2_replace(struct cgroup *g, struct err *e)
{
    char dir[CGROUP_PATH], name[sizeof g->name];
    int error;

    group_dir(dir, g);
    memcpy(name, g->name, sizeof name);
    error = rmdir(dir) < 0 ? errno : 0;
    cgroup_finish(g);
    if (v2_create(g, name, e) < 0)
        return -1;
    return error == 0 ? 0 : err_set(e, ERR_INTERNAL, error, "remove group %s", name);
}

static int v2_renew(struct cgroup *g, struct err *e)
{
    struct spawn_limits limits = g->in_force;

    if (peak_resets(g))
        return 0;
    return v2_replace(g, e) < 0 ? -1 : v2_limit(g, &limits, e);
}

static void v2_end(const struct cgroup *g)
{
    char dir[CGROUP_PATH];

    group_dir(dir, g);
    cgroup_file_end(dir);
}

static int v2_reset(struct cgroup *g, struct err *e)
{
    peak_resets(g); /* if it does not, the peak counts from the making of the sandbox on */
    return read_counters(g, &g->base, e);
}

static int v2_usage(struct cgroup *g, struct cgroup_usage *ret, struct err *e)
{
    if (read_counters(g, ret, e) < 0)
        return -1;
    cgroup_subtract_base(g, ret);
    return 0;
}

static int v2_count(struct cgroup *g)
{
    uint64_t n;

    return cgroup_file_number(g->files[FILE_PIDS_CURRENT], NULL, &n, NULL) < 0 ? -1 : (int)n;
}

static void v2_sweep(const char *base)
{
    char mount[CGROUP_PATH / 2], own[CGROUP_PATH], dir[CGROUP_PATH], *leaf;

    if (!cgroup_file_mount("cgroup2", NULL, mount, sizeof mount) || own_group(mount, own, NULL) < 0)
        return;
    leaf = strstr(own, "/" LEAF);
    if (leaf != NULL)
        *leaf = '\0';
    snprintf(dir, sizeof dir, "%.400s/%s", own, base);
    cgroup_file_sweep(dir);
}

const struct cgroup_ops cgroup_v2 = {
    .version = 2,
    .open = v2_open,
    .create = v2_create,
    .limit = v2_limit,
    .weight = v2_weight,
    .renew = v2_renew,
    .replace = v2_replace,
    .end = v2_end,
    .reset = v2_reset,
    .usage = v2_usage,
    .count = v2_count,
    .sweep = v2_sweep,
};

/* cgroup_v2: control groups version 2, one hierarchy.
 *
 * Runs in the spawner, as root.  The base group lies in the group that we were started in, if it
 * was given to us (a unit with Delegate=yes, a container), else at the top of the hierarchy: a
 * group of systemd's that holds somebody's login is not ours to divide.  Creates and removes only
 * beneath the base group and its sibling for the service itself. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "spawner/cgroup.h"
#include "spawner/cgroup_file.h"

#define CONTROLLERS "+memory +cpu +pids"
/* Groups with children may hold no process of their own: we and the server move here. */
#define LEAF        "dunlin-service"
#define ROOM_ROUNDS 20 /* who forks while it is moved leaves a child behind */

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

/* systemd marks what it gives away so (its docs/CGROUP_DELEGATION.md). */
static bool is_delegated(const char *dir)
{
    char value[8];

    return getxattr(dir, "trusted.delegate", value, sizeof value) == 1 && value[0] == '1';
}

/* The group that the base group shall lie in, and whether its processes have to leave it first. */
static int find_parent(char parent[static CGROUP_PATH], bool *ret_crowded, struct err *e)
{
    char mount[CGROUP_PATH / 2], file[CGROUP_PATH + 32], *leaf;

    if (!cgroup_file_mount("cgroup2", NULL, mount, sizeof mount))
        return err_set(e, ERR_UNAVAILABLE, 0, "not mounted");
    if (own_group(mount, parent, e) < 0)
        return -1;
    leaf = strrchr(parent, '/');
    if (leaf != NULL && strcmp(leaf + 1, LEAF) == 0)
        *leaf = '\0'; /* where a predecessor of ours has put whoever starts us */
    if (access("/run/systemd/system", F_OK) == 0 && !is_delegated(parent))
        snprintf(parent, CGROUP_PATH, "%s", mount);
    /* Only the root of all groups has no type; that of a cgroup namespace is like any other. */
    snprintf(file, sizeof file, "%s/cgroup.type", parent);
    *ret_crowded = access(file, F_OK) == 0;
    return 0;
}

static void move_all(const char *dir, const char *leaf)
{
    char path[CGROUP_PATH + 32];
    FILE *procs;
    int pid;

    snprintf(path, sizeof path, "%s/cgroup.procs", dir);
    procs = fopen(path, "re");
    while (procs != NULL && fscanf(procs, "%d", &pid) == 1)
        cgroup_file_write_number(leaf, "cgroup.procs", pid, NULL);
    if (procs != NULL)
        fclose(procs);
}

/* Moves every process of `dir` into its leaf, so that groups in dir may have controllers. */
static int make_room(const char *dir, struct err *e)
{
    char leaf[CGROUP_PATH];

    snprintf(leaf, sizeof leaf, "%.400s/%s", dir, LEAF);
    if (mkdir(leaf, 0755) < 0 && errno != EEXIST)
        return err_set(e, ERR_UNAVAILABLE, errno, "mkdir %s", leaf);
    for (int round = 0; round < ROOM_ROUNDS; round++) {
        move_all(dir, leaf);
        if (cgroup_file_write(dir, "cgroup.subtree_control", CONTROLLERS, e) == 0)
            return 0;
    }
    return -1;
}

static int v2_open(const char *base, struct err *e)
{
    char parent[CGROUP_PATH];
    bool crowded = false;

    if (find_parent(parent, &crowded, e) < 0 || has_controllers(parent, e) < 0)
        return -1;
    if ((crowded ? make_room(parent, e)
                 : cgroup_file_write(parent, "cgroup.subtree_control", CONTROLLERS, e)) < 0)
        return -1;
    snprintf(base_dir, sizeof base_dir, "%.400s/%s", parent, base);
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

/* At one go, so that nobody can fork faster than that: Linux 5.14. */
static void kill_all(const char *dir)
{
    if (cgroup_file_write(dir, "cgroup.kill", "1", NULL) < 0)
        cgroup_file_end(dir);
}

static void v2_end(const struct cgroup *g)
{
    char dir[CGROUP_PATH];

    group_dir(dir, g);
    kill_all(dir);
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

/* In both places: a predecessor may have been started in another way. */
static void v2_sweep(const char *base)
{
    char mount[CGROUP_PATH / 2], parent[CGROUP_PATH], dir[CGROUP_PATH];
    bool crowded;

    if (find_parent(parent, &crowded, NULL) < 0)
        return;
    snprintf(dir, sizeof dir, "%.400s/%s", parent, base);
    kill_all(dir);
    cgroup_file_sweep(dir);
    if (cgroup_file_mount("cgroup2", NULL, mount, sizeof mount)) {
        snprintf(dir, sizeof dir, "%s/%s", mount, base);
        kill_all(dir);
        cgroup_file_sweep(dir);
    }
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

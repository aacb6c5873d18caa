/* test_cgroups: control groups that exist in memory only.  For the tests of src/spawner. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "spawner/cgroup.h"

/* What the kernel would know of a group. */
static struct {
    int processes;
    uint32_t renewed, replaced, ended;
    struct spawn_limits limits;
} test_groups[LIMIT_SLOTS + 1]; /* the last stands for all that are no slot's */
/* The next call of these fails. */
static bool test_create_fails, test_limit_fails, test_renew_fails, test_replace_fails;

static inline unsigned test_group_number(const struct cgroup *g)
{
    return g->name[0] == 's' ? (unsigned)strtoul(g->name + 1, NULL, 10) : LIMIT_SLOTS;
}

static inline int test_refuse(bool *fails, struct err *e)
{
    if (!*fails)
        return 0;
    *fails = false;
    return err_set(e, ERR_INTERNAL, ENOSPC, "as the test wants it");
}

static inline int test_create(struct cgroup *g, const char *name, struct err *e)
{
    *g = (struct cgroup){.nprocs = 0};
    memset(g->files, -1, sizeof g->files);
    snprintf(g->name, sizeof g->name, "%s", name);
    g->procs[g->nprocs++] = open("/dev/null", O_WRONLY | O_CLOEXEC);
    g->files[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return test_refuse(&test_create_fails, e);
}

static inline int test_limit(struct cgroup *g, const struct spawn_limits *limits, struct err *e)
{
    if (test_refuse(&test_limit_fails, e) < 0)
        return -1;
    test_groups[test_group_number(g)].limits = *limits;
    return 0;
}

static inline int test_weight(struct cgroup *g, uint32_t percent, struct err *e)
{
    return 0;
}

static inline int test_renew(struct cgroup *g, struct err *e)
{
    if (test_refuse(&test_renew_fails, e) < 0)
        return -1;
    test_groups[test_group_number(g)].renewed++;
    return 0;
}

static inline int test_replace(struct cgroup *g, struct err *e)
{
    if (test_refuse(&test_replace_fails, e) < 0)
        return -1;
    test_groups[test_group_number(g)].replaced++;
    return 0;
}

static inline void test_end(const struct cgroup *g)
{
    test_groups[test_group_number(g)].ended++;
}

static inline int test_reset(struct cgroup *g, struct err *e)
{
    return 0;
}

static inline int test_usage(struct cgroup *g, struct cgroup_usage *ret, struct err *e)
{
    *ret = (struct cgroup_usage){.cpu_us = 1, .memory_peak = 2, .oom_kills = 3, .pids_hits = 4};
    return 0;
}

static inline int test_count(struct cgroup *g)
{
    return test_groups[test_group_number(g)].processes;
}

static const struct cgroup_ops test_cgroups = {.version = 2,
                                               .create = test_create,
                                               .limit = test_limit,
                                               .weight = test_weight,
                                               .renew = test_renew,
                                               .replace = test_replace,
                                               .end = test_end,
                                               .reset = test_reset,
                                               .usage = test_usage,
                                               .count = test_count};

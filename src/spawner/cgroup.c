/* cgroup: chooses the version and releases groups.
 *
 * Runs in the spawner, as root. */
#include "spawner/cgroup.h"

#include <stdio.h>

#include "base/fd.h"

const struct cgroup_ops *cgroup_open(const char *base, struct err *e)
{
    struct err first = {0}, second = {0};

    if (cgroup_v2.open(base, &first) == 0)
        return &cgroup_v2;
    if (cgroup_v1.open(base, &second) == 0)
        return &cgroup_v1;
    err_set(e, ERR_UNAVAILABLE, 0, "control groups: version 2: %.100s; version 1: %.100s",
            first.text, second.text);
    return NULL;
}

void cgroup_finish(struct cgroup *g)
{
    for (uint32_t i = 0; i < g->nprocs; i++)
        fd_close(&g->procs[i]);
    for (int i = 0; i < CGROUP_FILES_MAX; i++)
        fd_close(&g->files[i]);
    g->nprocs = 0;
}

void cgroup_subtract_base(const struct cgroup *g, struct cgroup_usage *usage)
{
    usage->cpu_us -= g->base.cpu_us;
    usage->oom_kills -= g->base.oom_kills;
    usage->pids_hits -= g->base.pids_hits;
}

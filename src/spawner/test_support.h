/* test_support: a spawner whose groups exist in memory only, and whose server and nest are the
 * test's.  For the tests and the fuzz targets of src/spawner. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "spawner/spawner.h"

/* What the kernel would know of a group. */
static struct {
    int processes;
    uint32_t renewed;
    struct spawn_limits limits;
} test_groups[LIMIT_SLOTS];
/* The next call of these fails. */
static bool test_create_fails, test_limit_fails, test_renew_fails, test_watch_fails;

static struct spawner test_spawner;
static int test_server, test_nest; /* the other ends */

static inline unsigned test_group_number(const struct cgroup *g)
{
    return (unsigned)strtoul(g->name + 1, NULL, 10);
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
                                               .reset = test_reset,
                                               .usage = test_usage,
                                               .count = test_count};

/* What main.c gives to the rest of the spawner. */
int spawner_watch(struct spawner *s, int fd, enum spawner_event event, uint32_t slot, struct err *e)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = (uint64_t)event << 32 | slot};

    if (test_refuse(&test_watch_fails, e) < 0 || epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
        return err_set(e, ERR_INTERNAL, errno, "epoll_ctl");
    return 0;
}

void spawner_unwatch(struct spawner *s, int fd)
{
    epoll_ctl(s->epoll, EPOLL_CTL_DEL, fd, NULL);
}

void spawner_say(const char *format, ...)
{
}

static inline void test_spawner_init(uint32_t slots)
{
    int server[2], nest[2];

    memset(&test_spawner, 0, sizeof test_spawner);
    memset(test_groups, 0, sizeof test_groups);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, server) < 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, nest) < 0)
        abort();
    test_spawner.config.defaults = (struct spawn_limits){128, 1000, 64, 32};
    test_spawner.config.ceilings = (struct spawn_limits){1024, 2000, 256, 64};
    test_spawner.config.slots = slots;
    test_spawner.server = server[0];
    test_spawner.cgroups = &test_cgroups;
    test_spawner.epoll = epoll_create1(EPOLL_CLOEXEC);
    test_spawner.first_free = test_spawner.last_free = SLOT_NONE;
    test_spawner.nest = (struct nest_process){.pid = 1, .pidfd = -1, .sock = nest[0]};
    test_server = server[1];
    test_nest = nest[1];
}

static inline void test_spawner_finish(void)
{
    for (uint32_t i = 0; i < test_spawner.nslots; i++) {
        fd_close(&test_spawner.slots[i].pidfd);
        cgroup_finish(&test_spawner.slots[i].group);
    }
    fd_close(&test_spawner.server);
    fd_close(&test_spawner.nest.sock);
    fd_close(&test_spawner.epoll);
    fd_close(&test_server);
    fd_close(&test_nest);
}

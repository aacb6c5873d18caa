/* test_support: a spawner whose groups exist in memory only, and whose server and nest are the
 * test's.  For the tests and the fuzz targets of src/spawner. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "spawner/spawner.h"
#include "spawner/test_cgroups.h"
#include "spawner/test_processes.h"

static bool test_watch_fails; /* the next time */
static int test_said;         /* lines that would be in the log */
static struct spawner test_spawner;
static int test_server, test_nest; /* the other ends */

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
    test_said++;
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
    for (uint32_t n = 0; n < LIMIT_NESTS; n++)
        test_spawner.nests[n] = NEST_UNUSED;
    test_spawner.nests[0].state = NEST_UP;
    test_spawner.nests[0].pid = 1;
    test_spawner.nests[0].sock = nest[0];
    test_server = server[1];
    test_nest = nest[1];
}

/* Nests beside nest 0, which is the test's. */
static inline void test_finish_nests(void)
{
    for (uint32_t n = 1; n < LIMIT_NESTS; n++) {
        struct nest_process *nest = &test_spawner.nests[n];

        fd_close(&nest->modules);
        fd_close(&nest->target);
        fd_close(&nest->sock);
        fd_close(&nest->pidfd);
        if (nest->group.nprocs > 0)
            cgroup_finish(&nest->group);
        if (test_socks[n] > 0)
            close(test_socks[n]);
        test_socks[n] = 0;
    }
}

static inline void test_spawner_finish(void)
{
    for (uint32_t i = 0; i < test_spawner.nslots; i++) {
        fd_close(&test_spawner.slots[i].pidfd);
        cgroup_finish(&test_spawner.slots[i].group);
    }
    test_finish_nests();
    fd_close(&test_spawner.server);
    fd_close(&test_spawner.nests[0].sock);
    fd_close(&test_spawner.epoll);
    fd_close(&test_server);
    fd_close(&test_nest);
}

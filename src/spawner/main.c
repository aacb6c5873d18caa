/* dunlin-spawner: the only part of Dunlin that stays root.
 *
 * Theory of operation.  `dunlin serve` starts it with a socket as descriptor 3, sends one struct
 * spawn_config while it still is the operator's process, and then gives its own rights up.  The
 * spawner takes a mount namespace of its own, sweeps what a killed predecessor left, assembles the
 * stage, starts the nest, and serves fixed-size requests (wire/spawn.h).  It links libc only, has
 * one thread, and reads no text of a client.  When the server goes away it ends every sandbox,
 * removes its groups, and exits: mounts vanish with its mount namespace. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "spawner/attach.h"
#include "spawner/layer.h"
#include "spawner/nest_process.h"
#include "spawner/network.h"
#include "spawner/ops.h"
#include "spawner/policy.h"
#include "spawner/slot.h"
#include "spawner/spawner.h"
#include "spawner/work.h"
#include "spawner/worker.h"
#include "spawner/workspace.h"

#define SERVER_FD      3
#define EVENTS         64
#define DRAIN_PAUSE_MS 2

static struct spawner spawner;

void spawner_say(const char *format, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    log_event(LOG_INFO, "spawner.note", LOG_STR("text", text));
}

int spawner_watch(struct spawner *s, int fd, enum spawner_event event, uint32_t number,
                  struct err *e)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = (uint64_t)event << 32 | number};

    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
        return err_set(e, ERR_INTERNAL, errno, "epoll_ctl");
    return 0;
}

void spawner_unwatch(struct spawner *s, int fd)
{
    epoll_ctl(s->epoll, EPOLL_CTL_DEL, fd, NULL);
}

/* One instance per data directory; the name must not depend on anything else, so that the next
 * start finds what this one leaves (FNV-1a). */
static void name_instance(struct spawner *s)
{
    uint64_t hash = 0xcbf29ce484222325ull;

    for (const char *p = s->config.data; *p != '\0'; p++)
        hash = (hash ^ (unsigned char)*p) * 0x100000001b3ull;
    snprintf(s->base, sizeof s->base, "dunlin-%016llx", (unsigned long long)hash);
    snprintf(s->stage, sizeof s->stage, "%s/stage", s->config.data);
}

static int read_config(struct spawner *s, struct err *e)
{
    size_t nfds;
    ssize_t n = fd_recv(s->server, &s->config, sizeof s->config, NULL, 0, &nfds, e);

    if (n != sizeof s->config || policy_check_config(&s->config) < 0)
        return err_set(e, ERR_INVALID, 0, "no usable configuration on descriptor %d", SERVER_FD);
    return 0;
}

/* Room for the descriptors of all slots and nests; where root may not make it (a container), there
 * are fewer slots. */
static void bound_slots(struct spawner *s)
{
    rlim_t want = SPAWN_OWN_FDS + (rlim_t)s->config.slots * SPAWN_SLOT_FDS;
    struct rlimit lim;
    uint32_t most;

    if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
        return;
    lim.rlim_cur = lim.rlim_max;
    if (lim.rlim_max >= want ||
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){.rlim_cur = want, .rlim_max = want}) < 0)
        setrlimit(RLIMIT_NOFILE, &lim);
    else
        lim.rlim_cur = want;
    most = lim.rlim_cur > SPAWN_OWN_FDS
               ? (uint32_t)((lim.rlim_cur - SPAWN_OWN_FDS) / SPAWN_SLOT_FDS)
               : 1;
    if (s->config.slots > most)
        s->config.slots = most;
}

/* checklist */
static int prepare(struct spawner *s, struct err *e)
{
    s->server = SERVER_FD;
    if (fcntl(SERVER_FD, F_SETFD, FD_CLOEXEC) < 0 ||
        fcntl(SPAWNER_LOCK_FD, F_SETFD, FD_CLOEXEC) < 0)
        return err_set(e, ERR_INTERNAL, errno, "started without descriptors 3 and 4");
    s->first_free = s->last_free = SLOT_NONE;
    if (read_config(s, e) < 0)
        return -1;
    name_instance(s);
    bound_slots(s);
    if (setgroups(0, NULL) < 0)
        return err_set(e, ERR_INTERNAL, errno, "setgroups");
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return err_set(e, ERR_INTERNAL, errno, "mount namespace");
    if ((s->epoll = epoll_create1(EPOLL_CLOEXEC)) < 0)
        return err_set(e, ERR_INTERNAL, errno, "epoll");
    if ((s->init = open(s->config.init, O_RDONLY | O_CLOEXEC)) < 0)
        return err_set(e, ERR_INTERNAL, errno, "open %s", s->config.init);
    cgroup_v2.sweep(s->base);
    cgroup_v1.sweep(s->base);
    if ((s->cgroups = cgroup_open(s->base, e)) == NULL)
        return -1;
    if (layer_prepare(&s->config, e) < 0 || workspace_prepare(&s->config, e) < 0 ||
        worker_prepare(s, e) < 0)
        return -1;
    if (nest_process_prepare(s, e) < 0 || nest_process_start(s, 0, e) < 0)
        return -1;
    attach_open(s);
    return spawner_watch(s, s->server, EVENT_SERVER, 0, e);
}

/* -1 when the server is gone. */
static int dispatch(struct spawner *s, uint64_t data)
{
    uint32_t number = (uint32_t)data;

    switch ((enum spawner_event)(data >> 32)) {
    case EVENT_SERVER:
        return ops_serve(s);
    case EVENT_NEST_SOCK:
        if (s->nests[number].sock >= 0)
            nest_process_read(s, number);
        return 0;
    case EVENT_NEST_PIDFD:
        if (s->nests[number].pid > 0)
            nest_process_died(s, number);
        return 0;
    case EVENT_SLOT:
        slot_died(s, number);
        return 0;
    case EVENT_NETWORK:
        return network_fd() >= 0 ? attach_read(s) : 0;
    case EVENT_WORKER:
        return s->lanes[number].pid > 0 ? work_done(s, (enum lane)number) : 0;
    }
    return 0;
}

static int next_timeout_ms(const struct spawner *s)
{
    uint64_t now = clock_now_us(), next = nest_process_next_us(s);

    if (s->ndraining > 0)
        return DRAIN_PAUSE_MS;
    if (next == UINT64_MAX)
        return -1;
    return next <= now ? 0 : (int)((next - now) / 1000) + 1;
}

static void serve(struct spawner *s)
{
    struct epoll_event events[EVENTS];

    for (;;) {
        int n = epoll_wait(s->epoll, events, EVENTS, next_timeout_ms(s));

        if (n < 0 && errno != EINTR)
            return;
        for (int i = 0; i < n; i++) {
            if (dispatch(s, events[i].data.u64) < 0)
                return;
        }
        if (s->ndraining > 0)
            slot_drain(s);
        nest_process_keep(s);
    }
}

int main(int argc, char **argv)
{
    struct err e = {0};
    int status = 0;

    /* As the server writes its own lines: it says which form it has settled on. */
    log_init("spawner", LOG_INFO,
             argc < 2                       ? LOG_AUTO
             : strcmp(argv[1], "json") == 0 ? LOG_JSON
                                            : LOG_TEXT);
    /* The server decides when to stop; a Ctrl-C at the terminal reaches it too. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    /* Whoever started us may ignore it, and then nobody's children wait to be reaped: a number that
     * was a child's would be somebody else's. */
    signal(SIGCHLD, SIG_DFL);
    umask(022); /* the operator's may hide the stage from those who shall live on it */
    if (prepare(&spawner, &e) == 0) {
        serve(&spawner);
    } else {
        spawner_say("%s", e.text);
        status = 1;
    }
    worker_stop(&spawner);
    nest_process_stop_all(&spawner);
    network_close();
    if (spawner.cgroups != NULL)
        spawner.cgroups->sweep(spawner.base);
    return status;
}

/* nest_process: the spawner's hold on the processes of its nests.
 *
 * Runs in the spawner, as root; the child runs as root of the nest's user namespace and executes
 * dunlin-init.  The nest is hostile once its zygote has imported strangers' packages: what it says
 * is a fixed-size message that fits the state of a slot, or it is killed. */
#include "spawner/nest_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/fd.h"
#include "enter/stage.h"
#include "spawner/descent.h"
#include "spawner/linger.h"
#include "spawner/nest_birth.h"
#include "spawner/ops.h"
#include "spawner/policy.h"
#include "spawner/slot.h"
#include "spawner/work.h"
#include "wire/nest.h"

#define NEST_MEMORY_MB  2048
#define NEST_PROCESSES  4096
#define SHORT_LIFE_US   5000000
#define RETRY_FIRST_US  20000
#define RETRY_DOUBLINGS 8
#define STOP_TIMEOUT_MS 5000
#define RESOLVER_TEXT   256
/* A sandbox takes milliseconds to make; a builder whose share of the CPU is small, or whose memory
 * is on its way back from the disk, must not be taken for one that is silent, for all of its runs
 * end with it. */
#define ANSWER_US 20000000
#define LATE_US   2000000  /* we come later than this: the machine stood still, perhaps */
#define AGAIN_US  10000000 /* then the nest has so long */
/* Mount points of nests, layers and workspaces; workspaces in the making. */
#define STAGES_TMPFS "mode=0700,size=64m,nr_inodes=16k"

void nest_process_dir(const struct spawner *s, uint32_t n, char out[static NEST_DIR])
{
    snprintf(out, NEST_DIR, "%s/n%u", s->stage, n);
}

int nest_process_list(const char *commas, struct err *e)
{
    char lines[SPAWN_MODULES];
    size_t len = strlen(commas);
    _cleanup_fd_ int fd = memfd_create("modules", MFD_CLOEXEC);

    for (size_t i = 0; i < len; i++)
        lines[i] = commas[i] == ',' ? '\n' : commas[i];
    if (fd < 0)
        return err_set(e, ERR_INTERNAL, errno, "list of modules");
    return fd_write_all(fd, lines, len, e) < 0 ? -1 : fd_steal(&fd);
}

int nest_process_make_group(struct spawner *s, uint32_t n, struct err *e)
{
    struct cgroup *group = &s->nests[n].group;
    bool is_run = s->nests[n].make.kind == SPAWN_NEST_RUN;
    struct spawn_limits limits = {.memory_mb = NEST_MEMORY_MB,
                                  .cpu_milli = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN) * 1000,
                                  .processes = NEST_PROCESSES,
                                  .workspace_mb = 0};
    char name[32];

    snprintf(name, sizeof name, "n%u", n);
    if (group->nprocs == 0 && s->cgroups->create(group, name, e) < 0) {
        cgroup_finish(group);
        return -1;
    }
    if (s->cgroups->limit(group, &limits, e) < 0)
        return -1;
    return s->cgroups->weight(group, is_run ? CGROUP_WEIGHT_RUN : policy_build_weight(&s->config),
                              e);
}

static int write_resolver(const struct spawner *s, const char *path, struct err *e)
{
    char text[RESOLVER_TEXT];
    _cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    stage_resolver_text(&s->config, text, sizeof text);
    if (fd < 0)
        return err_set(e, ERR_INTERNAL, errno, "make %s", path);
    return fd_write_all(fd, text, strlen(text), e);
}

/* Nest 0's tree and group. */
static int make_built_in(struct spawner *s, struct err *e)
{
    struct nest_process *nest = &s->nests[0];
    char dir[NEST_DIR], resolv[NEST_DIR];
    struct stage_config stage = {.dir = dir,
                                 .system = s->config.system,
                                 .runtime = s->config.runtime,
                                 .work_dir = s->config.work_dir,
                                 .resolv = s->config.ndns > 0 ? resolv : NULL};

    nest_process_dir(s, 0, dir);
    if (mkdir(dir, 0755) < 0)
        return err_set(e, ERR_INTERNAL, errno, "mkdir %s", dir);
    snprintf(resolv, sizeof resolv, "%s/resolv.conf", s->stage);
    if (write_resolver(s, resolv, e) < 0 || stage_make(&stage, e) < 0 ||
        nest_process_make_group(s, 0, e) < 0)
        return -1;
    nest->make.network =
        s->config.network > SPAWN_NETWORK_BRIDGE ? SPAWN_NETWORK_BRIDGE : s->config.network;
    nest->make.warm = s->config.python[0] != '\0';
    nest->modules = nest_process_list(s->config.modules, e);
    nest->state = NEST_UP;
    return nest->modules < 0 ? -1 : 0;
}

int nest_process_prepare(struct spawner *s, struct err *e)
{
    for (uint32_t n = 0; n < LIMIT_NESTS; n++)
        s->nests[n] = NEST_UNUSED;
    /* Safe because: in our own mount namespace; nobody but root finds a way through it. */
    if (mkdir(s->stage, 0700) < 0 && errno != EEXIST)
        return err_set(e, ERR_INTERNAL, errno, "mkdir %s", s->stage);
    if (mount("dunlin", s->stage, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, STAGES_TMPFS) < 0)
        return err_set(e, ERR_INTERNAL, errno, "tmpfs on %s", s->stage);
    return make_built_in(s, e);
}

int nest_process_start(struct spawner *s, uint32_t n, struct err *e)
{
    struct nest_process *nest = &s->nests[n];
    int pair[2];

    nest->started_us = clock_now_us();
    nest->retry_us = UINT64_MAX;
    nest->answer_due_us = 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        nest_process_died(s, n);
        return err_set(e, ERR_INTERNAL, errno, "nest: socketpair");
    }
    nest->sock = pair[0];
    if (fd_set_nonblock(pair[0], e) < 0 || nest_birth(s, n, pair[1], e) < 0 ||
        spawner_watch(s, nest->sock, EVENT_NEST_SOCK, n, e) < 0 ||
        spawner_watch(s, nest->pidfd, EVENT_NEST_PIDFD, n, e) < 0) {
        close(pair[1]);
        nest_process_stop(s, n);
        nest_process_died(s, n);
        return -1;
    }
    close(pair[1]);
    return 0;
}

/* Safe because: a pidfd names one process for ever, and pid 1 of a nest takes all of it along. */
void nest_process_kill(const struct spawner *s, uint32_t n)
{
    if (s->nests[n].pidfd >= 0)
        syscall(SYS_pidfd_send_signal, s->nests[n].pidfd, SIGKILL, NULL, 0);
}

/* Its next answer; a descriptor that comes along is a pidfd of a sandbox of its own. */
static bool receive(const struct nest_process *nest, struct nest_reply *ret, int *ret_pidfd)
{
    size_t nfds = 0;
    ssize_t len;
    bool good;

    linger_begin();
    len = fd_recv(nest->sock, ret, sizeof *ret, ret_pidfd, 1, &nfds, NULL);
    good = len == sizeof *ret && (*ret_pidfd < 0 || descent_is_sandbox(*ret_pidfd, nest->pidfd));
    if (!good)
        fd_close(ret_pidfd);
    linger_end();
    return good;
}

void nest_process_read(struct spawner *s, uint32_t n)
{
    struct nest_process *nest = &s->nests[n];
    struct nest_reply reply;
    int pidfd = -1;
    bool good = receive(nest, &reply, &pidfd);

    if (good && reply.op == NEST_PING && pidfd < 0 && nest->pings > 0) {
        nest->pings--;
        nest->pong_due_us = clock_now_us() + ANSWER_US;
        ops_pong(s, n, reply.error);
        return;
    }
    if (good && reply.op == NEST_BUILD && slot_built(s, n, &reply, fd_steal(&pidfd)) == 0)
        return;
    fd_close(&pidfd);
    nest_process_kill(s, n); /* nest_process_died() follows when its pidfd says so */
    if (nest->sock >= 0)
        spawner_unwatch(s, nest->sock);
}

/* What a script or a tool was doing cannot be begun in the middle. */
static bool is_started_again(const struct nest_process *nest)
{
    return nest->state == NEST_UP && nest->make.kind == SPAWN_NEST_RUN;
}

static void plan_start(struct nest_process *nest)
{
    uint64_t now = clock_now_us();
    uint32_t doublings;

    nest->failures = now - nest->started_us < SHORT_LIFE_US ? nest->failures + 1 : 0;
    doublings = nest->failures < RETRY_DOUBLINGS ? nest->failures : RETRY_DOUBLINGS;
    nest->retry_us = now + ((uint64_t)RETRY_FIRST_US << doublings);
}

void nest_process_died(struct spawner *s, uint32_t n)
{
    struct nest_process *nest = &s->nests[n];
    int status = 0;

    if (nest->pid > 0)
        status = child_reap(nest->pid);
    if (nest->sock >= 0)
        spawner_unwatch(s, nest->sock);
    linger_begin();
    fd_close(&nest->sock);
    linger_end();
    if (nest->pidfd >= 0)
        spawner_unwatch(s, nest->pidfd);
    fd_close(&nest->pidfd);
    nest->pid = 0;
    if (is_started_again(nest)) {
        plan_start(nest);
        spawner_say("nest %u died (%s %d); starting it again", n,
                    WIFSIGNALED(status) ? "signal" : "status",
                    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    slot_nest_died(s, n);
    for (; nest->pings > 0; nest->pings--)
        ops_pong(s, n, EAGAIN);
    if (nest->state == NEST_CLOSING)
        work_nest_gone(s, n);
}

bool nest_process_is_lost(const struct spawner *s, uint32_t n)
{
    return s->nests[n].pid == 0 && !is_started_again(&s->nests[n]);
}

int nest_process_ping(struct spawner *s, uint32_t n)
{
    struct nest_request ping = {.op = NEST_PING};
    struct nest_process *nest = &s->nests[n];

    if (nest->pid == 0 || fd_send(nest->sock, &ping, sizeof ping, NULL, 0, NULL) < 0)
        return -1;
    if (nest->pings++ == 0)
        nest->pong_due_us = nest_process_await(nest);
    return 0;
}

uint64_t nest_process_await(struct nest_process *nest)
{
    uint64_t due = clock_now_us() + ANSWER_US;

    if (nest->answer_due_us == 0)
        nest->answer_due_us = due;
    return due;
}

static uint64_t next_us(const struct nest_process *nest)
{
    if (nest->pid == 0)
        return nest->retry_us;
    return nest->answer_due_us != 0 ? nest->answer_due_us : UINT64_MAX;
}

uint64_t nest_process_next_us(const struct spawner *s)
{
    uint64_t next = UINT64_MAX;

    for (uint32_t n = 0; n < LIMIT_NESTS; n++) {
        if (next_us(&s->nests[n]) < next)
            next = next_us(&s->nests[n]);
    }
    return next;
}

/* When the first of the answers that the nest owes is due, UINT64_MAX: it owes none.  Of each, not
 * of any: it may answer some and leave others for ever. */
static uint64_t first_due_us(const struct spawner *s, uint32_t n)
{
    uint64_t due = s->nests[n].pings > 0 ? s->nests[n].pong_due_us : UINT64_MAX;

    for (uint32_t i = 0; i < s->nslots; i++) {
        const struct slot *slot = &s->slots[i];

        if (slot->state == SLOT_OPENING && slot->nest == n && slot->overdue_us < due)
            due = slot->overdue_us;
    }
    return due;
}

/* Nobody else would: its slots would wait, and be lost to all nests. */
static void end_if_silent(struct spawner *s, uint32_t n, uint64_t now)
{
    bool is_late = now - s->nests[n].answer_due_us > LATE_US;
    uint64_t due = first_due_us(s, n);

    if (due <= now && is_late)
        due = now + AGAIN_US;
    s->nests[n].answer_due_us = due > now && due != UINT64_MAX ? due : 0;
    if (due > now)
        return;
    spawner_say("nest %u has not answered for %u s", n, (uint32_t)(ANSWER_US / 1000000));
    nest_process_kill(s, n);
    spawner_unwatch(s, s->nests[n].sock);
}

void nest_process_keep(struct spawner *s)
{
    uint64_t now = clock_now_us();
    struct err e;

    for (uint32_t n = 0; n < LIMIT_NESTS; n++) {
        if (next_us(&s->nests[n]) > now)
            continue;
        if (s->nests[n].pid != 0)
            end_if_silent(s, n, now);
        else if (nest_process_start(s, n, &e) < 0)
            spawner_say("%s", e.text);
    }
}

void nest_process_stop(struct spawner *s, uint32_t n)
{
    struct pollfd fd = {.fd = s->nests[n].pidfd, .events = POLLIN};

    if (s->nests[n].pid == 0)
        return;
    nest_process_kill(s, n);
    poll(&fd, 1, STOP_TIMEOUT_MS);
}

void nest_process_stop_all(struct spawner *s)
{
    for (uint32_t n = 0; n < LIMIT_NESTS; n++)
        nest_process_kill(s, n);
    for (uint32_t n = 0; n < LIMIT_NESTS; n++)
        nest_process_stop(s, n);
}

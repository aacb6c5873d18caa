/* nest_process: the spawner's hold on the processes of its nests.
 *
 * Runs in the spawner, as root; the child runs as root of the nest's user namespace and executes
 * dunlin-init.  The nest is hostile once its zygote has imported strangers' packages: what it says
 * is a fixed-size message that fits the state of a slot, or it is killed. */
#include "spawner/nest_process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
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

#include "base/clock.h"
#include "base/fd.h"
#include "enter/stage.h"
#include "spawner/ops.h"
#include "spawner/slot.h"
#include "wire/nest.h"

/* The cgroup namespace follows once the child is in its group. */
#define NAMESPACES                                                                                 \
    (CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)
#define NEST_SOCK       3
#define NEST_MODULES    4
#define NEST_MEMORY_MB  2048
#define NEST_PROCESSES  4096
#define OOM_SCORE       "500" /* ahead of the server and us, behind the runs (R50) */
#define SHORT_LIFE_US   5000000
#define RETRY_FIRST_US  20000
#define RETRY_DOUBLINGS 8
#define STOP_TIMEOUT_MS 5000
#define STAGES_TMPFS    "mode=0700,size=1m,nr_inodes=8k" /* mount points of nests and layers */

void nest_process_dir(const struct spawner *s, uint32_t n, char out[static NEST_DIR])
{
    snprintf(out, NEST_DIR, "%s/n%u", s->stage, n);
}

/* The operator's list, as a nest wants it: one a line. */
static int list_modules(const char *commas, struct err *e)
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

/* A group of its own, made once and kept: removed groups linger (see cgroup.h). */
static int make_group(struct spawner *s, uint32_t n, struct err *e)
{
    struct cgroup *group = &s->nests[n].group;
    struct spawn_limits limits = {.memory_mb = NEST_MEMORY_MB,
                                  .cpu_milli = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN) * 1000,
                                  .processes = NEST_PROCESSES,
                                  .workspace_mb = 0};
    char name[32];

    snprintf(name, sizeof name, "n%u", n);
    if (s->cgroups->create(group, name, e) < 0 || s->cgroups->limit(group, &limits, e) < 0)
        return -1;
    return s->cgroups->weight(group, CGROUP_WEIGHT_RUN, e);
}

/* Nest 0's tree and group. */
static int make_built_in(struct spawner *s, struct err *e)
{
    struct nest_process *nest = &s->nests[0];
    char dir[NEST_DIR];
    struct stage_config stage = {.dir = dir,
                                 .system = s->config.system,
                                 .runtime = s->config.runtime,
                                 .work_dir = s->config.work_dir};

    nest_process_dir(s, 0, dir);
    if (mkdir(dir, 0755) < 0)
        return err_set(e, ERR_INTERNAL, errno, "mkdir %s", dir);
    if (stage_make(&stage, e) < 0 || make_group(s, 0, e) < 0)
        return -1;
    nest->make.kind = SPAWN_NEST_RUN;
    nest->make.warm = s->config.python[0] != '\0';
    nest->modules = list_modules(s->config.modules, e);
    nest->state = NEST_UP;
    return nest->modules < 0 ? -1 : 0;
}

int nest_process_prepare(struct spawner *s, struct err *e)
{
    for (uint32_t n = 0; n < LIMIT_NESTS; n++)
        s->nests[n] =
            (struct nest_process){.modules = -1, .pidfd = -1, .sock = -1, .retry_us = UINT64_MAX};
    /* Safe because: in our own mount namespace; nobody but root finds a way through it. */
    if (mkdir(s->stage, 0700) < 0 && errno != EEXIST)
        return err_set(e, ERR_INTERNAL, errno, "mkdir %s", s->stage);
    if (mount("dunlin", s->stage, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, STAGES_TMPFS) < 0)
        return err_set(e, ERR_INTERNAL, errno, "tmpfs on %s", s->stage);
    return make_built_in(s, e);
}

static int write_text(const char *path, const char *text)
{
    _cleanup_fd_ int fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

/* Safe because: descriptors 3 and 4 are copies; what they were (the server's socket, the lock)
 * closes in this process only. */
static int place_descriptors(int sock, int modules)
{
    int high = fcntl(sock, F_DUPFD_CLOEXEC, NEST_MODULES + 1);

    if (high < 0 || dup2(modules, NEST_MODULES) < 0 || dup2(high, NEST_SOCK) < 0)
        return -1;
    return dup2(STDERR_FILENO, STDOUT_FILENO);
}

/* Executes dunlin-init; returns when that fails. */
static void execute_init(const struct spawner *s, uint32_t n)
{
    const struct spawn_nest *make = &s->nests[n].make;
    char kind[16], warm[16], forks[16], minutes[16], number[16];
    const char *const argv[] = {"dunlin-init", "nest", kind, s->config.work_dir, warm, forks,
                                minutes,       number, NULL};
    const char *const envp[] = {NULL};

    snprintf(kind, sizeof kind, "%u", make->kind);
    snprintf(warm, sizeof warm, "%u", make->warm);
    snprintf(forks, sizeof forks, "%u", s->config.zygote_forks);
    snprintf(minutes, sizeof minutes, "%u", s->config.zygote_minutes);
    snprintf(number, sizeof number, "%u", n);
    syscall(SYS_execveat, s->init, "", argv, envp, AT_EMPTY_PATH);
}

/* The child between clone3 and dunlin-init.  Safe because: until the parent has mapped ids it has
 * no identity; afterwards it is root of its own namespaces only.  Any failed step ends it. */
static _Noreturn void become_nest(const struct spawner *s, uint32_t n, int sock, int go)
{
    const struct nest_process *nest = &s->nests[n];
    const char *step = "maps";
    char byte;

    if (read(go, &byte, 1) != 1)
        _exit(1);
    step = "groups";
    for (uint32_t i = 0; i < nest->group.nprocs; i++) {
        if (write(nest->group.procs[i], "0", 1) != 1)
            goto fail;
    }
    step = "oom score";
    if (write_text("/proc/self/oom_score_adj", OOM_SCORE) < 0)
        goto fail;
    step = "cgroup namespace";
    if (unshare(CLONE_NEWCGROUP) < 0)
        goto fail;
    /* Before execve(2), which takes the capabilities of everybody who is not the namespace's root.
     */
    step = "identity";
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        goto fail;
    step = "descriptors";
    if (place_descriptors(sock, nest->modules) < 0)
        goto fail;
    step = "execute dunlin-init";
    execute_init(s, n);
fail:
    spawner_say("nest %u: %s: %s", n, step, strerror(errno));
    _exit(1);
}

static int map_ids(pid_t pid, uint32_t n, struct err *e)
{
    static const char *const files[] = {"uid_map", "gid_map"};
    char path[64], map[64];

    snprintf(map, sizeof map, "0 %u %u\n", SPAWN_UID_NEST + n * SPAWN_UID_COUNT, SPAWN_UID_COUNT);
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", pid, files[i]);
        if (write_text(path, map) < 0)
            return err_set(e, ERR_INTERNAL, errno, "nest: write %s", path);
    }
    return 0;
}

static int clone_nest(struct spawner *s, uint32_t n, int sock, struct err *e)
{
    struct clone_args args = {.flags = NAMESPACES | CLONE_PIDFD,
                              .pidfd = (uint64_t)(uintptr_t)&s->nests[n].pidfd,
                              .exit_signal = SIGCHLD};
    _cleanup_fd_ int go = -1;
    char dir[NEST_DIR];
    int pipefd[2];
    pid_t pid;

    if (pipe2(pipefd, O_CLOEXEC) < 0)
        return err_set(e, ERR_INTERNAL, errno, "nest: pipe");
    /* The child starts with its copy of the stage as current directory. */
    nest_process_dir(s, n, dir);
    if (chdir(dir) < 0) {
        close(pipefd[0]);
        close(pipefd[1]);
        return err_set(e, ERR_INTERNAL, errno, "nest: chdir %s", dir);
    }
    pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) {
        close(pipefd[1]);
        become_nest(s, n, sock, pipefd[0]);
    }
    close(pipefd[0]);
    go = pipefd[1];
    if (chdir("/") < 0 || pid < 0)
        return err_set(e, ERR_INTERNAL, errno, "nest: clone3");
    s->nests[n].pid = pid;
    if (map_ids(pid, n, e) < 0)
        return -1;
    return write(go, "g", 1) == 1 ? 0 : err_set(e, ERR_INTERNAL, errno, "nest: release");
}

int nest_process_start(struct spawner *s, uint32_t n, struct err *e)
{
    struct nest_process *nest = &s->nests[n];
    int pair[2];

    nest->started_us = clock_now_us();
    nest->retry_us = UINT64_MAX;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        nest_process_died(s, n);
        return err_set(e, ERR_INTERNAL, errno, "nest: socketpair");
    }
    nest->sock = pair[0];
    if (fd_set_nonblock(pair[0], e) < 0 || clone_nest(s, n, pair[1], e) < 0 ||
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

static void kill_nest(const struct nest_process *nest)
{
    if (nest->pidfd >= 0)
        syscall(SYS_pidfd_send_signal, nest->pidfd, SIGKILL, NULL, 0);
}

void nest_process_read(struct spawner *s, uint32_t n)
{
    struct nest_process *nest = &s->nests[n];
    struct nest_reply reply;
    int pidfd = -1;
    size_t nfds = 0;
    ssize_t len = fd_recv(nest->sock, &reply, sizeof reply, &pidfd, 1, &nfds, NULL);

    if (len == sizeof reply && reply.op == NEST_PING && nfds == 0 && nest->pings > 0) {
        nest->pings--;
        ops_pong(s, n, reply.error);
        return;
    }
    if (len == sizeof reply && reply.op == NEST_BUILD &&
        slot_built(s, n, &reply, fd_steal(&pidfd)) == 0)
        return;
    fd_close(&pidfd);
    kill_nest(nest); /* nest_process_died() follows when its pidfd says so */
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

    if (nest->pid > 0)
        waitpid(nest->pid, NULL, 0);
    if (nest->sock >= 0)
        spawner_unwatch(s, nest->sock);
    fd_close(&nest->sock);
    if (nest->pidfd >= 0)
        spawner_unwatch(s, nest->pidfd);
    fd_close(&nest->pidfd);
    nest->pid = 0;
    if (is_started_again(nest)) {
        plan_start(nest);
        spawner_say("nest %u died; starting it again", n);
    }
    slot_nest_died(s, n);
    for (; nest->pings > 0; nest->pings--)
        ops_pong(s, n, EAGAIN);
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
    nest->pings++;
    return 0;
}

uint64_t nest_process_next_start_us(const struct spawner *s)
{
    uint64_t next = UINT64_MAX;

    for (uint32_t n = 0; n < LIMIT_NESTS; n++) {
        if (s->nests[n].pid == 0 && s->nests[n].retry_us < next)
            next = s->nests[n].retry_us;
    }
    return next;
}

void nest_process_start_due(struct spawner *s)
{
    uint64_t now = clock_now_us();
    struct err e;

    for (uint32_t n = 0; n < LIMIT_NESTS; n++) {
        if (s->nests[n].pid == 0 && s->nests[n].retry_us <= now && nest_process_start(s, n, &e) < 0)
            spawner_say("%s", e.text);
    }
}

void nest_process_stop(struct spawner *s, uint32_t n)
{
    struct pollfd fd = {.fd = s->nests[n].pidfd, .events = POLLIN};

    if (s->nests[n].pid == 0)
        return;
    kill_nest(&s->nests[n]);
    poll(&fd, 1, STOP_TIMEOUT_MS);
}

void nest_process_stop_all(struct spawner *s)
{
    for (uint32_t n = 0; n < LIMIT_NESTS; n++)
        kill_nest(&s->nests[n]);
    for (uint32_t n = 0; n < LIMIT_NESTS; n++)
        nest_process_stop(s, n);
}

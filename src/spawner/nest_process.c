/* nest_process: the spawner's hold on a nest.
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
#define NEST_MEMORY_MB  2048
#define NEST_PROCESSES  4096
#define OOM_SCORE       "500" /* ahead of the server and us, behind the runs (R50) */
#define SHORT_LIFE_US   5000000
#define RETRY_FIRST_US  20000
#define RETRY_DOUBLINGS 8
#define STOP_TIMEOUT_MS 5000

int nest_process_prepare(struct spawner *s, struct err *e)
{
    struct stage_config stage = {.dir = s->stage,
                                 .system = s->config.system,
                                 .runtime = s->config.runtime,
                                 .work_dir = s->config.work_dir};
    struct spawn_limits limits = {.memory_mb = NEST_MEMORY_MB,
                                  .cpu_milli = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN) * 1000,
                                  .processes = NEST_PROCESSES,
                                  .workspace_mb = 0};

    s->nest = (struct nest_process){.pidfd = -1, .sock = -1};
    if (mkdir(s->stage, 0755) < 0 && errno != EEXIST)
        return err_set(e, ERR_INTERNAL, errno, "mkdir %s", s->stage);
    if (stage_make(&stage, e) < 0)
        return -1;
    if (s->cgroups->create(&s->nest.group, "nest", e) < 0 ||
        s->cgroups->limit(&s->nest.group, &limits, e) < 0 ||
        s->cgroups->weight(&s->nest.group, CGROUP_WEIGHT_RUN, e) < 0)
        return -1;
    return 0;
}

static int write_text(const char *path, const char *text)
{
    _cleanup_fd_ int fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

/* The child between clone3 and dunlin-init.  Safe because: until the parent has mapped ids it has
 * no identity; afterwards it is root of its own namespaces only.  Any failed step ends it. */
static _Noreturn void become_nest(struct spawner *s, int sock, int go)
{
    const char *const argv[] = {"dunlin-init",     "nest", s->config.work_dir, s->config.python,
                                s->config.modules, NULL};
    const char *const envp[] = {NULL};
    const char *step = "maps";
    char byte;

    if (read(go, &byte, 1) != 1)
        _exit(1);
    step = "groups";
    for (uint32_t i = 0; i < s->nest.group.nprocs; i++) {
        if (write(s->nest.group.procs[i], "0", 1) != 1)
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
    if (dup2(STDERR_FILENO, STDOUT_FILENO) < 0 || dup2(sock, NEST_SOCK) != NEST_SOCK)
        goto fail;
    step = "execute dunlin-init";
    syscall(SYS_execveat, s->init, "", argv, envp, AT_EMPTY_PATH);
fail:
    spawner_say("nest: %s: %s", step, strerror(errno));
    _exit(1);
}

static int map_ids(pid_t pid, struct err *e)
{
    static const char *const files[] = {"uid_map", "gid_map"};
    char path[64], map[64];

    snprintf(map, sizeof map, "0 %u %u\n", SPAWN_UID_NEST, SPAWN_UID_COUNT);
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", pid, files[i]);
        if (write_text(path, map) < 0)
            return err_set(e, ERR_INTERNAL, errno, "nest: write %s", path);
    }
    return 0;
}

static int clone_nest(struct spawner *s, int sock, struct err *e)
{
    struct clone_args args = {.flags = NAMESPACES | CLONE_PIDFD,
                              .pidfd = (uint64_t)(uintptr_t)&s->nest.pidfd,
                              .exit_signal = SIGCHLD};
    _cleanup_fd_ int go = -1;
    int pipefd[2];
    pid_t pid;

    if (pipe2(pipefd, O_CLOEXEC) < 0)
        return err_set(e, ERR_INTERNAL, errno, "nest: pipe");
    /* The child starts with its copy of the stage as current directory. */
    if (chdir(s->stage) < 0) {
        close(pipefd[0]);
        close(pipefd[1]);
        return err_set(e, ERR_INTERNAL, errno, "nest: chdir %s", s->stage);
    }
    pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) {
        close(pipefd[1]);
        become_nest(s, sock, pipefd[0]);
    }
    close(pipefd[0]);
    go = pipefd[1];
    if (chdir("/") < 0 || pid < 0)
        return err_set(e, ERR_INTERNAL, errno, "nest: clone3");
    s->nest.pid = pid;
    if (map_ids(pid, e) < 0)
        return -1;
    return write(go, "g", 1) == 1 ? 0 : err_set(e, ERR_INTERNAL, errno, "nest: release");
}

int nest_process_start(struct spawner *s, struct err *e)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_set(e, ERR_INTERNAL, errno, "nest: socketpair");
    s->nest.sock = pair[0];
    s->nest.started_us = clock_now_us();
    s->nest.retry_us = 0;
    if (fd_set_nonblock(pair[0], e) < 0 || clone_nest(s, pair[1], e) < 0 ||
        spawner_watch(s, s->nest.sock, EVENT_NEST_SOCK, 0, e) < 0 ||
        spawner_watch(s, s->nest.pidfd, EVENT_NEST_PIDFD, 0, e) < 0) {
        close(pair[1]);
        if (s->nest.pid > 0)
            nest_process_stop(s);
        nest_process_died(s);
        return -1;
    }
    close(pair[1]);
    return 0;
}

static void kill_nest(struct spawner *s)
{
    if (s->nest.pidfd >= 0)
        syscall(SYS_pidfd_send_signal, s->nest.pidfd, SIGKILL, NULL, 0);
}

void nest_process_read(struct spawner *s)
{
    struct nest_reply reply;
    int pidfd = -1;
    size_t nfds = 0;
    ssize_t n = fd_recv(s->nest.sock, &reply, sizeof reply, &pidfd, 1, &nfds, NULL);

    if (n == sizeof reply && reply.op == NEST_PING && nfds == 0 && s->pings > 0) {
        s->pings--;
        ops_pong(s, reply.error);
        return;
    }
    if (n == sizeof reply && reply.op == NEST_BUILD && slot_built(s, &reply, fd_steal(&pidfd)) == 0)
        return;
    fd_close(&pidfd);
    kill_nest(s); /* nest_process_died() follows when its pidfd says so */
    if (s->nest.sock >= 0)
        spawner_unwatch(s, s->nest.sock);
}

void nest_process_died(struct spawner *s)
{
    uint64_t now = clock_now_us();
    uint32_t doublings;

    if (s->nest.pid > 0)
        waitpid(s->nest.pid, NULL, 0);
    s->nest.failures = now - s->nest.started_us < SHORT_LIFE_US ? s->nest.failures + 1 : 0;
    doublings = s->nest.failures < RETRY_DOUBLINGS ? s->nest.failures : RETRY_DOUBLINGS;
    if (s->nest.sock >= 0)
        spawner_unwatch(s, s->nest.sock);
    fd_close(&s->nest.sock);
    if (s->nest.pidfd >= 0)
        spawner_unwatch(s, s->nest.pidfd);
    fd_close(&s->nest.pidfd);
    s->nest.pid = 0;
    s->nest.retry_us = now + ((uint64_t)RETRY_FIRST_US << doublings);
    spawner_say("nest died; starting it again");
    slot_nest_died(s);
    for (; s->pings > 0; s->pings--)
        ops_pong(s, EAGAIN);
}

int nest_process_ping(struct spawner *s)
{
    struct nest_request ping = {.op = NEST_PING};

    if (s->nest.pid == 0 || fd_send(s->nest.sock, &ping, sizeof ping, NULL, 0, NULL) < 0)
        return -1;
    s->pings++;
    return 0;
}

void nest_process_stop(struct spawner *s)
{
    struct pollfd fd = {.fd = s->nest.pidfd, .events = POLLIN};

    if (s->nest.pid == 0)
        return;
    kill_nest(s);
    poll(&fd, 1, STOP_TIMEOUT_MS);
}

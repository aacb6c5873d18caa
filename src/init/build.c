/* build: makes a sandbox.
 *
 * Runs in a nest's builder, and then in its child that becomes pid 1 of the sandbox.  Neither has
 * ever run untrusted code; both have power over the nest's or the sandbox's own namespaces only.
 * A failed step ends the sandbox, and the server is told which it was. */
#include "init/build.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/fd.h"
#include "enter/mounts.h"
#include "init/control.h"
#include "init/job.h"
#include "wire/frame.h"
#include "wire/spawn.h"

/* A zygote that needs longer for one fork is stuck, where a processor is free for it; one that
 * still imports has a limit of its own. */
#define FORK_TIMEOUT_MS   5000
#define FORK_LOAD_MAX     3 /* so many times as long, however many want the processors */
#define IMPORT_TIMEOUT_MS 65000

/* Only init has inotify, for the server's calls.  The kernel's usual limit for a user is 128
 * instances; a nest is one. */
#define INOTIFY_INSTANCES "16"
#define INOTIFY_WATCHES   "16384"

/* The cgroup namespace follows once the child is in its own groups, so that it sees them as the
 * root. */
#define NAMESPACES (CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS)

static int write_file(const char *path, const char *text, struct err *e)
{
    _cleanup_fd_ int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        return err_set(e, ERR_INTERNAL, errno, "write %s", path);
    return 0;
}

/* A run.  Safe because: both ids lie in the nest's own range and belong to this slot alone (R15).
 * A build.  Safe because: no other sandbox than its own ever is in this nest's range, and nothing
 * else on the host has these ids.  apt and su drop privileges with setgroups(2), so it stays
 * allowed; nothing in the nest gives rights to a group that lacks one (user_namespaces(7)). */
static int map_ids(const struct nest *nest, pid_t pid, uint32_t slot, struct err *e)
{
    static const char *const files[] = {"uid_map", "gid_map"};
    char path[64], map[64];

    if (nest_builds(nest)) {
        snprintf(map, sizeof map, "0 0 %u\n", SPAWN_UID_COUNT);
    } else {
        snprintf(path, sizeof path, "/proc/%d/setgroups", pid);
        if (write_file(path, "deny", e) < 0)
            return -1;
        snprintf(map, sizeof map, "%d %u 1\n%d %u 1\n", SANDBOX_UID_INIT, NEST_UID_SLOTS + 2 * slot,
                 SANDBOX_UID_RUN, NEST_UID_SLOTS + 2 * slot + 1);
    }
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", pid, files[i]);
        if (write_file(path, map, e) < 0)
            return -1;
    }
    return 0;
}

static int loopback_up(struct err *e)
{
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    _cleanup_fd_ int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (sock < 0 || ioctl(sock, SIOCSIFFLAGS, &lo) < 0)
        return err_set(e, ERR_INTERNAL, errno, "loopback");
    return 0;
}

/* Safe because: root opened these files for this slot; "0" names the writer itself. */
static int enter_groups(const struct build *b, struct err *e)
{
    for (uint32_t i = 0; i < b->request->groups; i++) {
        if (write(b->groups[i], "0", 1) != 1)
            return err_set(e, ERR_INTERNAL, errno, "enter control group %u", i);
    }
    if (unshare(CLONE_NEWCGROUP) < 0)
        return err_set(e, ERR_INTERNAL, errno, "cgroup namespace");
    return 0;
}

/* Through the nest's /proc, before the sandbox's read-only one hides it: no user namespaces (R70),
 * and of what all sandboxes of the nest share one does not take everything (R15). */
static int bound_counts(struct err *e)
{
    if (write_file("/proc/sys/user/max_user_namespaces", "0", e) < 0 ||
        write_file("/proc/sys/user/max_inotify_instances", INOTIFY_INSTANCES, e) < 0)
        return -1;
    return write_file("/proc/sys/user/max_inotify_watches", INOTIFY_WATCHES, e);
}

/* checklist */
static int enter_sandbox(const struct nest *nest, const struct build *b, struct err *e)
{
    struct mounts_sandbox mounts = {.work_dir = nest->work_dir,
                                    .workspace_mb = b->request->workspace_mb,
                                    .uid = job_owner(nest_builds(nest)),
                                    .keep_tmp = nest->kind == SPAWN_NEST_BUILD};

    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return err_set(e, ERR_INTERNAL, errno, "identity");
    if (enter_groups(b, e) < 0)
        return -1;
    if (bound_counts(e) < 0)
        return -1;
    if (mounts_enter_sandbox(&mounts, e) < 0)
        return -1;
    if (b->request->host_network == 0 && loopback_up(e) < 0)
        return -1;
    if (sethostname("sandbox", strlen("sandbox")) < 0)
        return err_set(e, ERR_INTERNAL, errno, "host name");
    return 0;
}

/* Asks the zygote for a child.  *job and *status become our ends. */
static int call_zygote(const struct build *b, struct job_start *start, struct err *e)
{
    struct nest_join join = {.groups = b->request->groups, .session = 0};
    _cleanup_fd_ int self = (int)syscall(SYS_pidfd_open, 1, 0);
    _cleanup_fd_ int job = start->job_peer;
    _cleanup_fd_ int status = -1;
    int fds[NEST_JOIN_FDS(NEST_GROUPS_MAX)], pipefd[2];

    start->job_peer = -1;
    if (self < 0 || pipe2(pipefd, O_CLOEXEC) < 0)
        return err_set(e, ERR_INTERNAL, errno, "zygote: pidfd or pipe");
    start->status = pipefd[0];
    status = pipefd[1];
    /* The child joins by setns(2), which asks whether it may look at us: it may until it is in. */
    if (prctl(PR_SET_DUMPABLE, 1) < 0)
        return err_set(e, ERR_INTERNAL, errno, "zygote: dumpable");
    memcpy(fds, (int[]){self, b->out, b->err, job, status}, 5 * sizeof(int));
    memcpy(fds + 5, b->groups, b->request->groups * sizeof(int));
    if (fd_send(b->zygote, &join, sizeof join, fds, NEST_JOIN_FDS(join.groups), e) < 0)
        return err_prefix(e, "zygote");
    return 0;
}

/* What waits is served last, so with more to do than processors the fork takes its time: who took
 * that for a stuck zygote would throw away what is nearly ready, and the zygote with it. */
static int fork_patience_ms(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct sysinfo info;
    unsigned long times;

    if (processors < 1 || sysinfo(&info) < 0)
        return FORK_TIMEOUT_MS;
    times = (info.loads[0] >> SI_LOAD_SHIFT) / (unsigned long)processors;
    return FORK_TIMEOUT_MS * (int)(times < 1 ? 1 : times > FORK_LOAD_MAX ? FORK_LOAD_MAX : times);
}

static _Noreturn void become_init(struct nest *nest, const struct build *b, int go)
{
    struct err e = {0};
    struct control control = {.fd = b->control};
    struct job_start start = {.status = -1,
                              .out = b->out,
                              .err = b->err,
                              .run = &nest->run,
                              .work_dir = nest->work_dir,
                              .root = nest_builds(nest)};
    bool warm = b->zygote >= 0;
    int pair[2] = {-1, -1};
    char byte;

    start.patience_ms = nest->zygotes.current.ready ? fork_patience_ms() : IMPORT_TIMEOUT_MS;
    zygotes_close(&nest->zygotes, b->zygote);
    if (read(go, &byte, 1) != 1)
        _exit(1); /* the builder could not map our ids, and has told the spawner */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        err_set(&e, ERR_INTERNAL, errno, "job socket");
    start.job = pair[0];
    start.job_peer = pair[1];
    if (e.code != 0 || enter_sandbox(nest, b, &e) < 0 || (warm && call_zygote(b, &start, &e) < 0)) {
        err_prefix(&e, "sandbox");
        control_fail(&control, &e);
    }
    for (uint32_t i = 0; i < b->request->groups; i++)
        close(b->groups[i]);
    close(nest->spawner);
    close(nest->modules);
    close(go);
    if (b->zygote >= 0)
        close(b->zygote);
    if (warm) {
        fd_close(&start.out);
        fd_close(&start.err);
    }
    job_serve(&control, &start);
}

pid_t build_sandbox(struct nest *nest, const struct build *build, int *ret_pidfd, struct err *e)
{
    _cleanup_fd_ int pidfd = -1;
    int go[2];
    struct clone_args args = {.flags = NAMESPACES | CLONE_PIDFD,
                              .pidfd = (uint64_t)(uintptr_t)&pidfd,
                              .exit_signal = SIGCHLD};
    pid_t pid;
    int ret;

    if (build->request->host_network == 0)
        args.flags |= CLONE_NEWNET;
    if (pipe2(go, O_CLOEXEC) < 0)
        return err_set(e, ERR_INTERNAL, errno, "pipe");
    pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) {
        close(go[1]);
        become_init(nest, build, go[0]);
    }
    close(go[0]);
    if (pid < 0) {
        close(go[1]);
        return err_set(e, ERR_INTERNAL, errno, "clone3");
    }
    ret = map_ids(nest, pid, build->request->slot, e);
    if (ret == 0 && write(go[1], "g", 1) != 1)
        ret = err_set(e, ERR_INTERNAL, errno, "release");
    close(go[1]);
    *ret_pidfd = fd_steal(&pidfd);
    return ret < 0 ? ret : pid;
}

/* nest_birth: from clone3 to dunlin-init, pid 1 of a new nest.
 *
 * Runs in the spawner, as root, and in the child, which becomes root of the nest's user namespace.
 * Nothing of the environment has run yet; its tree is the current directory and is not looked into.
 */
#include "spawner/nest_birth.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "spawner/nest_process.h"
#include "wire/spawn.h"

/* The cgroup namespace follows once the child is in its group. */
#define NAMESPACES   (CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS)
#define NEST_SOCK    3
#define NEST_MODULES 4
#define OOM_SCORE    "500" /* ahead of the server and us, behind the runs (R50) */

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

    /* A change of ids came before (clone_in_its_name): /proc/self would be the host's root's. */
    if (prctl(PR_SET_DUMPABLE, 1) < 0 || read(go, &byte, 1) != 1)
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

/* What the kernel counts by user (watches, queued signals) in a nest and its sandboxes is charged,
 * level by level, to whoever has made each user namespace; the host's root must not pay for them.
 * Safe because: only the effective id changes, which keeps every capability, and nothing but the
 * clone is done with it; the id is the nest's root's, and nobody else's. */
static pid_t clone_in_its_name(uint32_t n, struct clone_args *args)
{
    uid_t id = SPAWN_UID_NEST + n * SPAWN_UID_COUNT;
    int dumpable = prctl(PR_GET_DUMPABLE), error;
    pid_t pid;

    if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) < 0)
        return -1;
    pid = setresuid((uid_t)-1, id, (uid_t)-1) < 0 ? -1
                                                  : (pid_t)syscall(SYS_clone3, args, sizeof *args);
    if (pid == 0)
        return 0;
    error = errno;
    if (setresuid((uid_t)-1, 0, (uid_t)-1) < 0 || prctl(PR_SET_SECUREBITS, 0) < 0 ||
        prctl(PR_SET_DUMPABLE, dumpable) < 0)
        abort(); /* it would do the rest as somebody else */
    errno = error;
    return pid;
}

/* Safe because: the host's network is for tools that reach what the operator named (policy.c),
 * which run without any right over it. */
int nest_birth(struct spawner *s, uint32_t n, int sock, struct err *e)
{
    bool shares_network = s->nests[n].make.network == SPAWN_NETWORK_HOST;
    struct clone_args args = {.flags = NAMESPACES | CLONE_PIDFD |
                                       (shares_network ? 0 : (uint64_t)CLONE_NEWNET),
                              .pidfd = (uint64_t)(uintptr_t)&s->nests[n].pidfd,
                              .exit_signal = SIGCHLD};
    _cleanup_fd_ int go = -1;
    char dir[NEST_DIR];
    int pipefd[2], error;
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
    pid = clone_in_its_name(n, &args);
    if (pid == 0) {
        close(pipefd[1]);
        become_nest(s, n, sock, pipefd[0]);
    }
    close(pipefd[0]);
    go = pipefd[1];
    error = errno;
    if (chdir("/") < 0)
        abort(); /* it would go on in the nest's tree, and keep it from going */
    if (pid < 0)
        return err_set(e, ERR_INTERNAL, error, "nest: clone3");
    s->nests[n].pid = pid;
    if (map_ids(pid, n, e) < 0)
        return -1;
    return write(go, "g", 1) == 1 ? 0 : err_set(e, ERR_INTERNAL, errno, "nest: release");
}

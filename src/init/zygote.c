/* zygote: starting and watching the warm interpreter.
 *
 * Runs in a nest's builder.  The zygote imports an environment's packages and is hostile from then
 * on: nothing it sends is believed beyond "ready", and it holds no right over the builder. */
#include "init/zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "enter/confine.h"
#include "enter/stage.h"
#include "init/lookup.h"
#include "init/nest.h"
#include "wire/nest.h"

#define ZYGOTE_FD         3
#define MODULES_FD        4
#define ZYGOTE_SCRIPT     STAGE_RUNTIME "/python/zygote.py"
#define RETRY_FIRST_US    50000
#define RETRY_DOUBLINGS   10                       /* at most 51 s between attempts */
#define BARE_FAILURES     2                        /* after so many the modules are left out */
#define HOPELESS_FAILURES 4                        /* after so many it is said that there is none */
#define START_TIMEOUT_US  (60 * UINT64_C(1000000)) /* zygote.py drops modules after 20 s */
#define END_TIMEOUT_US    (5 * UINT64_C(1000000))
#define MINUTE_US         (60 * UINT64_C(1000000))
#define OOM_SCORE_HIGHEST "1000"

/* The environment of an interpreter is an allow-list of our own (R14).  PATH is the one that its
 * runs have.  LD_BIND_NOW: what the loader resolves here, it need not resolve, and thereby copy
 * pages for, in every child. */
static const char *const environment[] = {"PATH=" LOOKUP_PATH,      "HOME=/tmp",
                                          "LANG=C.UTF-8",           "LD_BIND_NOW=1",
                                          "OPENBLAS_NUM_THREADS=1", NULL};
static const char *const environment_built_in[] = {
    "PATH=" LOOKUP_PATH_BUILT_IN, "HOME=/tmp", "LANG=C.UTF-8", "LD_BIND_NOW=1",
    "OPENBLAS_NUM_THREADS=1",     NULL};

/* A zygote's memory is worth less than the builder's: the kernel takes it first. */
static void prefer_as_oom_victim(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, OOM_SCORE_HIGHEST, strlen(OOM_SCORE_HIGHEST)) < 0)
        _exit(126);
    close(fd);
}

static _Noreturn void run_zygote(const struct nest *nest, int sock, const char *interpreter)
{
    const struct zygotes *all = &nest->zygotes;
    bool bare = all->failures >= BARE_FAILURES && !all->current.ready;
    const char *const argv[] = {interpreter,        "-u", ZYGOTE_SCRIPT, nest->work_dir,
                                bare ? "0" : "all", NULL};
    const char *const *envp = nest->number == 0 ? environment_built_in : environment;
    const char *step = "descriptors";
    int null = open("/dev/null", O_RDWR);
    int error = -EBADF;

    prefer_as_oom_victim();
    if (null >= 0 && dup2(null, 0) == 0 && dup2(null, 1) == 1 && dup2(null, 2) == 2 &&
        (sock == ZYGOTE_FD ? fcntl(sock, F_SETFD, 0) : dup2(sock, ZYGOTE_FD)) >= 0 &&
        (nest->modules == MODULES_FD || dup2(nest->modules, MODULES_FD) >= 0))
        error = confine_zygote(NEST_UID_ZYGOTE, nest->zygote.code, nest->zygote.len, &step);
    if (error == 0)
        execve(interpreter, (char *const *)argv, (char *const *)envp);
    _exit(127);
}

static void plan_retry(struct zygotes *all)
{
    uint32_t n = all->failures < RETRY_DOUBLINGS ? all->failures : RETRY_DOUBLINGS;

    all->retry_us = clock_now_us() + (n == 0 ? 0 : (uint64_t)RETRY_FIRST_US << n);
}

static int find_interpreter(const struct nest *nest, char *out, size_t cap)
{
    const char *path = nest->number == 0 ? LOOKUP_PATH_BUILT_IN : LOOKUP_PATH;

    return lookup_find(path, "python3", out, cap) == 0 ? 0 : lookup_find(path, "python", out, cap);
}

static void start(struct nest *nest, struct zygote *z)
{
    struct zygotes *all = &nest->zygotes;
    char interpreter[PATH_MAX];
    int pair[2] = {-1, -1};
    pid_t pid = -1;

    if (find_interpreter(nest, interpreter, sizeof interpreter) < 0) {
        all->failures = HOPELESS_FAILURES; /* and the tree never changes */
        all->retry_us = UINT64_MAX;
        return;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0)
        pid = fork();
    if (pid == 0)
        run_zygote(nest, pair[1], interpreter);
    fd_close(&pair[1]);
    if (pid < 0) {
        fd_close(&pair[0]);
        all->failures++;
        plan_retry(all);
        return;
    }
    *z = (struct zygote){.pid = pid, .sock = pair[0], .since_us = clock_now_us()};
    z->overdue_us = z->since_us + START_TIMEOUT_US;
}

static void end(struct zygote *z)
{
    /* Safe because: the pid is our child's and is not reaped before zygotes_died(). */
    if (z->pid > 0)
        kill(z->pid, SIGKILL);
    z->overdue_us = 0;
}

/* What was asked of the old one is still in its socket, whose other holders are the sandboxes being
 * built; it ends itself when the last of them has let go.  Its waiting children live on: they, and
 * the middle processes that share its memory, do not need its thread. */
static void switch_over(struct zygotes *all)
{
    all->old = all->current;
    all->current = all->next;
    all->next = (struct zygote){0};
    if (all->old.pid == 0)
        return;
    fd_close(&all->old.sock);
    all->old.overdue_us = clock_now_us() + END_TIMEOUT_US;
}

/* When the one that serves is to be renewed; one that nobody has used keeps. */
static uint64_t worn_at(const struct nest *nest, const struct zygote *z)
{
    if (!z->ready || z->forks == 0)
        return UINT64_MAX;
    if (nest->zygote_forks > 0 && z->forks >= nest->zygote_forks)
        return z->since_us;
    return nest->zygote_minutes > 0 ? z->since_us + nest->zygote_minutes * MINUTE_US : UINT64_MAX;
}

/* When one is to be started, and which. */
static uint64_t start_at(struct nest *nest, struct zygote **ret_which)
{
    struct zygotes *all = &nest->zygotes;
    uint64_t time = 0;

    *ret_which = &all->current;
    if (all->current.pid > 0) {
        *ret_which = &all->next;
        /* At most two at a time. */
        time = all->next.pid == 0 && all->old.pid == 0 ? worn_at(nest, &all->current) : UINT64_MAX;
    }
    return time > all->retry_us ? time : all->retry_us;
}

static uint64_t next_time(struct nest *nest)
{
    const struct zygotes *all = &nest->zygotes;
    const uint64_t overdue[] = {all->current.overdue_us, all->next.overdue_us, all->old.overdue_us};
    struct zygote *which;
    uint64_t until = start_at(nest, &which);

    for (size_t i = 0; i < sizeof overdue / sizeof overdue[0]; i++) {
        if (overdue[i] != 0 && overdue[i] < until)
            until = overdue[i];
    }
    return until;
}

int zygotes_keep(struct nest *nest)
{
    struct zygotes *all = &nest->zygotes;
    struct zygote *each[] = {&all->current, &all->next, &all->old};
    uint64_t now = clock_now_us(), until;
    struct zygote *which;

    if (!nest->is_warm)
        return -1;
    for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
        if (each[i]->overdue_us != 0 && now >= each[i]->overdue_us)
            end(each[i]);
    }
    if (all->next.pid > 0 && (all->next.ready || all->current.pid == 0))
        switch_over(all);
    if (now >= start_at(nest, &which))
        start(nest, which);
    until = next_time(nest);
    if (until == UINT64_MAX)
        return -1;
    return until > now ? (int)((until - now) / 1000) + 1 : 1;
}

void zygotes_sockets(const struct zygotes *all, int ret_fds[static ZYGOTES_SOCKETS])
{
    ret_fds[0] = all->current.pid > 0 && !all->current.ready ? all->current.sock : -1;
    ret_fds[1] = all->next.pid > 0 && !all->next.ready ? all->next.sock : -1;
}

static void read_one(struct zygotes *all, struct zygote *z)
{
    char text[128];
    ssize_t n;

    if (z->pid == 0 || z->ready)
        return;
    n = recv(z->sock, text, sizeof text, MSG_DONTWAIT);
    if (n == 1 && text[0] == 'R') {
        z->ready = true;
        z->since_us = clock_now_us();
        z->overdue_us = 0;
        all->failures = 0;
    } else if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        end(z);
    }
}

void zygotes_read(struct zygotes *all)
{
    read_one(all, &all->current);
    read_one(all, &all->next);
}

bool zygotes_died(struct zygotes *all, pid_t pid)
{
    struct zygote *z = &all->current;

    if (all->old.pid == pid) {
        all->old = (struct zygote){0};
        return true;
    }
    if (all->next.pid == pid)
        z = &all->next;
    else if (all->current.pid != pid)
        return false;
    if (!z->ready)
        all->failures++;
    plan_retry(all);
    close(z->sock);
    *z = (struct zygote){0};
    return true;
}

void zygotes_stuck(struct zygotes *all)
{
    /* One that still imports is slow, and has its own time limit. */
    if (all->old.pid > 0)
        end(&all->old);
    else if (all->current.ready)
        end(&all->current);
}

int zygotes_state(const struct nest *nest)
{
    if (!nest->is_warm || nest->zygotes.current.ready)
        return 0;
    return nest->zygotes.failures >= HOPELESS_FAILURES ? ENOENT : EAGAIN;
}

int zygotes_take(struct zygotes *all)
{
    if (all->current.pid == 0)
        return -1;
    all->current.forks++;
    return all->current.sock;
}

void zygotes_close(struct zygotes *all, int keep)
{
    struct zygote *each[] = {&all->current, &all->next};

    for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
        if (each[i]->pid > 0 && each[i]->sock != keep)
            close(each[i]->sock);
    }
}

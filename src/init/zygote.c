/* zygote: starting and watching the warm interpreter.
 *
 * Runs in a nest's builder.  The zygote imports an environment's packages and is hostile from then
 * on: nothing it sends is believed beyond "ready", and it holds no right over the builder. */
#include "init/zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "enter/confine.h"
#include "enter/stage.h"
#include "init/nest.h"
#include "wire/nest.h"

#define ZYGOTE_FD         3
#define MODULES_FD        4
#define ZYGOTE_SCRIPT     STAGE_RUNTIME "/python/zygote.py"
#define RETRY_FIRST_US    50000
#define RETRY_DOUBLINGS   6 /* at most 3.2 s between attempts */
#define OOM_SCORE_HIGHEST "1000"

/* The environment of an interpreter is an allow-list of our own (R14).  LD_BIND_NOW: what the
 * loader resolves here, it need not resolve, and thereby copy pages for, in every child. */
static const char *const environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin",
                                          "HOME=/tmp",
                                          "LANG=C.UTF-8",
                                          "LD_BIND_NOW=1",
                                          "OPENBLAS_NUM_THREADS=1",
                                          NULL};

/* Where an environment may have its interpreter, in the order in which its runs look for it. */
static const char *const interpreters[] = {"/opt/venv/bin/python3",   "/opt/conda/bin/python3",
                                           "/usr/local/sbin/python3", "/usr/local/bin/python3",
                                           "/usr/sbin/python3",       "/usr/bin/python3",
                                           "/sbin/python3",           "/bin/python3"};

/* The first that is there; the last if none is, which execve(2) then cannot find either. */
static const char *find_interpreter(void)
{
    size_t i = 0;

    while (i + 1 < sizeof interpreters / sizeof interpreters[0] &&
           access(interpreters[i], X_OK) < 0)
        i++;
    return interpreters[i];
}

/* A zygote's memory is worth less than the builder's: the kernel takes it first. */
static void prefer_as_oom_victim(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, OOM_SCORE_HIGHEST, strlen(OOM_SCORE_HIGHEST)) < 0)
        _exit(126);
    close(fd);
}

static _Noreturn void run_zygote(const struct nest *nest, int sock)
{
    const char *const argv[] = {"python3", "-u", ZYGOTE_SCRIPT, nest->work_dir, NULL};
    const char *step = "descriptors", *interpreter = find_interpreter();
    int null = open("/dev/null", O_RDWR);
    int error = -EBADF;

    prefer_as_oom_victim();
    if (null >= 0 && dup2(null, 0) == 0 && dup2(null, 1) == 1 && dup2(null, 2) == 2 &&
        (sock == ZYGOTE_FD ? fcntl(sock, F_SETFD, 0) : dup2(sock, ZYGOTE_FD)) >= 0 &&
        (nest->modules == MODULES_FD || dup2(nest->modules, MODULES_FD) >= 0))
        error = confine_zygote(NEST_UID_ZYGOTE, nest->zygote.code, nest->zygote.len, &step);
    if (error == 0)
        execve(interpreter, (char *const *)argv, (char *const *)environment);
    _exit(127);
}

int zygote_start(struct zygote *z, struct nest *nest, struct err *e)
{
    int pair[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_set(e, ERR_INTERNAL, errno, "zygote: socketpair");
    pid = fork();
    if (pid == 0)
        run_zygote(nest, pair[1]);
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return err_set(e, ERR_INTERNAL, errno, "zygote: fork");
    }
    *z = (struct zygote){.pid = pid, .failures = z->failures};
    nest->zygote_sock = pair[0];
    return 0;
}

void zygote_died(struct zygote *z, struct nest *nest)
{
    uint32_t doublings;

    z->failures = z->ready ? 0 : z->failures + 1;
    doublings = z->failures < RETRY_DOUBLINGS ? z->failures : RETRY_DOUBLINGS;
    z->pid = 0;
    z->ready = false;
    z->retry_us = clock_now_us() + (z->failures == 0 ? 0 : (uint64_t)RETRY_FIRST_US << doublings);
    fd_close(&nest->zygote_sock);
}

void zygote_kill(struct zygote *z)
{
    /* Safe because: the pid is our child's and is not reaped before zygote_died(). */
    if (z->pid > 0)
        kill(z->pid, SIGKILL);
}

void zygote_read(struct zygote *z, struct nest *nest)
{
    char text[128];
    ssize_t n = recv(nest->zygote_sock, text, sizeof text, MSG_DONTWAIT);

    if (n == 1 && text[0] == 'R')
        z->ready = true;
    else if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        zygote_kill(z);
}

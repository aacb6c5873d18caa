/* doctor_run: runs one probe in a child of its own and collects what it found.  Runs in the command
 * line, usually as root; trusts the probes, but not that the kernel lets them end. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/doctor_internal.h"

#define DEADLINE_S 10 /* a probe takes milliseconds; one that waits this long is stuck */
#define LOOK_MS    50 /* how often is looked whether it has ended without a word */

_Static_assert(sizeof(struct doctor_finding) <= PIPE_BUF, "written in one piece");

void doctor_fail(struct doctor_finding *f, int errnum, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(f->detail, sizeof f->detail, format, args);
    va_end(args);
    if (errnum != 0 && n >= 0 && (size_t)n < sizeof f->detail)
        snprintf(f->detail + n, sizeof f->detail - (size_t)n, ": %s", strerror(errnum));
    f->status = DOCTOR_MISSING;
}

void doctor_degrade(struct doctor_finding *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(f->detail, sizeof f->detail, format, args);
    va_end(args);
    f->status = DOCTOR_DEGRADED;
}

void doctor_note(struct doctor_finding *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(f->detail, sizeof f->detail, format, args);
    va_end(args);
}

int doctor_write_file(const char *path, const char *text)
{
    _cleanup_fd_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = write(fd, text, strlen(text));
    if (n >= 0 && (size_t)n != strlen(text))
        errno = EIO;
    return n >= 0 && (size_t)n == strlen(text) ? 0 : -1;
}

long long doctor_read_number(const char *path)
{
    _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    char text[32];
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n <= 0)
        return -1;
    text[n] = '\0';
    return atoll(text);
}

/* The child's part: the probe, and nothing of it survives. */
static _Noreturn void run_probe(const struct doctor_check *check, int out)
{
    struct doctor_finding f = {.status = DOCTOR_OK};
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(DEADLINE_S);
    check->probe(check, &f);
    _exit(fd_write_all(out, &f, sizeof f, NULL) < 0);
}

/* Reads the finding; a child that died before it could report found something out as well.  What
 * the probe has started may outlive it and keep the pipe open: it is not waited for, and ended. */
static void collect(int in, pid_t pid, struct doctor_finding *ret)
{
    struct pollfd fd = {.fd = in, .events = POLLIN};
    siginfo_t ended = {0};
    int status = 0;
    while (poll(&fd, 1, LOOK_MS) <= 0 &&
           waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == 0)
        ;
    /* A finding is smaller than PIPE_BUF, and comes in one piece. */
    bool told = poll(&fd, 1, 0) > 0 && read(in, ret, sizeof *ret) == sizeof *ret;
    kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (told)
        return;
    *ret = (struct doctor_finding){.status = DOCTOR_OK};
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        doctor_fail(ret, 0, "no answer from the kernel within %d seconds", DEADLINE_S);
    else if (WIFSIGNALED(status))
        doctor_fail(ret, 0, "the process that tried it was ended by signal %d", WTERMSIG(status));
    else
        doctor_fail(ret, 0, "the process that tried it said nothing");
}

void doctor_run(const struct doctor_check *check, struct doctor_finding *ret)
{
    *ret = (struct doctor_finding){.status = DOCTOR_OK};
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        doctor_fail(ret, errno, "pipe");
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        fd_close(&ends[0]);
        run_probe(check, ends[1]);
    }
    fd_close(&ends[1]);
    if (pid < 0)
        doctor_fail(ret, errno, "fork");
    else
        collect(ends[0], pid, ret);
    fd_close(&ends[0]);
    if (ret->status == DOCTOR_MISSING && check->optional)
        ret->status = DOCTOR_DEGRADED;
}

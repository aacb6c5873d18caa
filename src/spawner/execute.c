/* execute: runs a program of the host or of our own installation.
 *
 * Runs in the spawner's worker, as root, with its full rights: only fixed paths and arguments made
 * of numbers and of the operator's settings.  Never anything that came out of a sandbox. */
#include "spawner/execute.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/child.h"
#include "base/fd.h"

#define LINE_MAX_BYTES 160

static const char *const environment[] = {
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", NULL};

static _Noreturn void become_program(const char *const *argv, int errors)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && null >= 0 && dup2(null, STDIN_FILENO) >= 0 &&
        dup2(null, STDOUT_FILENO) >= 0 && dup2(errors, STDERR_FILENO) >= 0 &&
        close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
        execve(argv[0], (char *const *)argv, (char *const *)environment);
    dprintf(errors, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

/* Keeps the last line that is not empty of what comes through fd, in ASCII. */
static void keep_last_line(int fd, char line[static LINE_MAX_BYTES])
{
    char bytes[1024];
    size_t len = 0;
    bool ended = false;
    ssize_t n;

    line[0] = '\0';
    while ((n = read(fd, bytes, sizeof bytes)) > 0 || (n < 0 && errno == EINTR)) {
        for (ssize_t i = 0; i < n; i++) {
            if (bytes[i] == '\n' || bytes[i] == '\r') {
                ended = true;
                continue;
            }
            len = ended ? 0 : len;
            ended = false;
            if (len < LINE_MAX_BYTES - 1)
                line[len++] = (bytes[i] & 0x80) != 0 || bytes[i] < ' ' ? '?' : bytes[i];
            line[len] = '\0';
        }
    }
}

int execute(const char *const *argv, struct err *e)
{
    char line[LINE_MAX_BYTES];
    int pipefd[2], status = 0;
    pid_t pid;

    if (pipe2(pipefd, O_CLOEXEC) < 0)
        return err_set(e, ERR_INTERNAL, errno, "pipe for %s", argv[0]);
    pid = fork();
    if (pid == 0)
        become_program(argv, pipefd[1]);
    close(pipefd[1]);
    if (pid > 0)
        keep_last_line(pipefd[0], line);
    close(pipefd[0]);
    if (pid < 0 || (status = child_reap(pid)) < 0)
        return err_set(e, ERR_INTERNAL, errno, "fork for %s", argv[0]);
    if (status != 0)
        return err_set(e, ERR_INTERNAL, 0, "%s",
                       line[0] != '\0' ? line : "a program of the host ended without a word");
    return 0;
}

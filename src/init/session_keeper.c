/* session_keeper: the parent of one process that a client started.
 *
 * Forked by a session's init.  It is undumpable, root of the sandbox without any capability, and
 * deaf to signals, so a run can neither read nor end it.  It takes in every descendant that loses
 * its parent (PR_SET_CHILD_SUBREAPER), so that whatever a process starts stays below its keeper
 * whatever it does: sessions of its own, double forks.  What the run leaves on it is only ever
 * reaped. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "enter/confine.h"
#include "init/line.h"
#include "init/lookup.h"
#include "init/session_state.h"

#define SCRIPT_MODE 0644
#define DIR_MODE    0755

/* -- in the process itself ----------------------------------------------------------------------
 */

/* Over a pipe that exec(2) closes: where nothing comes, the program runs. */
struct failure {
    int error;
    char words[PROCESS_TEXT];
};

static _Noreturn void give_up(int report, int error, const char *what, const char *name)
{
    struct failure f = {.error = error};

    snprintf(f.words, sizeof f.words, "%s%.100s: %s", what, name, strerror(error));
    /* Nobody to hear it: then nobody minds either. */
    if (write(report, &f, sizeof f) != sizeof f)
        _exit(126);
    _exit(127);
}

/* The script, as it was before the descriptors went. */
struct script {
    const char *data;
    size_t size;
};

static int map_script(const struct keeper_job *job, struct script *ret)
{
    struct stat st;

    if (fstat(job->script_fd, &st) < 0)
        return -errno;
    ret->size = (size_t)st.st_size;
    if (ret->size == 0)
        return 0;
    ret->data = mmap(NULL, ret->size, PROT_READ, MAP_PRIVATE, job->script_fd, 0);
    return ret->data == MAP_FAILED ? -errno : 0;
}

static int make_parents(const char *path)
{
    char part[LIMIT_FILE_PATH + 1];

    for (size_t i = 1; path[i] != '\0'; i++) {
        if (path[i] != '/')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, DIR_MODE) < 0 && errno != EEXIST)
            return -errno;
    }
    return 0;
}

/* As the run itself, with every lock on: what lies in its way can harm nobody else. */
static int write_script(const char *path, const struct script *script)
{
    _cleanup_fd_ int fd = -1;
    struct err e = {0};
    int r = make_parents(path);

    if (r < 0)
        return r;
    if (unlink(path) < 0 && errno != ENOENT)
        return -errno;
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, SCRIPT_MODE);
    if (fd < 0)
        return -errno;
    return fd_write_all(fd, script->data, script->size, &e) < 0 ? -e.errnum : 0;
}

static _Noreturn void become(const struct keeper_job *job, int report)
{
    struct confine c = {.work_dir = SESSION_WORK_DIR,
                        .seccomp = job->session->start->run->code,
                        .seccomp_len = job->session->start->run->len,
                        .stdio = {job->stdio[0], job->stdio[1], job->stdio[2]},
                        .keep_fd = report,
                        .reset_signals = true,
                        .parent_death = true,
                        .has_landlock = true};
    struct script script = {0};
    const char *step = "";
    int r;

    if (job->script != NULL && (r = map_script(job, &script)) < 0)
        give_up(report, -r, "script", "");
    if ((r = confine(&c, &step)) < 0)
        give_up(report, -r, "start: ", step);
    if (job->terminal && ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0)
        give_up(report, errno, "controlling terminal", "");
    if (job->script != NULL && (r = write_script(job->script, &script)) < 0)
        give_up(report, -r, "write ", job->script);
    if (job->cwd[0] != '\0' && chdir(job->cwd) < 0)
        give_up(report, errno, "directory ", job->cwd);
    if (!job->terminal)
        line_execute(job->argv, job->envp);
    r = lookup_execute(job->argv, job->envp);
    give_up(report, -r, "", job->argv[0]);
}

/* -- in the keeper ----------------------------------------------------------------------------- */

static void say(const struct keeper_word *word, int pidfd)
{
    if (fd_send(STDOUT_FILENO, word, sizeof *word, &pidfd, pidfd >= 0 ? 1 : 0, NULL) < 0 &&
        errno != EPIPE)
        _exit(1);
}

/* Its end, or why it has not begun. */
static void say_end(int status, const struct rusage *use, const struct failure *failure)
{
    struct keeper_word word = {.is_end = true, .wait_status = status};
    pid_t left;

    word.cpu_us = (uint64_t)(use->ru_utime.tv_sec + use->ru_stime.tv_sec) * 1000000 +
                  (uint64_t)(use->ru_utime.tv_usec + use->ru_stime.tv_usec);
    word.memory_peak = (uint64_t)use->ru_maxrss * 1024;
    word.error = failure->error;
    memcpy(word.text, failure->words, sizeof word.text);
    word.text[sizeof word.text - 1] = '\0';
    do
        left = waitpid(-1, NULL, WNOHANG);
    while (left > 0);
    word.left_some = left == 0;
    say(&word, -1);
}

/* Reaps all there is, and in time the process itself. */
static _Noreturn void reap(pid_t pid, const struct failure *failure)
{
    struct rusage use;
    int status;

    for (;;) {
        pid_t died = wait4(-1, &status, 0, &use);

        if (died == pid)
            say_end(status, &use, failure);
        else if (died < 0 && errno != EINTR)
            _exit(0);
    }
}

static _Noreturn void keep(const struct keeper_job *job, int sock)
{
    struct keeper_word word = {0};
    struct failure failure = {0};
    int report[2], pidfd = -1;
    sigset_t all;
    pid_t pid;

    sigfillset(&all);
    if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 ||
        sigprocmask(SIG_SETMASK, &all, NULL) < 0 || pipe2(report, O_CLOEXEC) < 0)
        _exit(1);
    pid = fork();
    if (pid == 0)
        become(job, report[1]);
    if (pid > 0)
        pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    /* Nothing else stays: what is open here would keep terminals and pipes from ending. */
    if (dup2(report[0], STDIN_FILENO) < 0 || dup2(sock, STDOUT_FILENO) < 0 ||
        (pidfd >= 0 && dup2(pidfd, STDERR_FILENO) < 0) ||
        syscall(SYS_close_range, pidfd >= 0 ? 3 : 2, ~0u, 0) < 0 || confine_drop_capabilities() < 0)
        _exit(1);
    if (pid < 0 || pidfd < 0) {
        word = (struct keeper_word){.is_end = true, .error = EAGAIN};
        snprintf(word.text, sizeof word.text, "no more processes: %s", strerror(EAGAIN));
        say(&word, -1);
        _exit(0);
    }
    if (read(STDIN_FILENO, &failure, sizeof failure) <= 0) {
        word.pid = (uint32_t)pid;
        say(&word, STDERR_FILENO);
    }
    close(STDERR_FILENO);
    close(STDIN_FILENO);
    reap(pid, &failure);
}

pid_t keeper_start(const struct keeper_job *job, int *ret_sock)
{
    int pair[2], error;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -1;
    pid = fork();
    if (pid == 0)
        keep(job, pair[1]);
    error = errno;
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        errno = error;
        return -1;
    }
    *ret_sock = pair[0];
    return pid;
}

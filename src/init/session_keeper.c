/* session_keeper: the parent of one process that a client started.
 *
 * Forked by a session's init, as a rule before it is needed: what can be locked before it is known
 * what to start takes longer than the rest.  It is undumpable, root of the sandbox beneath the
 * run's own filter, while it waits with the capabilities to become another, then without any, and
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

#define KEEPER_STDIO 3
#define KEEPER_FDS   (KEEPER_STDIO + 1) /* and the script */
#define STRINGS_MAX  65536              /* of one job: two bytes each, and all fit into a message */

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

static int map_script(int fd, struct script *ret)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    ret->size = (size_t)st.st_size;
    if (ret->size == 0)
        return 0;
    ret->data = mmap(NULL, ret->size, PROT_READ, MAP_PRIVATE, fd, 0);
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

static _Noreturn void become(const struct keeper_job *job, const int *fds, int report)
{
    struct confine c = {.work_dir = SESSION_WORK_DIR,
                        .stdio = {fds[0], fds[1], fds[2]},
                        .keep_fd = report,
                        .has_landlock = true};
    bool is_terminal = (job->exec.flags & SESSION_TERMINAL) != 0;
    struct script script = {0};
    const char *step = "";
    int r;

    if (job->script != NULL && (r = map_script(fds[KEEPER_STDIO], &script)) < 0)
        give_up(report, -r, "script", "");
    if ((r = confine_forked(&c, &step)) < 0)
        give_up(report, -r, "start: ", step);
    if (is_terminal && ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0)
        give_up(report, errno, "controlling terminal", "");
    if (job->script != NULL && (r = write_script(job->script, &script)) < 0)
        give_up(report, -r, "write ", job->script);
    if (job->cwd[0] != '\0' && chdir(job->cwd) < 0)
        give_up(report, errno, "directory ", job->cwd);
    if (!is_terminal)
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

static _Noreturn void keep(const struct keeper_job *job, const int *fds)
{
    struct keeper_word word = {0};
    struct failure failure = {0};
    int report[2], pidfd = -1;
    pid_t pid;

    if (pipe2(report, O_CLOEXEC) < 0)
        _exit(1);
    pid = fork();
    if (pid == 0)
        become(job, fds, report[1]);
    if (pid > 0)
        pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    /* Nothing else stays: what is open here would keep terminals and pipes from ending. */
    if (dup2(report[0], STDIN_FILENO) < 0 || (pidfd >= 0 && dup2(pidfd, STDERR_FILENO) < 0) ||
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

static const char *strings[STRINGS_MAX];
static char *words[STRINGS_MAX + 2]; /* after argv and env a NULL, as execve(2) wants it */
static char message[SESSION_MESSAGE_MAX];

bool keeper_parse(const char *data, size_t len, struct keeper_job *ret)
{
    const struct session_exec *exec = &ret->exec;
    uint64_t want;
    int n;

    if (len < sizeof *exec)
        return false;
    memcpy(&ret->exec, data, sizeof *exec);
    n = session_strings(data + sizeof *exec, len - sizeof *exec, strings, STRINGS_MAX);
    want = (uint64_t)SESSION_EXEC_FIXED_STRINGS + exec->nargv + exec->nenv;
    if (n < 0 || (uint64_t)n != want || exec->nargv == 0)
        return false;
    ret->cwd = strings[0];
    ret->script = (exec->flags & SESSION_SCRIPT) != 0 ? strings[1] : NULL;
    ret->argv = words;
    memcpy(words, strings + SESSION_EXEC_FIXED_STRINGS, exec->nargv * sizeof *words);
    words[exec->nargv] = NULL;
    ret->envp = words + exec->nargv + 1;
    memcpy(ret->envp, strings + SESSION_EXEC_FIXED_STRINGS + exec->nargv,
           exec->nenv * sizeof *words);
    ret->envp[exec->nenv] = NULL;
    return true;
}

/* A page that is written to for the first time costs a fault: these, which every job writes to, are
 * paid for while nobody waits. */
static void touch_ahead(void)
{
    volatile char stack[16384];

    for (size_t i = 0; i < sizeof stack; i += 4096)
        stack[i] = 0;
    *(volatile char *)message = 0;
    *(const char *volatile *)strings = NULL;
    *(char *volatile *)words = NULL;
}

/* Locks itself in, and waits for its job. */
static _Noreturn void wait_for_job(const struct session *s, int sock)
{
    struct confine c = {.seccomp = s->start->run->code, .seccomp_len = s->start->run->len};
    struct keeper_job job;
    int fds[KEEPER_FDS] = {-1, -1, -1, -1};
    const char *step;
    size_t nfds = 0;
    sigset_t all;
    ssize_t n;

    sigfillset(&all);
    if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 ||
        sigprocmask(SIG_SETMASK, &all, NULL) < 0)
        _exit(1);
    /* All three, so that no descriptor of the job's becomes one of them. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (dup2(sock, fd) < 0)
            _exit(1);
    }
    if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, 0) < 0 || confine_ahead(&c, &step) < 0)
        _exit(1);
    touch_ahead();
    n = fd_recv(STDOUT_FILENO, message, sizeof message, fds, KEEPER_FDS, &nfds, NULL);
    if (n <= 0)
        _exit(0); /* init is gone, or wants none any more */
    if (!keeper_parse(message, (size_t)n, &job) ||
        nfds != KEEPER_STDIO + (job.script != NULL ? 1u : 0u))
        _exit(1);
    keep(&job, fds);
}

/* -- in init ----------------------------------------------------------------------------------- */

int keeper_make(const struct session *s, struct keeper *ret)
{
    int pair[2], error;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -1;
    pid = fork();
    if (pid == 0)
        wait_for_job(s, pair[1]);
    error = errno;
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        errno = error;
        return -1;
    }
    *ret = (struct keeper){pid, pair[0]};
    return 0;
}

static int tell(struct keeper *k, const struct session_request *r, struct err *e)
{
    return fd_send(k->sock, r->data, r->len, r->fds, r->nfds, e);
}

int keeper_start(struct session *s, const struct session_request *r, struct keeper *ret)
{
    struct err e = {0};

    if (s->spare.pid != 0 && tell(&s->spare, r, &e) == 0) {
        *ret = s->spare;
        s->spare.pid = 0;
        return 0;
    }
    keeper_dismiss(s); /* it was killed */
    if (keeper_make(s, ret) < 0)
        return -1;
    if (tell(ret, r, &e) == 0)
        return 0;
    fd_close(&ret->sock);
    errno = e.errnum;
    return -1;
}

void keeper_prepare(struct session *s)
{
    if (!s->wants_keeper || s->stopping || s->spare.pid != 0)
        return;
    s->wants_keeper = false;
    if (keeper_make(s, &s->spare) < 0)
        s->spare.pid = 0; /* the next one is made when it is needed, and can tell why not */
}

void keeper_dismiss(struct session *s)
{
    if (s->spare.pid == 0)
        return;
    s->spare.pid = 0;
    fd_close(&s->spare.sock);
}

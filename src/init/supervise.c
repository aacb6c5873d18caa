/* supervise: the life of a job's processes.
 *
 * Runs as pid 1 of a sandbox.  The main process of a warm job is the child of a process outside our
 * pid namespace, which reports its wait status on a pipe that no run ever holds; the main process
 * of a cold job is our own child.  Everything else becomes our child when its parent dies. */
#include "init/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "enter/confine.h"
#include "init/lookup.h"
#include "wire/nest.h"

#define STRINGS_MAX     4096 /* argv + args + env of one job */
#define KILL_TIMEOUT_MS 5000 /* a report that comes later than this after SIGKILL is lost */
#define WORDS_MAX       4    /* at once: an interpreter has no more to say, and time goes on */
#define JOB_FD          3    /* where a cold interpreter finds its job */

static int signals = -1;

static int watch_children(struct err *e)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 ||
        (signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
        return err_set(e, ERR_INTERNAL, errno, "signalfd");
    return 0;
}

static int start_warm(struct job_state *job, struct err *e)
{
    if (fd_send(job->start->job, job->payload, job->payload_len, &job->stdin_fd,
                job->stdin_fd >= 0 ? 1 : 0, e) < 0)
        return err_prefix(e, "hand over the job");
    return 0;
}

struct vectors {
    const char *strings[STRINGS_MAX];
    char *argv[STRINGS_MAX];
    char *envp[STRINGS_MAX];
};

/* argv: the interpreter's own words, the main file unless the job has none, the client's arguments.
 */
static int make_vectors(const struct job_state *job, struct vectors *v, struct err *e)
{
    struct frame f = {.job = job->head,
                      .rest = job->payload + sizeof job->head,
                      .rest_len = job->payload_len - sizeof job->head};
    const char **s = v->strings + FRAME_JOB_FIXED_STRINGS;
    size_t n = 0;

    if (frame_job_strings(&f, v->strings, STRINGS_MAX) < 0 || job->head.nargv == 0)
        return err_set(e, ERR_INVALID, 0, "strings of the job");
    for (uint32_t i = 0; i < job->head.nargv; i++)
        v->argv[n++] = (char *)*s++;
    if (v->strings[0][0] != '\0')
        v->argv[n++] = (char *)v->strings[0];
    for (uint32_t i = 0; i < job->head.nargs; i++)
        v->argv[n++] = (char *)*s++;
    for (uint32_t i = 0; i < job->head.nenv; i++)
        v->envp[i] = (char *)*s++;
    return 0;
}

/* Everything is locked already, and what is missing is the environment's: it is told as a shell
 * would tell it, to the one whose code it was. */
static _Noreturn void tell_not_started(const char *program, int error)
{
    dprintf(STDERR_FILENO, "dunlin: %s cannot be started in this environment: %s\n", program,
            strerror(error));
    _exit(127);
}

static _Noreturn void run_cold(const struct job_state *job, struct vectors *v, int input)
{
    const struct job_start *start = job->start;
    struct confine c = {.work_dir = start->work_dir,
                        .seccomp = start->run->code,
                        .seccomp_len = start->run->len,
                        .stdio = {input, start->out, start->err},
                        .keep_fd = JOB_FD,
                        .reset_signals = true,
                        .parent_death = true,
                        .root = start->root};
    int cloexec = (job->head.flags & FRAME_JOB_RUNNER) != 0 ? 0 : FD_CLOEXEC;
    const char *step = "descriptors";
    char text[256];
    int r = -EBADF;

    /* Descriptors of init lie above these after the move, and confine() closes them. */
    if (dup2(start->job_peer, JOB_FD) == JOB_FD && fcntl(JOB_FD, F_SETFD, cloexec) == 0)
        r = confine(&c, &step);
    if (r == 0)
        tell_not_started(v->argv[0], -lookup_execute(v->argv, v->envp));
    snprintf(text, sizeof text, "E%s: %s", step, strerror(-r));
    send(r == -EBADF ? start->job_peer : JOB_FD, text, strlen(text), MSG_NOSIGNAL);
    _exit(127);
}

static int start_cold(struct job_state *job, struct err *e)
{
    static struct vectors v;
    _cleanup_fd_ int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int input = job->stdin_fd >= 0 ? job->stdin_fd : null;

    if (make_vectors(job, &v, e) < 0)
        return -1;
    if (input < 0)
        return err_set(e, ERR_INTERNAL, errno, "open /dev/null");
    if ((job->head.flags & FRAME_JOB_RUNNER) != 0 && start_warm(job, e) < 0)
        return -1;
    job->pid = fork();
    if (job->pid == 0)
        run_cold(job, &v, input);
    if (job->pid < 0)
        return err_set(e, ERR_INTERNAL, errno, "fork");
    return 0;
}

int supervise_start(struct job_state *job, struct err *e)
{
    struct job_start start = *job->start;
    int r;

    if (watch_children(e) < 0)
        return -1;
    job->started_us = clock_now_us();
    r = start.status >= 0 ? start_warm(job, e) : start_cold(job, e);
    /* From here on only the run holds its own ends. */
    fd_close(&start.out);
    fd_close(&start.err);
    fd_close(&start.job_peer);
    fd_close(&job->stdin_fd);
    return r;
}

/* Reaps children, all that are dead (WNOHANG) or all there are (0).  False when there is none left:
 * then, once the main process has been reaped, no other process of the sandbox exists either, since
 * whoever loses its parent becomes ours. */
static bool reap(struct job_state *job, int options)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, options)) > 0 || (pid < 0 && errno == EINTR)) {
        if (pid > 0 && pid == job->pid) {
            job->ended = true;
            job->wait_status = status;
        }
    }
    return pid == 0;
}

/* The warm child's parent says how it ended. */
static int read_status(struct job_state *job, struct err *e)
{
    struct nest_status status;

    if (read(job->start->status, &status, sizeof status) != sizeof status)
        return err_set(e, ERR_INTERNAL, 0, "the run's parent went away");
    if (status.error != 0)
        return err_set(e, ERR_INTERNAL, -status.error, "the run's parent");
    job->ended = true;
    job->wait_status = status.wait_status;
    return 0;
}

/* What the interpreter says before it starts the code: 'R' it is up (cold), 'V' the policy refuses
 * the code, 'E' a failure.  Returns 1 for each word, 0 when there is none now; *ret_open is false
 * when the code runs and nothing counts any more. */
static int read_word(struct job_state *job, bool *ret_open, struct err *e)
{
    ssize_t n = recv(job->start->job, job->refusal, sizeof job->refusal - 1, MSG_DONTWAIT);

    /* Who ends without having read its job leaves this error before its last words (net/unix/
     * af_unix.c, unix_release_sock); it is told once. */
    if (n < 0 && errno == ECONNRESET)
        n = recv(job->start->job, job->refusal, sizeof job->refusal - 1, MSG_DONTWAIT);
    if (n > 1 && job->refusal[0] == 'E') {
        job->refusal[n] = '\0';
        return err_set(e, ERR_INTERNAL, 0, "start: %s", job->refusal + 1);
    }
    if (n > 1 && job->refusal[0] == 'V') {
        memmove(job->refusal, job->refusal + 1, (size_t)n - 1);
        job->refusal_len = (size_t)n - 1;
    }
    *ret_open = n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
    return n > 0;
}

/* What it has said so far.  -1: a failure. */
static int read_words(struct job_state *job, struct pollfd *fd, struct err *e)
{
    bool is_open = true;
    int r = 1;

    for (int i = 0; i < WORDS_MAX && r > 0; i++)
        r = read_word(job, &is_open, e);
    if (!is_open)
        fd->fd = -1;
    return r < 0 ? -1 : 0;
}

static int milliseconds_left(const struct job_state *job)
{
    uint64_t end = job->started_us + (uint64_t)job->head.timeout_ms * 1000;
    uint64_t now = clock_now_us();

    return now >= end ? 0 : (int)((end - now + 999) / 1000);
}

/* Whether the interpreter may have something to say before it starts the code.  A warm child whose
 * policy is off says nothing, and its closing of the socket need not wake us. */
static bool may_speak(const struct job_state *job)
{
    const char *main_file = job->payload + sizeof job->head;
    const char *level = main_file + strlen(main_file) + 1;

    return job->start->status < 0 || strcmp(level, "off") != 0;
}

static int wait_for_end(struct job_state *job, int control, struct err *e)
{
    struct signalfd_siginfo info;
    struct pollfd fds[] = {{.fd = job->start->status, .events = POLLIN},
                           {.fd = may_speak(job) ? job->start->job : -1, .events = POLLIN},
                           {.fd = signals, .events = POLLIN},
                           {.fd = control, .events = POLLIN}};

    while (!job->ended) {
        int left_ms = milliseconds_left(job);

        if (left_ms == 0) {
            job->timed_out = true;
            return 0;
        }
        if (poll(fds, 4, left_ms) < 0 && errno != EINTR)
            return err_set(e, ERR_INTERNAL, errno, "poll");
        if (fds[3].revents != 0)
            _exit(0);
        if (fds[1].revents != 0 && read_words(job, &fds[1], e) < 0)
            return -1;
        if (fds[2].revents != 0) {
            while (read(signals, &info, sizeof info) > 0)
                ;
            (void)reap(job, WNOHANG);
        }
        if (fds[0].revents != 0 && read_status(job, e) < 0)
            return -1;
    }
    /* Who said something and ended while poll() was looking elsewhere is heard all the same. */
    return fds[1].fd >= 0 ? read_words(job, &fds[1], e) : 0;
}

/* Ends everything but us, also what forks while it is being killed: kill(-1) signals every process
 * of the pid namespace under one lock, and a fork that is under way fails (signal_pending). */
static int end_all(struct job_state *job, struct err *e)
{
    struct pollfd fd = {.fd = job->start->status, .events = POLLIN};
    int r;

    if (job->ended && !reap(job, WNOHANG))
        return 0;
    if (kill(-1, SIGKILL) < 0 && errno != ESRCH)
        return err_set(e, ERR_INTERNAL, errno, "kill");
    if (!job->ended && job->start->status >= 0) {
        do
            r = poll(&fd, 1, KILL_TIMEOUT_MS);
        while (r < 0 && errno == EINTR);
        if (r != 1)
            return err_set(e, ERR_INTERNAL, 0, "the run does not die");
        if (read_status(job, e) < 0)
            return -1;
    }
    (void)reap(job, 0);
    return 0;
}

int supervise_wait(struct job_state *job, int control, struct err *e)
{
    if (wait_for_end(job, control, e) < 0 || end_all(job, e) < 0)
        return -1;
    job->wall_us = clock_now_us() - job->started_us;
    return 0;
}

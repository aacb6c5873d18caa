/* session_process: what clients start in a session, from the request to the last word.
 *
 * Runs in a session's init.  Trusts the server to keep the protocol, and a keeper's word, which is
 * ours.  A process that was asked for is told its end exactly once, whatever becomes of it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "init/session_parts.h"

#define ENDING_LOOK_MS  5 /* between two looks at what a process has left behind */
#define KILL_LOOKS      8
#define ENDING_LIMIT_US (2 * UINT64_C(1000000))

struct process *process_find(struct session *s, uint32_t id)
{
    for (size_t i = 0; i < SESSION_PROCESSES; i++) {
        if (s->processes[i].state != PROCESS_FREE && s->processes[i].id == id)
            return &s->processes[i];
    }
    return NULL;
}

static void clear(struct process *p, uint32_t id, enum process_state state)
{
    p->state = state;
    p->id = id;
    p->flags = 0;
    p->pid = p->keeper = 0;
    p->pidfd = p->status = p->job = -1;
    p->from_us = clock_now_us();
    p->early = (struct session_signal){0};
    p->ended = (struct session_ended){0};
    p->text[0] = p->script[0] = '\0';
}

struct process *process_new(struct session *s, uint32_t id, enum process_state state)
{
    struct session_ended ended = {.error = EAGAIN};

    for (size_t i = 0; i < SESSION_PROCESSES; i++) {
        if (s->processes[i].state == PROCESS_FREE) {
            clear(&s->processes[i], id, state);
            return &s->processes[i];
        }
    }
    session_say(s, SESSION_ENDED, id, &ended, sizeof ended, "too many processes in this session");
    return NULL;
}

void process_refuse(struct process *p, int error, const char *words)
{
    p->ended.error = error;
    snprintf(p->text, sizeof p->text, "%s", words);
}

/* The directory that holds the script, opened without following any link; *ret_name is its name. */
static int open_script_parent(const char *path, const char **ret_name, bool above)
{
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    static char parent[LIMIT_FILE_PATH + 1];
    char *slash;

    snprintf(parent, sizeof parent, "%s", path);
    for (int i = 0; i < (above ? 2 : 1); i++) {
        slash = strrchr(parent, '/');
        if (slash == NULL || slash == parent)
            return -1;
        *slash = '\0';
    }
    *ret_name = slash + 1;
    return (int)syscall(SYS_openat2, AT_FDCWD, parent, &how, sizeof how);
}

/* Safe because: no link is followed, so only a name beneath /tmp or the workspace goes, and a
 * directory only when it is empty.  What it was exchanged for is the client's own. */
static void remove_script(const char *path)
{
    const char *name = NULL;
    _cleanup_fd_ int parent = open_script_parent(path, &name, false);
    _cleanup_fd_ int above = -1;

    if (parent >= 0)
        unlinkat(parent, name, 0);
    above = open_script_parent(path, &name, true);
    if (above >= 0)
        unlinkat(above, name, AT_REMOVEDIR);
}

void process_finish(struct session *s, struct process *p)
{
    if (p->script[0] != '\0')
        remove_script(p->script);
    if (p->ended.wall_us == 0)
        p->ended.wall_us = clock_now_us() - p->from_us;
    terminal_ended(s, p->id);
    session_say(s, SESSION_ENDED, p->id, &p->ended, sizeof p->ended, p->text);
    fd_close(&p->pidfd);
    fd_close(&p->status);
    fd_close(&p->job);
    p->state = PROCESS_FREE;
    s->wants_keeper = true;
}

void process_over(struct session *s, struct process *p, bool left_some)
{
    p->ended.wall_us = clock_now_us() - p->from_us;
    if ((p->flags & SESSION_FOREGROUND) == 0 || !left_some) {
        process_finish(s, p);
        return;
    }
    p->state = PROCESS_ENDING;
    p->from_us = clock_now_us();
}

int process_keep(struct session *s)
{
    int wait_ms = -1;

    for (size_t i = 0; i < SESSION_PROCESSES; i++) {
        struct process *p = &s->processes[i];

        if (p->state != PROCESS_ENDING)
            continue;
        wait_ms = ENDING_LOOK_MS;
        if (group_signal(s, p, SIGKILL) == 0) {
            process_finish(s, p);
        } else if (clock_now_us() - p->from_us > ENDING_LIMIT_US) {
            /* It forks faster than it can be looked at: then all of the session's go with it. */
            group_signal_all(s, SIGKILL);
        }
    }
    return wait_ms;
}

/* -- starting ---------------------------------------------------------------------------------- */

/* Beneath a directory of the run's own, and no way out of it. */
static bool is_script_path(const char *path)
{
    return (strncmp(path, SESSION_WORK_DIR "/", sizeof SESSION_WORK_DIR) == 0 ||
            strncmp(path, "/tmp/", 5) == 0) &&
           strstr(path, "/../") == NULL && path[strlen(path) - 1] != '/';
}

static void start(struct session *s, struct process *p, const struct session_request *r,
                  const char *script)
{
    struct keeper keeper = {0};
    char text[PROCESS_TEXT];

    if (script != NULL && !is_script_path(script)) {
        process_refuse(p, EINVAL, "a script lies beneath " SESSION_WORK_DIR " or /tmp");
        process_finish(s, p);
        return;
    }
    if (script != NULL && (p->flags & SESSION_TEMPORARY) != 0)
        snprintf(p->script, sizeof p->script, "%s", script);
    if (keeper_start(s, r, &keeper) == 0) {
        p->keeper = keeper.pid;
        p->status = keeper.sock;
        return;
    }
    snprintf(text, sizeof text, "no more processes: %s", strerror(errno));
    process_refuse(p, errno, text);
    process_finish(s, p);
}

/* The stream stays here; the process's side of the terminal goes in its place, as all three. */
static void start_with_terminal(struct session *s, struct process *p, struct session_request *r,
                                const struct keeper_job *job)
{
    const struct session_size size = {job->exec.rows, job->exec.columns};
    _cleanup_fd_ int peer = terminal_open(s, p->id, &r->fds[0], &size);
    struct session_request job_request = *r;

    if (peer < 0) {
        process_refuse(p, peer == -ENOSPC ? EAGAIN : -peer, "no more terminals");
        process_finish(s, p);
        return;
    }
    job_request.fds[0] = job_request.fds[1] = job_request.fds[2] = peer;
    job_request.nfds = 3;
    if (job->script != NULL)
        job_request.fds[job_request.nfds++] = r->fds[1];
    start(s, p, &job_request, job->script);
}

void process_exec(struct session *s, struct session_request *r)
{
    struct keeper_job job;
    struct process *p;
    size_t nfds;

    if (!keeper_parse(r->data, r->len, &job))
        session_fail(s, "parts of a process");
    if (job.script != NULL && strlen(job.script) > LIMIT_FILE_PATH)
        session_fail(s, "path of a script");
    nfds = (job.exec.flags & SESSION_TERMINAL) != 0 ? 1 : 3;
    if (r->nfds != nfds + (job.script != NULL ? 1 : 0) || process_find(s, r->head.id) != NULL)
        session_fail(s, "descriptors or id of a process");
    p = process_new(s, r->head.id, PROCESS_STARTING);
    if (p == NULL)
        return;
    p->flags = job.exec.flags;
    if ((job.exec.flags & SESSION_TERMINAL) != 0)
        start_with_terminal(s, p, r, &job);
    else
        start(s, p, r, job.script);
}

/* -- signals ----------------------------------------------------------------------------------- */

static void deliver(struct session *s, struct process *p, const struct session_signal *what)
{
    if (p->state == PROCESS_STARTING) {
        /* There may be no process yet. */
        if (p->early.signal != SIGKILL)
            p->early = *what;
        /* One that others of its user have stopped on its way to exec(2) would never be told. */
        if (what->signal == SIGKILL)
            group_signal(s, p, SIGKILL);
    } else if (p->state == PROCESS_QUEUED || p->state == PROCESS_ADMITTED ||
               p->state == PROCESS_JOINING) {
        process_refuse(p, ECANCELED, "ended before it had joined");
        process_finish(s, p);
    } else if (what->scope == SCOPE_PROCESS) {
        syscall(SYS_pidfd_send_signal, p->pidfd, what->signal, NULL, 0);
    } else {
        /* Who forks while it is being ended is seen at the next look. */
        for (int i = 0; i < KILL_LOOKS && group_signal(s, p, (int)what->signal) > 0; i++) {
            if (what->signal != SIGKILL)
                break;
        }
    }
}

void process_signal(struct session *s, const struct session_request *r)
{
    struct session_signal what;
    struct process *p = process_find(s, r->head.id);

    if (r->len != sizeof what)
        session_fail(s, "length of a signal");
    memcpy(&what, r->data, sizeof what);
    if (what.signal == 0 || what.signal > 64 || what.scope > SCOPE_ALL)
        session_fail(s, "signal");
    if (what.scope == SCOPE_ALL)
        group_signal_all(s, (int)what.signal);
    else if (p != NULL) /* else its end is on its way to the server */
        deliver(s, p, &what);
}

/* -- its keeper's word ------------------------------------------------------------------------- */

static void started(struct session *s, struct process *p, const struct keeper_word *word, int pidfd)
{
    struct session_started said = {.pid = word->pid};

    p->pid = (pid_t)word->pid;
    p->pidfd = pidfd;
    p->state = PROCESS_RUNNING;
    session_say(s, SESSION_STARTED, p->id, &said, sizeof said, "");
    if (p->early.signal != 0)
        deliver(s, p, &p->early);
}

static void ended(struct session *s, struct process *p, const struct keeper_word *word)
{
    p->ended.wait_status = word->error != 0 ? 0 : word->wait_status;
    p->ended.cpu_us = word->cpu_us;
    p->ended.memory_peak = word->memory_peak;
    if (word->error != 0)
        process_refuse(p, word->error, word->text);
    process_over(s, p, word->left_some);
}

void process_hear(struct session *s, struct process *p)
{
    struct keeper_word word;
    size_t nfds = 0;
    int pidfd = -1;
    ssize_t n = fd_recv(p->status, &word, sizeof word, &pidfd, 1, &nfds, NULL);

    if (n == sizeof word && word.is_end && p->state != PROCESS_ENDING) {
        ended(s, p, &word);
    } else if (n == sizeof word && !word.is_end && p->state == PROCESS_STARTING) {
        started(s, p, &word, pidfd);
    } else if (p->state == PROCESS_ENDING) {
        process_finish(s, p); /* nobody is left below the keeper */
    } else {
        /* The keeper was killed, and with it the process: only a signal to all does that. */
        p->ended.wait_status = SIGKILL;
        process_over(s, p, false);
    }
}

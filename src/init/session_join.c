/* session_join: warm interpreters that come into a session from outside, and run a program there.
 *
 * Runs in a session's init.  setns(2) asks whether the one who comes may look at us, so we are
 * dumpable while one is on its way, and only then; they come one after the other.  The
 * environment's zygote is hostile: what it says costs the run it was asked for, nothing else.  Who
 * came is found in /proc: nobody but such a child has its parent outside. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "init/session_parts.h"
#include "wire/nest.h"

#define JOIN_LIMIT_US (10 * UINT64_C(1000000)) /* from the permission to its first word */

static bool is_coming(const struct process *p)
{
    return p->state == PROCESS_ADMITTED || p->state == PROCESS_JOINING;
}

/* The index of the one that is coming, or -1. */
static int find_coming(const struct session *s)
{
    for (int i = 0; i < SESSION_PROCESSES; i++) {
        if (is_coming(&s->processes[i]))
            return i;
    }
    return -1;
}

/* Who may come next: ids only grow in a session, the lowest has waited longest. */
static struct process *longest_waiting(struct session *s)
{
    struct process *waiting = NULL;

    for (size_t i = 0; i < SESSION_PROCESSES; i++) {
        struct process *p = &s->processes[i];

        if (p->state == PROCESS_QUEUED && (waiting == NULL || p->id < waiting->id))
            waiting = p;
    }
    return waiting;
}

static void set_dumpable(struct session *s, bool dumpable)
{
    if (s->dumpable != dumpable && prctl(PR_SET_DUMPABLE, dumpable) < 0)
        session_fail(s, "dumpable");
    s->dumpable = dumpable;
}

/* Lets the next in, if any. */
static void go_on(struct session *s)
{
    struct process *p;

    if (find_coming(s) >= 0)
        return;
    p = longest_waiting(s);
    set_dumpable(s, p != NULL);
    if (p == NULL)
        return;
    p->state = PROCESS_ADMITTED;
    p->from_us = clock_now_us();
    session_say(s, SESSION_ADMITTED, p->id, NULL, 0, "");
}

static void fail(struct session *s, struct process *p, int error, const char *words)
{
    process_refuse(p, error, words);
    process_finish(s, p);
}

void join_admit(struct session *s, uint32_t id)
{
    if (process_find(s, id) != NULL)
        session_fail(s, "id of a warm process");
    if (process_new(s, id, PROCESS_QUEUED) != NULL)
        go_on(s);
}

int join_keep(struct session *s)
{
    uint64_t now = clock_now_us();
    int i = find_coming(s);

    if (i >= 0 && now - s->processes[i].from_us >= JOIN_LIMIT_US)
        fail(s, &s->processes[i], ETIMEDOUT, "no warm interpreter came in time");
    go_on(s);
    i = find_coming(s);
    return i < 0 ? -1 : (int)((JOIN_LIMIT_US - (now - s->processes[i].from_us)) / 1000) + 1;
}

void join_child(struct session *s, struct session_request *r)
{
    struct process *p = process_find(s, r->head.id);

    if (r->nfds != 2 || r->len != 0)
        session_fail(s, "a warm child's descriptors");
    if (p == NULL)
        return; /* it took too long, and its end has been told */
    if (p->state != PROCESS_ADMITTED)
        session_fail(s, "a warm child that was not admitted");
    p->job = fd_steal(&r->fds[0]);
    p->status = fd_steal(&r->fds[1]);
    p->state = PROCESS_JOINING;
}

static void ready(struct session *s, struct process *p)
{
    struct session_started said;

    p->pid = group_stranger(s);
    if (p->pid > 0)
        p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    if (p->pidfd < 0) {
        p->pid = 0;
        fail(s, p, ECHILD, "the warm interpreter went away");
        return;
    }
    said = (struct session_started){.pid = (uint32_t)p->pid};
    p->state = PROCESS_READY;
    session_say(s, SESSION_READY, p->id, &said, sizeof said, "");
    go_on(s);
}

/* What a child says while it joins: 'R', or 'E' and why it cannot. */
static void hear_joining(struct session *s, struct process *p)
{
    struct pollfd status = {.fd = p->status, .events = POLLIN};
    struct nest_status end = {0};
    char text[PROCESS_TEXT];
    ssize_t n = recv(p->job, text, sizeof text - 1, MSG_DONTWAIT);

    if (n == 1 && text[0] == 'R') {
        ready(s, p);
    } else if (n > 1) {
        text[n] = '\0';
        fail(s, p, EIO, text + 1);
    } else if (poll(&status, 1, 0) == 1) {
        if (read(p->status, &end, sizeof end) != sizeof end)
            end.error = EIO;
        fail(s, p, end.error != 0 ? abs(end.error) : EIO, "no warm interpreter could join");
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        fail(s, p, EIO, "the warm interpreter went away");
    }
}

void join_hear(struct session *s, struct process *p)
{
    struct nest_status end;
    char verdict[PROCESS_TEXT];
    ssize_t n;

    if (p->state == PROCESS_JOINING) {
        hear_joining(s, p);
        return;
    }
    if (read(p->status, &end, sizeof end) == sizeof end && end.error == 0)
        p->ended = (struct session_ended){
            .wait_status = end.wait_status, .cpu_us = end.cpu_us, .memory_peak = end.memory_peak};
    else
        p->ended.wait_status = SIGKILL; /* its parent was killed, and it with it */
    fd_close(&p->status);
    n = recv(p->job, verdict, sizeof verdict - 1, MSG_DONTWAIT);
    if (n < 0 && errno == ECONNRESET)
        n = recv(p->job, verdict, sizeof verdict - 1, MSG_DONTWAIT);
    if (n > 1 && verdict[0] == 'V') {
        verdict[n] = '\0';
        process_refuse(p, EPERM, verdict + 1);
    }
    process_over(s, p, true);
}

/* True if the message has the parts of a SESSION_RUN. */
static bool take_run(struct session_request *r, struct session_run *run, const char **script,
                     size_t *script_len)
{
    const char *end;

    if (r->len < sizeof *run)
        return false;
    memcpy(run, r->data, sizeof *run);
    *script = r->data + sizeof *run;
    end = memchr(*script, 0, r->len - sizeof *run);
    if (end == NULL)
        return false;
    *script_len = (size_t)(end - *script);
    return *script_len <= LIMIT_FILE_PATH && r->len > sizeof *run + *script_len + 1 &&
           r->nfds == ((run->flags & SESSION_SCRIPT) != 0 ? 2u : 1u);
}

void join_run(struct session *s, struct session_request *r)
{
    struct process *p = process_find(s, r->head.id);
    struct session_run run;
    const char *script;
    size_t script_len, at;

    if (!take_run(r, &run, &script, &script_len))
        session_fail(s, "parts of a run");
    if (p == NULL)
        return; /* it died meanwhile, and its end has been told */
    if (p->state != PROCESS_READY)
        session_fail(s, "a run for a process that is not ready");
    at = sizeof run + script_len + 1;
    p->flags = run.flags;
    if ((run.flags & SESSION_SCRIPT) != 0 && (run.flags & SESSION_TEMPORARY) != 0)
        memcpy(p->script, script, script_len + 1);
    p->state = PROCESS_RUNNING;
    p->from_us = clock_now_us();
    /* The interpreter writes the script itself, as the run that it is.  One that has died before
     * says so over its status. */
    (void)fd_send(p->job, r->data + at, r->len - at, r->fds, r->nfds, NULL);
}

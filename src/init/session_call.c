/* session_call: calls on files, each served by a child.
 *
 * Runs in a session's init.  A call may wait for a disk, and reads what a stranger has made: so it
 * has a process of its own, with what it needs of our capabilities and nothing of our
 * descriptors. */
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "init/file.h"
#include "init/session_parts.h"

static struct file_started started[SESSION_PROCESSES];

static size_t list_started(const struct session *s)
{
    size_t n = 0;

    for (size_t i = 0; i < SESSION_PROCESSES; i++) {
        const struct process *p = &s->processes[i];

        if (p->state == PROCESS_RUNNING && p->pid != 0)
            started[n++] = (struct file_started){.pid = (uint32_t)p->pid, .id = p->id};
    }
    return n;
}

static pid_t *free_place(struct session *s)
{
    for (size_t i = 0; i < LIMIT_SESSION_CALLS; i++) {
        if (s->calls[i] == 0)
            return &s->calls[i];
    }
    return NULL;
}

void call_start(struct session *s, struct session_request *r)
{
    struct file_world world = {
        .root = s->root, .proc = STDOUT_FILENO, .owner = SANDBOX_UID_RUN, .started = started};
    const char *strings[SESSION_FILE_STRINGS];
    pid_t *place = free_place(s), pid;

    if (r->len < sizeof world.what || r->nfds != 1 ||
        session_strings(r->data + sizeof world.what, r->len - sizeof world.what, strings,
                        SESSION_FILE_STRINGS) != SESSION_FILE_STRINGS)
        session_fail(s, "parts of a call on files");
    if (place == NULL)
        return; /* the end of its stream, without a word, is the answer */
    memcpy(&world.what, r->data, sizeof world.what);
    world.path = strings[0];
    world.other = strings[1];
    world.stream = r->fds[0];
    pid = fork();
    if (pid == 0) {
        /* We are dumpable while a warm child joins. */
        if (prctl(PR_SET_DUMPABLE, 0) < 0 || dup2(s->proc, world.proc) < 0)
            _exit(1);
        world.nstarted = list_started(s);
        file_serve(&world);
    }
    if (pid > 0)
        *place = pid;
}

void call_died(struct session *s, pid_t pid)
{
    for (size_t i = 0; i < LIMIT_SESSION_CALLS; i++) {
        if (s->calls[i] == pid)
            s->calls[i] = 0;
    }
}

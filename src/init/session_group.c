/* session_group: who belongs to a process, found in /proc, and signalled.
 *
 * Runs in a session's init.  What it reads is the kernel's, but for names of programs, which are
 * hostile bytes: a line of stat is read from behind its last parenthesis.  Nobody here is believed
 * to stand still: a signal that ends is sent until nobody is left (process_keep).
 *
 * The /proc that it reads is mounted nowhere, so that no run sees it, and hides nobody.  The other
 * way would have been CAP_SYS_PTRACE, which gives whoever takes init over a hold on every process;
 * a second /proc gives him nothing that he cannot mount before.
 *
 * Pids can be used again between the look and the signal; the kernel hands them out in a circle, so
 * that takes a whole round of them, and whom it hits is of the same session (R42). */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "init/session_parts.h"

#define SEEN_MAX 8192 /* at a time; more than any limit on processes that was ever asked for */

struct seen {
    pid_t pid, parent, group, session;
    bool is_in;
};

static struct seen seen[SEEN_MAX];
static size_t nseen;

/* True if it is there, and alive. */
static bool read_one(const struct session *s, const char *pid, struct seen *ret)
{
    char name[32], text[512];
    _cleanup_fd_ int fd = -1;
    const char *end;
    ssize_t n;
    char state;

    snprintf(name, sizeof name, "%.16s/stat", pid);
    fd = openat(s->proc, name, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n <= 0)
        return false;
    text[n] = '\0';
    end = strrchr(text, ')');
    *ret = (struct seen){.pid = (pid_t)strtol(pid, NULL, 10)};
    return end != NULL &&
           sscanf(end + 1, " %c %d %d %d", &state, &ret->parent, &ret->group, &ret->session) == 4 &&
           state != 'Z' && state != 'X';
}

static void look(const struct session *s)
{
    int fd = openat(s->proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    nseen = 0;
    if (dir == NULL)
        session_fail(s, "cannot look at processes");
    while (nseen < SEEN_MAX && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9' &&
            read_one(s, entry->d_name, &seen[nseen]))
            nseen++;
    }
    closedir(dir);
}

static bool is_in(pid_t pid)
{
    /* In the order of pids, as /proc gives them. */
    size_t low = 0, high = nseen;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (seen[middle].pid < pid)
            low = middle + 1;
        else
            high = middle;
    }
    return low < nseen && seen[low].pid == pid && seen[low].is_in;
}

/* Marks all below the process; a kept one's are all below its keeper. */
static void mark(const struct process *p)
{
    bool changed = true;

    for (size_t i = 0; i < nseen; i++)
        seen[i].is_in = p->keeper != 0 ? seen[i].parent == p->keeper
                                       : seen[i].session == p->pid; /* the main process too */
    while (changed) {
        changed = false;
        for (size_t i = 0; i < nseen; i++) {
            if (!seen[i].is_in && is_in(seen[i].parent))
                changed = seen[i].is_in = true;
        }
    }
}

static size_t signal_marked(int signal)
{
    size_t n = 0;

    for (size_t i = 0; i < nseen; i++) {
        if (!seen[i].is_in)
            continue;
        n++;
        /* Its process group at once, under one lock of the kernel's, so that what forks meanwhile
         * dies too.  Whoever is in it is in the same session, so started by the same process. */
        if (signal == SIGKILL && seen[i].group > 1)
            kill(-seen[i].group, SIGKILL);
        kill(seen[i].pid, signal);
    }
    return n;
}

size_t group_signal(struct session *s, const struct process *p, int signal)
{
    look(s);
    if (p->keeper == 0 && p->pid == 0)
        return 0;
    mark(p);
    return signal_marked(signal);
}

static bool is_ours(const struct session *s, pid_t pid)
{
    for (size_t i = 0; i < SESSION_PROCESSES; i++) {
        if (s->processes[i].state != PROCESS_FREE && s->processes[i].keeper == pid)
            return true;
    }
    for (size_t i = 0; i < LIMIT_SESSION_CALLS; i++) {
        if (s->calls[i] == pid)
            return true;
    }
    return pid == 1 || pid == s->spare.pid;
}

void group_signal_all(struct session *s, int signal)
{
    if (signal == SIGKILL) {
        /* Everything but us at once.  Keepers too: their sockets tell us; of the one that waits we
         * know it before. */
        kill(-1, SIGKILL);
        keeper_dismiss(s);
        s->wants_keeper = true;
        return;
    }
    look(s);
    for (size_t i = 0; i < nseen; i++)
        seen[i].is_in = !is_ours(s, seen[i].pid);
    signal_marked(signal);
}

size_t group_count(struct session *s)
{
    look(s);
    return nseen - 1;
}

static bool is_known(const struct session *s, pid_t pid)
{
    for (size_t i = 0; i < SESSION_PROCESSES; i++) {
        if (s->processes[i].state != PROCESS_FREE && s->processes[i].pid == pid)
            return true;
    }
    return false;
}

pid_t group_stranger(struct session *s)
{
    pid_t found = 0;

    look(s);
    for (size_t i = 0; i < nseen; i++) {
        if (seen[i].parent != 0 || seen[i].pid == 1 || is_known(s, seen[i].pid))
            continue;
        if (found != 0)
            return 0;
        found = seen[i].pid;
    }
    return found;
}

/* file_processes: PROCESSES: every process of the sandbox that /proc shows.
 *
 * Runs in a child of a sandbox's init, for files under the uid of the programs: a /proc with
 * hidepid shows a process to its like (ptrace(2), PTRACE_MODE_READ_FSCREDS), so init needs no
 * CAP_SYS_PTRACE; one that has made itself undumpable is not seen.  What it reads is chosen by
 * strangers: names with blanks and brackets, arguments of any bytes.  Processes end meanwhile. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "init/file_internal.h"

#define STAT_BYTES    1024
#define COMMAND_BYTES 1024 /* of argv that are told */
#define ENTRY_CHUNK   4096
#define INIT_PID      1

/* Reads the beginning of /proc/PID/name; its length, or -1: it has ended. */
static ssize_t read_about(int dir, const char *name, char *out, size_t cap)
{
    _cleanup_fd_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, cap - 1);

    if (n >= 0)
        out[n] = '\0';
    return n;
}

/* proc_pid_stat(5): what is behind the last ')', since the name before it may hold anything. */
static int parse_stat(const char *text, struct file_process *p)
{
    const uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK);
    const char *behind = strrchr(text, ')');
    uint64_t user, system, start, now;
    struct timespec t;
    char state;

    if (behind == NULL || sscanf(behind,
                                 ") %c %" SCNu32 " %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64
                                 " %" SCNu64 " %*d %*d %*d %*d %*d %*d %" SCNu64,
                                 &state, &p->parent, &user, &system, &start) != 5)
        return -EIO;
    clock_gettime(CLOCK_BOOTTIME, &t);
    now = (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
    start = start * 1000000 / ticks;
    p->state = (unsigned char)state;
    p->cpu_us = (user + system) * 1000000 / ticks;
    p->started_us = now > start ? now - start : 0;
    return 0;
}

static uint64_t resident_bytes(int dir)
{
    char text[STAT_BYTES];
    uint64_t pages = 0;

    if (read_about(dir, "statm", text, sizeof text) <= 0 ||
        sscanf(text, "%*u %" SCNu64, &pages) != 1)
        return 0;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Whether it runs as the session's own user: init's helpers do not, and are nobody's business. */
static bool is_programs(const struct call *c, int dir)
{
    char text[STAT_BYTES];
    const char *line;
    uint32_t uid;

    if (read_about(dir, "status", text, sizeof text) <= 0)
        return false;
    line = strstr(text, "\nUid:");
    return line != NULL && sscanf(line, "\nUid: %" SCNu32, &uid) == 1 && uid == c->w->owner;
}

static void tell_process(struct call *c, int proc, uint32_t pid)
{
    char name[16], text[STAT_BYTES], command[COMMAND_BYTES];
    struct file_process p = {.pid = pid};
    _cleanup_fd_ int dir = -1;
    ssize_t n;

    snprintf(name, sizeof name, "%" PRIu32, pid);
    dir = openat(proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || !is_programs(c, dir) || read_about(dir, "stat", text, sizeof text) <= 0 ||
        parse_stat(text, &p) < 0)
        return;
    p.memory = resident_bytes(dir);
    for (size_t i = 0; i < c->w->nstarted; i++) {
        if (c->w->started[i].pid == pid)
            p.id = c->w->started[i].id;
    }
    n = read_about(dir, "cmdline", command, sizeof command);
    if (n < 0)
        n = 0;
    for (ssize_t i = 0; i < n; i++) {
        if (command[i] == '\0')
            command[i] = i + 1 < n ? ' ' : '\0';
    }
    call_frame(c, FILE_PROCESS, &p, command, strnlen(command, (size_t)n));
}

int file_processes(struct call *c)
{
    int from = c->w->proc > 0 ? c->w->proc : AT_FDCWD;
    _cleanup_fd_ int proc =
        openat(from, from >= 0 ? "." : "/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _Alignas(struct dirent) char chunk[ENTRY_CHUNK];
    const uint32_t self = (uint32_t)getpid();
    long n;

    if (proc < 0)
        return call_explain(c, errno, "/proc cannot be read");
    setfsgid(c->w->owner);
    setfsuid(c->w->owner);
    while ((n = syscall(SYS_getdents64, proc, chunk, sizeof chunk)) > 0) {
        for (long at = 0; at < n;) {
            const struct dirent *entry = (const void *)(chunk + at);
            uint32_t pid = (uint32_t)strtoul(entry->d_name, NULL, 10);

            at += entry->d_reclen;
            if (isdigit((unsigned char)entry->d_name[0]) && pid != self && pid != INIT_PID)
                tell_process(c, proc, pid);
        }
    }
    return 0;
}

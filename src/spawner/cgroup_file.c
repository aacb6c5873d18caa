/* cgroup_file: the file side of control groups.
 *
 * Runs in the spawner, as root.  Every path is made of a mount point of the kernel's own list and
 * names of our own; contents come from the kernel. */
#include "spawner/cgroup_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

#define KILL_ROUNDS   200 /* of 5 ms: a killed process may take a while to free its memory */
#define KILL_PAUSE_US 5000

int cgroup_file_open(const char *dir, const char *file, int flags, struct err *e)
{
    char path[CGROUP_PATH];
    int fd;

    snprintf(path, sizeof path, "%s/%s", dir, file);
    fd = open(path, flags | O_CLOEXEC);
    return fd < 0 ? err_set(e, ERR_INTERNAL, errno, "open %s", path) : fd;
}

int cgroup_file_write(const char *dir, const char *file, const char *text, struct err *e)
{
    _cleanup_fd_ int fd = cgroup_file_open(dir, file, O_WRONLY, e);

    if (fd < 0)
        return -1;
    if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        return err_set(e, ERR_INTERNAL, errno, "write '%s' to %s/%s", text, dir, file);
    return 0;
}

int cgroup_file_write_number(const char *dir, const char *file, int64_t number, struct err *e)
{
    char text[32];

    snprintf(text, sizeof text, "%lld", (long long)number);
    return cgroup_file_write(dir, file, text, e);
}

/* Start of the line that begins with `key` and a blank, behind the blank; NULL if there is none. */
static const char *find_line(const char *text, const char *key)
{
    size_t len = strlen(key);

    for (const char *line = text; line != NULL && *line != '\0';) {
        if (strncmp(line, key, len) == 0 && line[len] == ' ')
            return line + len + 1;
        line = strchr(line, '\n');
        if (line != NULL)
            line++;
    }
    return NULL;
}

int cgroup_file_number(int fd, const char *key, uint64_t *ret, struct err *e)
{
    char text[2048], *end;
    const char *start = text;
    ssize_t n = pread(fd, text, sizeof text - 1, 0);

    if (n < 0)
        return err_set(e, ERR_INTERNAL, errno, "read a group file");
    text[n] = '\0';
    if (key != NULL)
        start = find_line(text, key);
    if (start == NULL)
        return err_set(e, ERR_INTERNAL, 0, "group file without '%s'", key);
    *ret = strtoull(start, &end, 10);
    return end == start ? err_set(e, ERR_INTERNAL, 0, "group file without a number") : 0;
}

bool cgroup_file_mount(const char *type, const char *option, char *ret, size_t cap)
{
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    struct mntent *m;
    bool found = false;

    while (mounts != NULL && !found && (m = getmntent(mounts)) != NULL) {
        found = strcmp(m->mnt_type, type) == 0 && (option == NULL || hasmntopt(m, option) != NULL);
        if (found)
            snprintf(ret, cap, "%s", m->mnt_dir);
    }
    if (mounts != NULL)
        endmntent(mounts);
    return found;
}

bool cgroup_file_swap_is_on(void)
{
    char line[256];
    FILE *f = fopen("/proc/swaps", "re");
    int lines = 0;

    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        lines++;
    if (f != NULL)
        fclose(f);
    return lines > 1; /* the first is the heading */
}

/* Safe because: the pidfd is taken first and membership read again afterwards by the caller's
 * loop, so a recycled number can at worst hit a process that has entered this very group (R42). */
static void kill_pid(pid_t pid)
{
    _cleanup_fd_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

    if (pidfd >= 0)
        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

int cgroup_file_end(const char *dir)
{
    char path[CGROUP_PATH];
    FILE *procs;
    int pid, n = 0;

    snprintf(path, sizeof path, "%s/cgroup.procs", dir);
    procs = fopen(path, "re");
    while (procs != NULL && fscanf(procs, "%d", &pid) == 1) {
        kill_pid(pid);
        n++;
    }
    if (procs != NULL)
        fclose(procs);
    return n;
}

void cgroup_file_kill(const char *dir)
{
    for (int round = 0; round < KILL_ROUNDS && cgroup_file_end(dir) > 0; round++)
        usleep(KILL_PAUSE_US);
}

static void remove_group(const char *dir)
{
    cgroup_file_kill(dir);
    for (int round = 0; round < KILL_ROUNDS && rmdir(dir) < 0 && errno == EBUSY; round++)
        usleep(KILL_PAUSE_US);
}

void cgroup_file_sweep(const char *dir)
{
    char path[CGROUP_PATH + 256];
    DIR *stream = opendir(dir);
    struct dirent *entry;

    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        remove_group(path);
    }
    if (stream != NULL) {
        closedir(stream);
        remove_group(dir);
    }
}

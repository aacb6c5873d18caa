/* pidfd: numbers of processes, for the few things that /proc alone can give.
 *
 * Runs in the spawner and its worker.  Reads the kernel's text only. */
#include "spawner/pidfd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

/* The line "Pid:" of the descriptor, which only a pidfd has. */
static bool read_pid(int fd, int *ret)
{
    char path[64], line[128];
    bool found = false;
    FILE *f;

    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    f = fopen(path, "re");
    while (f != NULL && !found && fgets(line, sizeof line, f) != NULL)
        found = sscanf(line, "Pid:\t%d", ret) == 1;
    if (f != NULL)
        fclose(f);
    return found;
}

bool pidfd_is_one(int fd)
{
    int pid;

    return read_pid(fd, &pid);
}

pid_t pidfd_pid(int pidfd)
{
    int pid;

    return read_pid(pidfd, &pid) ? pid : -1;
}

int pidfd_is_alive(int pidfd)
{
    struct pollfd fd = {.fd = pidfd, .events = POLLIN};
    int n;

    /* A pending signal, as linger's, interrupts even a poll that does not wait. */
    do {
        n = poll(&fd, 1, 0);
    } while (n < 0 && errno == EINTR);
    return n == 0;
}

int pidfd_open_namespace(int pidfd, const char *kind, struct err *e)
{
    pid_t pid = pidfd_pid(pidfd);
    char path[64];
    int fd;

    snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, kind);
    if (pid <= 0)
        return err_set(e, ERR_CLOSED, ESRCH, "the sandbox has ended, or cannot be looked at");
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, ERR_CLOSED, errno, "open a namespace of a sandbox (%s)", kind);
    /* Safe because: it lived after the number had been used, so the number was its own. */
    if (pid > 0 && pidfd_is_alive(pidfd))
        return fd;
    close(fd);
    return err_set(e, ERR_CLOSED, ESRCH, "the sandbox has ended");
}

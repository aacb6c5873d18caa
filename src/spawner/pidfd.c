/* pidfd: numbers of processes, for the few things that /proc alone can give.
 *
 * Runs in the spawner and its worker.  Reads the kernel's text only. */
#include "spawner/pidfd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

pid_t pidfd_pid(int pidfd)
{
    char path[64], line[128];
    int pid = -1;
    FILE *f;

    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
    f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "Pid:\t%d", &pid) == 1)
            break;
    }
    if (f != NULL)
        fclose(f);
    return pid;
}

int pidfd_is_alive(int pidfd)
{
    struct pollfd fd = {.fd = pidfd, .events = POLLIN};

    return poll(&fd, 1, 0) == 0;
}

int pidfd_open_namespace(int pidfd, const char *kind, struct err *e)
{
    pid_t pid = pidfd_pid(pidfd);
    char path[64];
    int fd;

    snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, kind);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, ERR_CLOSED, errno, "open a namespace of a sandbox (%s)", kind);
    /* Safe because: it lived after the number had been used, so the number was its own. */
    if (pid > 0 && pidfd_is_alive(pidfd))
        return fd;
    close(fd);
    return err_set(e, ERR_CLOSED, ESRCH, "the sandbox has ended");
}

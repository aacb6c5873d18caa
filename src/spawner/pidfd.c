/* pidfd: numbers of processes, for the few things that /proc alone can give.
 *
 * Runs in the spawner and its worker.  Reads the kernel's text only. */
#include "spawner/pidfd.h"

#include <poll.h>
#include <stdio.h>

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

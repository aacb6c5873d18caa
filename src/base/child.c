/* child: waits for processes of ours.
 *
 * For the spawner and its workers; whatever the child was, only its wait status is looked at. */
#include "base/child.h"

#include <errno.h>
#include <sys/wait.h>

int child_reap(pid_t pid)
{
    int status;
    pid_t r;

    do
        r = waitpid(pid, &status, 0);
    while (r < 0 && errno == EINTR);
    return r == pid ? status : -1;
}

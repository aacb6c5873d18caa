/* freeze: the process that thaws.
 *
 * Started by the spawner, as root; it holds two descriptors, calls the kernel twice and ends. */
#include "spawner/freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/child.h"
#include "base/fd.h"

enum { GUARD_FS, GUARD_ALIVE }; /* its descriptors */

/* Of the spawner's it keeps none: neither the server's socket nor the lock, so that it holds nobody
 * up who comes after. */
static _Noreturn void become_guard(int fs, int alive)
{
    char byte;

    /* Through numbers above all that were the spawner's, so that neither overwrites the other. */
    if ((fs = fcntl(fs, F_DUPFD, GUARD_ALIVE + 1)) < 0 ||
        (alive = fcntl(alive, F_DUPFD, GUARD_ALIVE + 1)) < 0 || dup2(fs, GUARD_FS) < 0 ||
        dup2(alive, GUARD_ALIVE) < 0 || close_range(GUARD_ALIVE + 1, ~0u, 0) < 0)
        _exit(1);
    while (read(GUARD_ALIVE, &byte, 1) < 0 && errno == EINTR)
        ;
    /* EINVAL: the freezer has thawed it, or never froze it. */
    _exit(ioctl(GUARD_FS, FITHAW, 0) < 0 && errno != EINVAL);
}

int freeze_guard_start(struct freeze_guard *g, const char *dir, struct err *e)
{
    _cleanup_fd_ int fs = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int pipefd[2];

    if (fs < 0 || pipe2(pipefd, O_CLOEXEC) < 0)
        return err_set(e, ERR_INTERNAL, errno, "guard of a file system");
    g->pid = fork();
    if (g->pid == 0) {
        close(pipefd[1]);
        become_guard(fs, pipefd[0]);
    }
    close(pipefd[0]);
    g->alive = pipefd[1];
    if (g->pid > 0)
        return 0;
    g->pid = 0;
    fd_close(&g->alive);
    return err_set(e, ERR_INTERNAL, errno, "fork a guard");
}

void freeze_guard_release(struct freeze_guard *g)
{
    if (g->pid > 0)
        fd_close(&g->alive);
}

void freeze_guard_finish(struct freeze_guard *g)
{
    if (g->pid > 0)
        child_reap(g->pid); /* it has one call left to make */
    g->pid = 0;
}

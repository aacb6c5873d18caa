/* descent: keeps a nest from passing off somebody else's process as its sandbox.
 *
 * Runs in the spawner, as root, on a descriptor that a nest has sent and may have taken from
 * anywhere: from Linux 6.5 on a socket tells the pidfd of its other end (SO_PEERPIDFD), which is
 * the spawner itself.  Reads the kernel's text only. */
#include "spawner/descent.h"

#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "spawner/pidfd.h"

static bool is_same(int a, int b)
{
    struct stat first, second;

    return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

/* Safe because: a process never changes its pid namespace, nor that its parent; and what has ended
 * can be neither signalled nor entered. */
bool descent_is_sandbox(int pidfd, int nest)
{
    _cleanup_fd_ int theirs = -1;
    _cleanup_fd_ int above = -1;
    _cleanup_fd_ int own = -1;

    if (!pidfd_is_one(pidfd))
        return false;
    theirs = pidfd_open_namespace(pidfd, "pid", NULL);
    if (theirs < 0)
        return !pidfd_is_alive(pidfd);
    above = ioctl(theirs, NS_GET_PARENT);
    own = pidfd_open_namespace(nest, "pid", NULL);
    return above >= 0 && own >= 0 && is_same(above, own);
}

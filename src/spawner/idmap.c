/* idmap: idmapped mounts, so that ids on the disk stay plain while each nest has a range of its
 * own.
 *
 * Runs in the spawner's worker, as root.  See mount_setattr(2), MOUNT_ATTR_IDMAP; ext4 has it since
 * Linux 5.12, overlay upon such mounts since 5.19. */
#include "spawner/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/child.h"
#include "base/fd.h"
#include "spawner/pidfd.h"
#include "wire/spawn.h"

static int write_map(pid_t pid, const char *file, uint32_t n, struct err *e)
{
    char path[64], map[64];
    _cleanup_fd_ int fd = -1;

    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    snprintf(map, sizeof map, "0 %u %u\n", SPAWN_UID_NEST + n * SPAWN_UID_COUNT, SPAWN_UID_COUNT);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, map, strlen(map)) != (ssize_t)strlen(map))
        return err_set(e, ERR_INTERNAL, errno, "write %s", path);
    return 0;
}

/* The namespace of a child that only waits to be killed. */
static int open_namespace(int pidfd, uint32_t n, struct err *e)
{
    pid_t pid = pidfd_pid(pidfd);
    char path[64];
    int fd;

    if (pid <= 0 || write_map(pid, "uid_map", n, e) < 0 || write_map(pid, "gid_map", n, e) < 0)
        return pid <= 0 ? err_set(e, ERR_INTERNAL, 0, "find a child's number") : -1;
    snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? err_set(e, ERR_INTERNAL, errno, "open %s", path) : fd;
}

int idmap_open(uint32_t n, struct err *e)
{
    _cleanup_fd_ int pidfd = -1;
    struct clone_args args = {.flags = CLONE_NEWUSER | CLONE_PIDFD,
                              .pidfd = (uint64_t)(uintptr_t)&pidfd,
                              .exit_signal = SIGCHLD};
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    int fd;

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    if (pid < 0)
        return err_set(e, ERR_UNAVAILABLE, errno, "user namespace");
    fd = open_namespace(pidfd, n, e);
    /* Safe because: our own child, not reaped yet. */
    if (kill(pid, SIGKILL) < 0) {
        fd_close(&fd);
        return err_set(e, ERR_INTERNAL, errno, "end a child"); /* it goes with this worker */
    }
    child_reap(pid);
    return fd;
}

int idmap_clone(int userns, const char *dir, struct err *e)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
                              .userns_fd = (uint64_t)userns};
    _cleanup_fd_ int tree = open_tree(AT_FDCWD, dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    if (tree < 0)
        return err_set(e, ERR_INTERNAL, errno, "clone a mount");
    if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0)
        return err_set(e, ERR_UNAVAILABLE, errno,
                       "this kernel cannot show files with other ids (it takes Linux 5.19)");
    return fd_steal(&tree);
}

int idmap_act_as_nest(uint32_t n, struct err *e)
{
    uid_t id = SPAWN_UID_NEST + n * SPAWN_UID_COUNT;

    /* Without it, leaving 0 would take the capabilities over files (capabilities(7)). */
    if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) < 0)
        return err_set(e, ERR_INTERNAL, errno, "securebits");
    setfsgid(id);
    setfsuid(id);
    if ((uid_t)setfsuid((uid_t)-1) != id || (gid_t)setfsgid((gid_t)-1) != id)
        return err_set(e, ERR_INTERNAL, 0, "file-system ids");
    return 0;
}

void idmap_act_as_host(void)
{
    setfsuid(0);
    setfsgid(0);
}

/* mounts: the mount operations of nests and sandboxes.
 *
 * Runs in dunlin-init: in a nest's builder, and in the child that becomes a sandbox's pid 1, before
 * any untrusted code exists in them, with power over their own namespaces only.  What is inherited
 * from the stage is read-only and locked; only the mounts made here are writable. */
#include "enter/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

#ifndef OPEN_TREE_CLONE /* musl 1.2.3 has no <linux/mount.h> of its own */
#define OPEN_TREE_CLONE 1
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 4
#endif
#ifndef UMOUNT_NOFOLLOW
#define UMOUNT_NOFOLLOW 8
#endif

#define TMPFS_FLAGS (MS_NOSUID | MS_NODEV)
#define PROC_FLAGS  (MS_NOSUID | MS_NODEV | MS_NOEXEC)

int mounts_enter_nest(struct err *e)
{
    /* pivot_root(2) refuses a mount that was inherited from a more privileged namespace, so the
     * stage is cloned onto itself first; the clone keeps the locks of what lies beneath it. */
    _cleanup_fd_ int tree =
        (int)syscall(SYS_open_tree, AT_FDCWD, ".", OPEN_TREE_CLONE | AT_RECURSIVE | O_CLOEXEC);

    if (tree < 0)
        return err_set(e, ERR_INTERNAL, errno, "nest: open_tree");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return err_set(e, ERR_INTERNAL, errno, "nest: private mounts");
    if (syscall(SYS_move_mount, tree, "", AT_FDCWD, ".", MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
        fchdir(tree) < 0)
        return err_set(e, ERR_INTERNAL, errno, "nest: move_mount");
    /* The kernel allows a new proc only where a complete one can be seen already: before the host's
     * goes away. */
    if (mount("proc", "proc", "proc", PROC_FLAGS, NULL) < 0)
        return err_set(e, ERR_INTERNAL, errno, "nest: mount proc");
    if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH | UMOUNT_NOFOLLOW) < 0 ||
        chdir("/") < 0)
        return err_set(e, ERR_INTERNAL, errno, "nest: pivot_root");
    return 0;
}

uint64_t mounts_inodes(uint32_t workspace_mb)
{
    uint64_t inodes = (uint64_t)workspace_mb * 64;

    return inodes < 1024 ? 1024 : inodes;
}

static int mount_part(const char *dir, mode_t mode, uint32_t uid, const char *target, struct err *e)
{
    if (mkdir(dir, mode) < 0 || chmod(dir, mode) < 0 || chown(dir, uid, uid) < 0)
        return err_set(e, ERR_INTERNAL, errno, "sandbox: mkdir for %s", target);
    if (mount(dir, target, NULL, MS_BIND, NULL) < 0)
        return err_set(e, ERR_INTERNAL, errno, "sandbox: bind %s", target);
    return 0;
}

int mounts_enter_sandbox(const struct mounts_sandbox *m, struct err *e)
{
    char options[128];

    /* One tmpfs, so that one quota bounds everything a run can store (R53); it is mounted on
     * /dev/shm, where its parts are made, and the part that is /dev/shm then hides it. */
    snprintf(options, sizeof options, "mode=0755,size=%um,nr_inodes=%llu", m->workspace_mb,
             (unsigned long long)mounts_inodes(m->workspace_mb));
    if (mount("tmpfs", "/dev/shm", "tmpfs", TMPFS_FLAGS, options) < 0)
        return err_set(e, ERR_INTERNAL, errno, "sandbox: tmpfs of %u MiB", m->workspace_mb);
    if (mount_part("/dev/shm/work", 0755, m->uid, m->work_dir, e) < 0 ||
        (!m->keep_tmp && mount_part("/dev/shm/tmp", 01777, m->uid, "/tmp", e) < 0) ||
        mount_part("/dev/shm/shm", 01777, m->uid, "/dev/shm", e) < 0)
        return -1;
    if (mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
              "newinstance,ptmxmode=0666,mode=0600,max=16") < 0)
        return err_set(e, ERR_INTERNAL, errno, "sandbox: devpts");
    if (mount("proc", "/proc", "proc", PROC_FLAGS | MS_RDONLY, "hidepid=invisible,subset=pid") < 0)
        return err_set(e, ERR_INTERNAL, errno, "sandbox: proc");
    return 0;
}

int mounts_resize(const struct mounts_sandbox *m, struct err *e)
{
    char options[128];

    snprintf(options, sizeof options, "size=%um,nr_inodes=%llu", m->workspace_mb,
             (unsigned long long)mounts_inodes(m->workspace_mb));
    if (mount(NULL, m->work_dir, NULL, MS_REMOUNT | TMPFS_FLAGS, options) < 0)
        return err_set(e, ERR_LIMIT, errno, "sandbox: resize storage to %u MiB", m->workspace_mb);
    return 0;
}

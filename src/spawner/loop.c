/* loop: attaches an image file to a loop device and mounts it.
 *
 * Runs in the spawner's worker, as root.  The images were made by mke2fs and written to by the
 * kernel's ext4 only; sandboxes see files in them, never their bytes. */
#include "spawner/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/fd.h"

#define ATTEMPTS   64 /* others on this host look for free devices too */
#define LOOP_BLOCK 4096

static const struct {
    bool read_only;
    const char *options;
} uses[] = {
    [LOOP_LAYER] = {.read_only = true},
    /* Barriers and the background work on inode tables would be for nothing; what files are removed
     * gives its room back at once. */
    [LOOP_TARGET] = {.options = "discard,noinit_itable,nobarrier"},
    /* After an error nothing more is written, so that nothing more is lost. */
    [LOOP_WORKSPACE] = {.options = "discard,noinit_itable,errors=remount-ro"},
};

/* The number of a device that was free a moment ago. */
static int find_free(struct err *e)
{
    _cleanup_fd_ int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);

    return number < 0 ? err_set(e, ERR_UNAVAILABLE, errno,
                                "layers and workspaces need loop devices: /dev/loop-control")
                      : number;
}

/* Opens a loop device with `image` behind it; its path goes to out. */
static int attach(int image, bool read_only, char out[static 32], struct err *e)
{
    struct loop_config config = {.fd = (uint32_t)image, .block_size = LOOP_BLOCK};

    /* Direct reads keep the pages of a finished layer from being cached twice. */
    config.info.lo_flags =
        LO_FLAGS_AUTOCLEAR | (read_only ? LO_FLAGS_READ_ONLY | LO_FLAGS_DIRECT_IO : 0);
    for (int i = 0; i < ATTEMPTS; i++) {
        int number = find_free(e);
        _cleanup_fd_ int fd = -1;

        if (number < 0)
            return -1;
        snprintf(out, 32, "/dev/loop%d", number);
        fd = open(out, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
        if (fd < 0)
            return err_set(e, ERR_UNAVAILABLE, errno, "open %s", out);
        if (ioctl(fd, LOOP_CONFIGURE, &config) == 0)
            return fd_steal(&fd);
        if (errno != EBUSY)
            return err_set(e, ERR_INTERNAL, errno, "set %s up", out);
    }
    return err_set(e, ERR_UNAVAILABLE, 0, "no free loop device after %d attempts", ATTEMPTS);
}

/* The lock is the open file's, and the loop device keeps that open: nobody else gets it before the
 * last mount of the device is gone, whoever dies. */
static int lock(int image, struct err *e)
{
    if (flock(image, LOCK_EX | LOCK_NB) == 0)
        return 0;
    return err_set(e, ERR_UNAVAILABLE, errno == EWOULDBLOCK ? EAGAIN : errno,
                   "the workspace is still in use");
}

int loop_mount(const char *file, const char *dir, enum loop_use use, struct err *e)
{
    bool read_only = uses[use].read_only;
    unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOATIME | (read_only ? MS_RDONLY : 0);
    char device[32];
    /* Safe because: root alone reaches this directory; the file is not a link of anybody else's. */
    _cleanup_fd_ int image = open(file, (read_only ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_fd_ int loop = -1;

    if (image < 0)
        return err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_INTERNAL, errno, "open the image");
    if (use == LOOP_WORKSPACE && lock(image, e) < 0)
        return -1;
    loop = attach(image, read_only, device, e);
    if (loop < 0)
        return -1;
    if (mount(device, dir, "ext4", flags, uses[use].options) < 0)
        return err_set(e, ERR_INTERNAL, errno, "mount the image");
    return 0;
}

void loop_unmount(const char *dir)
{
    while (umount2(dir, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
        ;
    rmdir(dir);
}

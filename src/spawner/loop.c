/* loop: attaches an image file to a loop device and mounts it.
 *
 * Runs in the spawner's worker, as root.  The images were made by mke2fs and written to by the
 * kernel's ext4 only; sandboxes see files in them, never their bytes. */
#include "spawner/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/fd.h"

#define ATTEMPTS   64 /* others on this host look for free devices too */
#define LOOP_BLOCK 4096

/* A target is worthless after a crash, so barriers and the background work on inode tables would be
 * for nothing; what files are removed gives its room back at once. */
#define TARGET_OPTIONS "discard,noinit_itable,nobarrier"

/* The number of a device that was free a moment ago. */
static int find_free(struct err *e)
{
    _cleanup_fd_ int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);

    return number < 0 ? err_set(e, ERR_UNAVAILABLE, errno,
                                "environments need loop devices: /dev/loop-control")
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

int loop_mount(const char *file, const char *dir, bool read_only, struct err *e)
{
    unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOATIME | (read_only ? MS_RDONLY : 0);
    char device[32];
    /* Safe because: root alone reaches this directory; the file is not a link of anybody else's. */
    _cleanup_fd_ int image = open(file, (read_only ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_fd_ int loop = image < 0 ? -1 : attach(image, read_only, device, e);

    if (image < 0)
        return err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_INTERNAL, errno, "open the image");
    if (loop < 0)
        return -1;
    if (mount(device, dir, "ext4", flags, read_only ? NULL : TARGET_OPTIONS) < 0)
        return err_set(e, ERR_INTERNAL, errno, "mount the image");
    return 0;
}

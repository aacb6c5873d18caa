/* workspace_copy: copies an image of one moment.
 *
 * Runs in the spawner's worker, as root.  A workspace that is closed is locked meanwhile; one that
 * is open is frozen: its writers wait, and its journal is empty.  Whoever ends this process while
 * it is frozen: the guard that the spawner has put beside it (freeze.h) thaws it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "spawner/image.h"
#include "spawner/workspace.h"

/* Blocks that cannot be shared must leave room: on a disk that is full what others have written
 * into their workspaces is lost. */
static int copy_bytes(int from, int to, struct err *e)
{
    struct stat st;

    if (ioctl(to, FICLONE, from) == 0)
        return 0;
    if (fstat(from, &st) < 0)
        return err_set(e, ERR_INTERNAL, errno, "size of the image");
    if (workspace_check_disk(to, (uint64_t)st.st_blocks * ST_BLOCK_BYTES, e) < 0)
        return -1;
    return image_copy(from, to, e);
}

static int copy_closed(int from, int to, struct err *e)
{
    if (flock(from, LOCK_EX | LOCK_NB) < 0)
        return err_set(e, ERR_UNAVAILABLE, errno == EWOULDBLOCK ? EAGAIN : errno,
                       "the workspace is still in use");
    return copy_bytes(from, to, e);
}

static int copy_open(uint64_t number, int from, int to, struct err *e)
{
    char dir[WORKSPACE_NAME];
    _cleanup_fd_ int fd = -1;
    int r;

    workspace_dir(number, dir);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    /* What is written down before need not be while its writers wait. */
    if (fd < 0 || syncfs(fd) < 0)
        return err_set(e, ERR_INTERNAL, errno, "write the workspace down");
    if (ioctl(fd, FIFREEZE, 0) < 0)
        return err_set(e, ERR_INTERNAL, errno, "freeze the workspace");
    r = copy_bytes(from, to, e);
    if (ioctl(fd, FITHAW, 0) < 0)
        return err_set(e, ERR_INTERNAL, errno, "thaw the workspace");
    return r;
}

static int publish(const struct spawn_config *c, const char *part, uint64_t other,
                   uint64_t *ret_bytes, struct err *e)
{
    char path[IMAGE_PATH];

    image_path(c, WORKSPACE_FOLDER, other, "", path);
    if (image_settle(c, WORKSPACE_FOLDER, part, ret_bytes, e) < 0)
        return -1;
    if (rename(part, path) < 0)
        return err_set(e, ERR_INTERNAL, errno, "rename the copy");
    return image_settle(c, WORKSPACE_FOLDER, path, ret_bytes, e);
}

int workspace_copy(const struct spawn_config *c, uint64_t number, uint64_t other, bool is_open,
                   uint64_t *ret_bytes, struct err *e)
{
    char path[IMAGE_PATH], part[IMAGE_PATH];
    _cleanup_fd_ int from = -1;
    _cleanup_fd_ int to = -1;

    image_path(c, WORKSPACE_FOLDER, other, "", path);
    if (access(path, F_OK) == 0)
        return err_set(e, ERR_EXISTS, EEXIST, "workspace %" PRIu64, other);
    image_path(c, WORKSPACE_FOLDER, number, "", path);
    image_path(c, WORKSPACE_FOLDER, other, IMAGE_PART, part);
    if ((from = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)) < 0)
        return err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_INTERNAL, errno,
                       "workspace %" PRIu64, number);
    to = open(part, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (to < 0)
        return err_set(e, ERR_INTERNAL, errno, "make the copy");
    if ((is_open ? copy_open(number, from, to, e) : copy_closed(from, to, e)) == 0 &&
        publish(c, part, other, ret_bytes, e) == 0)
        return 0;
    unlink(part);
    return err_prefix(e, "workspace %" PRIu64, number);
}

/* image: names, makes, lists and removes image files.
 *
 * Runs in the spawner's worker, as root (image_prepare: in the spawner, before it serves).  Every
 * path is made of the operator's data directory and numbers that were checked.  A tree in an image
 * is hostile: its root is opened without following a link.  Clients may read its errors, so that
 * they name no path of the host. */
#include "spawner/image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

#define PIECE_BYTES (64u << 20) /* at a time */

void image_path(const struct spawn_config *c, const char *folder, uint64_t number,
                const char *suffix, char out[static IMAGE_PATH])
{
    snprintf(out, IMAGE_PATH, "%s/%s/%" PRIu64 ".img%s", c->data, folder, number, suffix);
}

int image_open_folder(const struct spawn_config *c, const char *folder, struct err *e)
{
    char path[IMAGE_PATH];
    int fd;

    snprintf(path, sizeof path, "%s/%s", c->data, folder);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? err_set(e, ERR_INTERNAL, errno, "open %s", folder) : fd;
}

/* NULL and e. */
static DIR *list_folder(const struct spawn_config *c, const char *folder, struct err *e)
{
    int fd = image_open_folder(c, folder, e);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);

    if (fd >= 0 && stream == NULL) {
        err_set(e, ERR_INTERNAL, errno, "list %s", folder);
        close(fd);
    }
    return stream;
}

/* Safe because: never a directory, and through a descriptor of the folder, so that no link is
 * followed (R30). */
static int remove_files(const struct spawn_config *c, const char *folder, const char *suffix,
                        struct err *e)
{
    DIR *stream = list_folder(c, folder, e);
    struct dirent *entry;

    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        size_t len = strlen(entry->d_name), want = strlen(suffix);

        if (len >= want && strcmp(entry->d_name + len - want, suffix) == 0)
            unlinkat(dirfd(stream), entry->d_name, 0); /* not . and .., which are directories */
    }
    return stream == NULL ? -1 : closedir(stream);
}

int image_prepare(const struct spawn_config *c, const char *folder, const char *suffix,
                  struct err *e)
{
    char path[IMAGE_PATH];

    snprintf(path, sizeof path, "%s/%s", c->data, folder);
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return err_set(e, ERR_INTERNAL, errno, "mkdir %s", path);
    return remove_files(c, folder, suffix, e);
}

int image_make(const char *path, uint64_t bytes, struct err *e)
{
    _cleanup_fd_ int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_set(e, errno == EEXIST ? ERR_EXISTS : ERR_INTERNAL, errno, "make the image");
    if (ftruncate(fd, (off_t)bytes) < 0) {
        err_set(e, ERR_INTERNAL, errno, "make the image");
        unlink(path);
        return -1;
    }
    return 0;
}

/* By sendfile(2), which also copies between file systems. */
static int copy_range(int from, int to, off_t offset, off_t end, struct err *e)
{
    if (lseek(to, offset, SEEK_SET) < 0)
        return err_set(e, ERR_INTERNAL, errno, "copy the image");
    while (offset < end) {
        size_t want = end - offset < PIECE_BYTES ? (size_t)(end - offset) : PIECE_BYTES;
        ssize_t n = sendfile(to, from, &offset, want);

        if (n < 0)
            return err_set(e, errno == ENOSPC ? ERR_LIMIT : ERR_INTERNAL, errno, "copy the image");
        if (n == 0)
            return err_set(e, ERR_INTERNAL, EIO, "the image has become shorter");
    }
    return 0;
}

int image_copy(int from, int to, struct err *e)
{
    struct stat st;
    off_t data = 0;

    if (fstat(from, &st) < 0 || ftruncate(to, st.st_size) < 0)
        return err_set(e, ERR_INTERNAL, errno, "size of the copy");
    while ((data = lseek(from, data, SEEK_DATA)) >= 0) {
        off_t hole = lseek(from, data, SEEK_HOLE);

        if (hole < 0)
            break;
        if (copy_range(from, to, data, hole, e) < 0)
            return -1;
        data = hole;
    }
    return errno == ENXIO ? 0 : err_set(e, ERR_INTERNAL, errno, "find the data of the image");
}

int image_settle(const struct spawn_config *c, const char *folder, const char *path,
                 uint64_t *ret_bytes, struct err *e)
{
    _cleanup_fd_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_fd_ int dir = image_open_folder(c, folder, e);
    struct stat st;

    if (dir < 0)
        return -1;
    if (fd < 0 || fsync(fd) < 0 || fsync(dir) < 0 || fstat(fd, &st) < 0)
        return err_set(e, ERR_INTERNAL, errno, "write the image");
    *ret_bytes = (uint64_t)st.st_blocks * ST_BLOCK_BYTES;
    return 0;
}

int image_remove(const struct spawn_config *c, const char *folder, uint64_t number, struct err *e)
{
    static const char *const suffixes[] = {IMAGE_PART, ""};

    for (size_t i = 0; i < 2; i++) {
        char path[IMAGE_PATH];

        image_path(c, folder, number, suffixes[i], path);
        if (unlink(path) < 0 && errno != ENOENT)
            return err_set(e, ERR_INTERNAL, errno, "remove image %" PRIu64, number);
    }
    return 0;
}

/* The number in "<number>.img", 0 for any other name. */
static uint64_t number_of(const char *name)
{
    char *end;
    uint64_t n = name[0] >= '1' && name[0] <= '9' ? strtoull(name, &end, 10) : 0;

    return n != 0 && n < SPAWN_NUMBER && strcmp(end, ".img") == 0 ? n : 0;
}

int image_next(const struct spawn_config *c, const char *folder, uint64_t after, uint64_t *ret,
               struct err *e)
{
    DIR *stream = list_folder(c, folder, e);
    struct dirent *entry;

    *ret = 0;
    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        uint64_t n = number_of(entry->d_name);

        if (n > after && (*ret == 0 || n < *ret))
            *ret = n;
    }
    return stream == NULL ? -1 : closedir(stream);
}

/* Safe because: whoever filled the image may have put a link there; it is not followed. */
int image_show_root(const char *dir, struct err *e)
{
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV};
    _cleanup_fd_ int top = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_fd_ int root = (int)syscall(SYS_openat2, top, "root", &how, sizeof how);
    _cleanup_fd_ int tree = -1;

    if (root < 0)
        return err_set(e, ERR_INVALID, errno, "the image has no directory root");
    tree = open_tree(root, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    if (tree < 0 || move_mount(tree, "", AT_FDCWD, dir, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return err_set(e, ERR_INTERNAL, errno, "show the root of an image");
    return 0;
}

/* layer: makes, mounts, finishes and removes image files.
 *
 * Runs in the spawner's worker, as root (layer_prepare: in the spawner, before it serves).  Every
 * path is made of the operator's data directory and numbers that were checked.  A tree in an image
 * is hostile: its root is opened without following a link, and mounted read-only from then on.
 * Clients may read its errors, so that they name layers and no path of the host. */
#include "spawner/layer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "spawner/execute.h"
#include "spawner/loop.h"

#define MKE2FS         "/sbin/mke2fs"
#define SEAL_POLLS     500 /* of 10 ms: how long the last process of a nest may be on its way out */
#define SEAL_PAUSE_US  10000
#define BLOCK_BYTES    "4096"
#define INODE_RATIO    "8192" /* packages of Python and node are made of small files */
#define ST_BLOCK_BYTES 512
/* What is not finished has another name, so that nothing can be made from it: the kernel shall not
 * read a file system that is still written to, or that a crash has cut off. */
#define PART ".part"

static const char *const host_layers[] = {[SPAWN_HOST_BASE] = "base", [SPAWN_HOST_TOOLS] = "tools"};

static void image_path(const struct spawn_config *c, uint64_t layer, const char *suffix,
                       char out[static LAYER_PATH])
{
    snprintf(out, LAYER_PATH, "%s/layers/%" PRIu64 ".img%s", c->data, layer, suffix);
}

static int open_directory(const struct spawn_config *c, const char *name, struct err *e)
{
    char path[LAYER_PATH];
    int fd;

    snprintf(path, sizeof path, "%s/%s", c->data, name);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? err_set(e, ERR_INTERNAL, errno, "open %s", name) : fd;
}

/* NULL and e. */
static DIR *list_directory(const struct spawn_config *c, const char *name, struct err *e)
{
    int fd = open_directory(c, name, e);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);

    if (fd >= 0 && stream == NULL) {
        err_set(e, ERR_INTERNAL, errno, "list %s", name);
        close(fd);
    }
    return stream;
}

/* Removes the files whose names end in `suffix`.  Safe because: never a directory, and through a
 * descriptor of the directory, so that no link is followed (R30). */
static int remove_files(const struct spawn_config *c, const char *name, const char *suffix,
                        struct err *e)
{
    DIR *stream = list_directory(c, name, e);
    struct dirent *entry;

    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        size_t len = strlen(entry->d_name), want = strlen(suffix);

        if (len >= want && strcmp(entry->d_name + len - want, suffix) == 0)
            unlinkat(dirfd(stream), entry->d_name, 0); /* not . and .., which are directories */
    }
    return stream == NULL ? -1 : closedir(stream);
}

int layer_prepare(const struct spawn_config *c, struct err *e)
{
    static const char *const names[] = {"layers", "imports"};

    for (size_t i = 0; i < 2; i++) {
        char path[LAYER_PATH];

        snprintf(path, sizeof path, "%s/%s", c->data, names[i]);
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            return err_set(e, ERR_INTERNAL, errno, "mkdir %s", path);
    }
    return remove_files(c, "layers", ".img" PART, e) < 0 ? -1 : remove_files(c, "imports", "", e);
}

static bool exists(const struct spawn_config *c, uint64_t layer)
{
    char path[LAYER_PATH];

    image_path(c, layer, "", path);
    return access(path, F_OK) == 0;
}

/* -- new ones ---------------------------------------------------------------------------------- */

/* An empty sparse file of this size, which did not exist. */
static int make_file(const char *path, uint32_t mb, struct err *e)
{
    _cleanup_fd_ int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_set(e, errno == EEXIST ? ERR_EXISTS : ERR_INTERNAL, errno, "make the image");
    if (ftruncate(fd, (off_t)mb << 20) < 0) {
        err_set(e, ERR_INTERNAL, errno, "make the image");
        unlink(path);
        return -1;
    }
    return 0;
}

static int make_file_system(const char *path, struct err *e)
{
    const char *const argv[] = {MKE2FS, "-q",
                                "-t",   "ext4",
                                "-O",   "^has_journal,^resize_inode",
                                "-E",   "lazy_itable_init=1,nodiscard,root_owner=0:0",
                                "-m",   "0",
                                "-b",   BLOCK_BYTES,
                                "-i",   INODE_RATIO,
                                path,   NULL};

    return execute(argv, e);
}

static int make_directories(const char *dir, struct err *e)
{
    _cleanup_fd_ int fd = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 || fchmodat(fd, ".", 0755, 0) < 0 || mkdirat(fd, "root", 0755) < 0 ||
        mkdirat(fd, "work", 0755) < 0)
        return err_set(e, ERR_INTERNAL, errno, "lay a new layer out");
    return 0;
}

int layer_create(const struct spawn_config *c, uint64_t layer, uint32_t mb, const char *dir,
                 struct err *e)
{
    char path[LAYER_PATH];

    image_path(c, layer, PART, path);
    if (exists(c, layer))
        return err_set(e, ERR_EXISTS, EEXIST, "layer %" PRIu64, layer);
    if (make_file(path, mb, e) < 0)
        return err_prefix(e, "layer %" PRIu64, layer);
    if (make_file_system(path, e) == 0 && loop_mount(path, dir, false, e) == 0 &&
        make_directories(dir, e) == 0)
        return 0;
    unlink(path);
    return err_prefix(e, "layer %" PRIu64, layer);
}

/* What a file takes up, once it and its name are safe on the disk. */
static int settle(const struct spawn_config *c, const char *path, uint64_t *ret_bytes,
                  struct err *e)
{
    _cleanup_fd_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_fd_ int dir = open_directory(c, "layers", e);
    struct stat st;

    if (dir < 0)
        return -1;
    if (fd < 0 || fsync(fd) < 0 || fsync(dir) < 0 || fstat(fd, &st) < 0)
        return err_set(e, ERR_INTERNAL, errno, "write the image of the layer");
    *ret_bytes = (uint64_t)st.st_blocks * ST_BLOCK_BYTES;
    return 0;
}

/* Gives a complete file the name under which it can be used. */
static int publish(const struct spawn_config *c, uint64_t layer, uint64_t *ret_bytes, struct err *e)
{
    char part[LAYER_PATH], path[LAYER_PATH];

    image_path(c, layer, PART, part);
    image_path(c, layer, "", path);
    if (settle(c, part, ret_bytes, e) < 0)
        return -1;
    if (rename(part, path) < 0)
        return err_set(e, ERR_INTERNAL, errno, "rename the image of the layer");
    return settle(c, path, ret_bytes, e);
}

int layer_seal(const struct spawn_config *c, uint64_t layer, const char *dir, int fd,
               uint64_t *ret_bytes, struct err *e)
{
    int r = -1;

    if (syncfs(fd) < 0)
        return err_set(e, ERR_INTERNAL, errno, "the layer could not be written");
    for (int i = 0; i < SEAL_POLLS && r < 0; i++) {
        r = mount(NULL, dir, NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL);
        if (r < 0 && errno == EBUSY)
            usleep(SEAL_PAUSE_US);
        else if (r < 0)
            break;
    }
    if (r < 0)
        return err_set(e, ERR_INTERNAL, errno, "the layer could not be finished");
    return publish(c, layer, ret_bytes, e);
}

int layer_make_host(const struct spawn_config *c, uint64_t layer, uint32_t which,
                    uint64_t *ret_bytes, struct err *e)
{
    char program[SPAWN_PATH + 32], part[LAYER_PATH];
    const char *const argv[] = {program, "layer", "--which", host_layers[which],
                                "--out", part,    NULL};

    snprintf(program, sizeof program, "%s/system/system-image", c->programs);
    image_path(c, layer, PART, part);
    if (exists(c, layer))
        return err_set(e, ERR_EXISTS, EEXIST, "layer %" PRIu64, layer);
    unlink(part);
    if (execute(argv, e) == 0 &&
        (chmod(part, 0600) == 0 ||
         err_set(e, ERR_INTERNAL, errno, "close the image of the layer") == 0) &&
        publish(c, layer, ret_bytes, e) == 0)
        return 0;
    unlink(part);
    return -1;
}

/* -- finished ones ----------------------------------------------------------------------------- */

/* Mounts the directory root of the file system on `dir` over it, so that this is all that can be
 * seen.  Safe because: whoever filled the image may have put a link there; it is not followed. */
static int show_root_only(const char *dir, struct err *e)
{
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV};
    _cleanup_fd_ int top = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_fd_ int root = (int)syscall(SYS_openat2, top, "root", &how, sizeof how);
    _cleanup_fd_ int tree = -1;

    if (root < 0)
        return err_set(e, ERR_INVALID, errno, "the layer has no directory root");
    tree = open_tree(root, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    if (tree < 0 || move_mount(tree, "", AT_FDCWD, dir, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return err_set(e, ERR_INTERNAL, errno, "show a layer's root");
    return 0;
}

int layer_mount(const struct spawn_config *c, uint64_t layer, const char *dir, struct err *e)
{
    char path[LAYER_PATH];

    image_path(c, layer, "", path);
    if (loop_mount(path, dir, true, e) == 0 && show_root_only(dir, e) == 0)
        return 0;
    return err_prefix(e, "layer %" PRIu64, layer);
}

void layer_unmount(const char *dir)
{
    while (umount2(dir, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
        ;
    rmdir(dir);
}

int layer_remove(const struct spawn_config *c, uint64_t layer, struct err *e)
{
    static const char *const suffixes[] = {PART, ""};

    for (size_t i = 0; i < 2; i++) {
        char path[LAYER_PATH];

        image_path(c, layer, suffixes[i], path);
        if (unlink(path) < 0 && errno != ENOENT)
            return err_set(e, ERR_INTERNAL, errno, "remove layer %" PRIu64, layer);
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

int layer_next(const struct spawn_config *c, uint64_t after, uint64_t *ret, struct err *e)
{
    DIR *stream = list_directory(c, "layers", e);
    struct dirent *entry;

    *ret = 0;
    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        uint64_t n = number_of(entry->d_name);

        if (n > after && (*ret == 0 || n < *ret))
            *ret = n;
    }
    return stream == NULL ? -1 : closedir(stream);
}

/* -- imports ----------------------------------------------------------------------------------- */

int layer_open_input(const struct spawn_config *c, uint64_t number, struct err *e)
{
    _cleanup_fd_ int dir = open_directory(c, "imports", e);
    _cleanup_fd_ int fd = -1;
    char name[24];
    struct stat st;

    if (dir < 0)
        return -1;
    snprintf(name, sizeof name, "%" PRIu64, number);
    fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, ERR_NOT_FOUND, errno, "import %s", name);
    /* The server may write here, and the sandbox is somebody else.  Safe because: a plain file with
     * no other name, in a directory that others cannot enter. */
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1 || fchmod(fd, 0444) < 0)
        return err_set(e, ERR_INVALID, errno, "import %s is not a plain file", name);
    return fd_steal(&fd);
}

int layer_remove_input(const struct spawn_config *c, uint64_t number, struct err *e)
{
    _cleanup_fd_ int dir = open_directory(c, "imports", e);
    char name[24];

    snprintf(name, sizeof name, "%" PRIu64, number);
    if (dir < 0)
        return -1;
    if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
        return err_set(e, ERR_INTERNAL, errno, "remove import %s", name);
    return 0;
}

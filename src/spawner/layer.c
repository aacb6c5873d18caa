/* layer: makes, mounts, finishes and removes image files.
 *
 * Runs in the spawner's worker, as root (layer_prepare: in the spawner, before it serves).  Every
 * path is made of the operator's data directory and numbers that were checked.  A tree in an image
 * is hostile: its root is opened without following a link, and mounted read-only from then on.
 * Clients may read its errors, so that they name layers and no path of the host. */
#include "spawner/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "spawner/execute.h"
#include "spawner/image.h"
#include "spawner/loop.h"

#define SEAL_POLLS    500 /* of 10 ms: how long the last process of a nest may be on its way out */
#define SEAL_PAUSE_US 10000
#define INODE_RATIO   "8192" /* packages of Python and node are made of small files */
#define FOLDER        "layers"
#define IMPORTS       "imports"

static const char *const host_layers[] = {[SPAWN_HOST_BASE] = "base", [SPAWN_HOST_TOOLS] = "tools"};

int layer_prepare(const struct spawn_config *c, struct err *e)
{
    return image_prepare(c, FOLDER, ".img" IMAGE_PART, e) < 0 ? -1
                                                              : image_prepare(c, IMPORTS, "", e);
}

static bool exists(const struct spawn_config *c, uint64_t layer)
{
    char path[IMAGE_PATH];

    image_path(c, FOLDER, layer, "", path);
    return access(path, F_OK) == 0;
}

/* -- new ones ---------------------------------------------------------------------------------- */

static int make_file_system(const char *path, struct err *e)
{
    const char *const argv[] = {IMAGE_MKE2FS, "-q",
                                "-t",         "ext4",
                                "-O",         "^has_journal,^resize_inode",
                                "-E",         "lazy_itable_init=1,nodiscard,root_owner=0:0",
                                "-m",         "0",
                                "-b",         IMAGE_BLOCK_S,
                                "-i",         INODE_RATIO,
                                path,         NULL};

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
    char path[IMAGE_PATH];

    image_path(c, FOLDER, layer, IMAGE_PART, path);
    if (exists(c, layer))
        return err_set(e, ERR_EXISTS, EEXIST, "layer %" PRIu64, layer);
    if (image_make(path, (uint64_t)mb << 20, e) < 0)
        return err_prefix(e, "layer %" PRIu64, layer);
    if (make_file_system(path, e) == 0 && loop_mount(path, dir, LOOP_TARGET, e) == 0 &&
        make_directories(dir, e) == 0)
        return 0;
    unlink(path);
    return err_prefix(e, "layer %" PRIu64, layer);
}

/* Gives a complete file the name under which it can be used. */
static int publish(const struct spawn_config *c, uint64_t layer, uint64_t *ret_bytes, struct err *e)
{
    char part[IMAGE_PATH], path[IMAGE_PATH];

    image_path(c, FOLDER, layer, IMAGE_PART, part);
    image_path(c, FOLDER, layer, "", path);
    if (image_settle(c, FOLDER, part, ret_bytes, e) < 0)
        return -1;
    if (rename(part, path) < 0)
        return err_set(e, ERR_INTERNAL, errno, "rename the image of the layer");
    return image_settle(c, FOLDER, path, ret_bytes, e);
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
    char program[SPAWN_PATH + 32], part[IMAGE_PATH];
    const char *const argv[] = {program, "layer", "--which", host_layers[which],
                                "--out", part,    NULL};

    snprintf(program, sizeof program, "%s/system/system-image", c->programs);
    image_path(c, FOLDER, layer, IMAGE_PART, part);
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

int layer_mount(const struct spawn_config *c, uint64_t layer, const char *dir, struct err *e)
{
    char path[IMAGE_PATH];

    image_path(c, FOLDER, layer, "", path);
    if (loop_mount(path, dir, LOOP_LAYER, e) == 0 && image_show_root(dir, e) == 0)
        return 0;
    return err_prefix(e, "layer %" PRIu64, layer);
}

int layer_remove(const struct spawn_config *c, uint64_t layer, struct err *e)
{
    return image_remove(c, FOLDER, layer, e);
}

int layer_next(const struct spawn_config *c, uint64_t after, uint64_t *ret, struct err *e)
{
    return image_next(c, FOLDER, after, ret, e);
}

/* -- imports ----------------------------------------------------------------------------------- */

int layer_open_input(const struct spawn_config *c, uint64_t number, struct err *e)
{
    _cleanup_fd_ int dir = image_open_folder(c, IMPORTS, e);
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
    _cleanup_fd_ int dir = image_open_folder(c, IMPORTS, e);
    char name[24];

    snprintf(name, sizeof name, "%" PRIu64, number);
    if (dir < 0)
        return -1;
    if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
        return err_set(e, ERR_INTERNAL, errno, "remove import %s", name);
    return 0;
}

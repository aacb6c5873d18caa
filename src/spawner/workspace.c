/* workspace: makes, mounts, grows and removes the file systems of sessions.
 *
 * Runs in the spawner's worker, as root, in the stage directory (workspace_prepare: in the spawner,
 * before it serves).  Every path is made of the operator's data directory and checked numbers.  The
 * images are made by mke2fs and written to by the kernel's ext4 only: what is hostile in them are
 * names and contents beneath root/, which nothing here looks at. */
#include "spawner/workspace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"
#include "spawner/execute.h"
#include "spawner/image.h"
#include "spawner/loop.h"
#include "spawner/workspace_size.h"
#include "wire/nest.h"

/* What must be free on the host's disk for a new one: it takes about 200 KiB, and a full disk shall
 * not be found out in the middle. */
#define DISK_FREE_MIN (16u << 20)
/* Larger ones have more groups than shall be described in memory: 4 MiB for each TiB. */
#define MEMORY_BLOCKS_MAX ((UINT64_C(1) << 40) / IMAGE_BLOCK)
#define DRAFT_PATH        (WORKSPACE_NAME + 8)
#define TEXT(x)           #x
#define DECIMAL(x)        TEXT(x)
/* Named one by one, so that no configuration of the host's mke2fs moves a block. */
#define FEATURES                                                                                   \
    "none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,"   \
    "huge_file,dir_nlink,extra_isize,metadata_csum"

int workspace_prepare(const struct spawn_config *c, struct err *e)
{
    return image_prepare(c, WORKSPACE_FOLDER, ".img" IMAGE_PART, e);
}

void workspace_dir(uint64_t number, char out[static WORKSPACE_NAME])
{
    snprintf(out, WORKSPACE_NAME, "w%" PRIu64, number);
}

static void path_of(const struct spawn_config *c, uint64_t number, char out[static IMAGE_PATH])
{
    image_path(c, WORKSPACE_FOLDER, number, "", out);
}

/* -- the quota --------------------------------------------------------------------------------- */

/* The name under which ext4 shows the file system of `dir` in /sys. */
static int device_name(const char *dir, char out[static NAME_MAX], struct err *e)
{
    char path[64], link[PATH_MAX];
    struct stat st;
    const char *name;
    ssize_t n;

    if (stat(dir, &st) < 0)
        return err_set(e, ERR_INTERNAL, errno, "look at the workspace");
    snprintf(path, sizeof path, "/sys/dev/block/%u:%u", major(st.st_dev), minor(st.st_dev));
    n = readlink(path, link, sizeof link - 1);
    if (n < 0)
        return err_set(e, ERR_UNAVAILABLE, errno, "workspaces need /sys: %s", path);
    link[n] = '\0';
    name = strrchr(link, '/');
    snprintf(out, NAME_MAX, "%.200s", name == NULL ? link : name + 1);
    return 0;
}

/* Ext4 keeps its reserved clusters for its own needs: nobody else gets them, root neither, and they
 * can be set at any time (Documentation/admin-guide/abi-testing: sysfs-fs-ext4). */
static int set_quota(const char *dir, uint64_t bytes, struct err *e)
{
    char name[NAME_MAX], path[NAME_MAX + 64], text[24];
    _cleanup_fd_ int fd = -1;
    struct statvfs st;
    int64_t reserve;

    if (statvfs(dir, &st) < 0)
        return err_set(e, ERR_INTERNAL, errno, "look at the workspace");
    if ((reserve = workspace_reserve(st.f_blocks, bytes, e)) < 0 || device_name(dir, name, e) < 0)
        return -1;
    snprintf(path, sizeof path, "/sys/fs/ext4/%s/reserved_clusters", name);
    snprintf(text, sizeof text, "%" PRId64, reserve);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        return err_set(e, ERR_INTERNAL, errno, "set the quota of the workspace");
    return 0;
}

int workspace_grow(uint64_t number, uint64_t bytes, struct err *e)
{
    char dir[WORKSPACE_NAME];

    workspace_dir(number, dir);
    return set_quota(dir, bytes, e) < 0 ? err_prefix(e, "workspace %" PRIu64, number) : 0;
}

/* -- open and close ---------------------------------------------------------------------------- */

/* The directory that a session sees.  A crash may have come before it was first written down.  Safe
 * because: only we ever see what lies above it, so no link is there to be followed. */
static int make_root(const char *dir, struct err *e)
{
    _cleanup_fd_ int top = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (top < 0 || (mkdirat(top, "root", 0755) < 0 && errno != EEXIST) ||
        fchownat(top, "root", SANDBOX_UID_RUN, SANDBOX_UID_RUN, AT_SYMLINK_NOFOLLOW) < 0)
        return err_set(e, ERR_INTERNAL, errno, "lay a workspace out");
    return 0;
}

static int mount_image(const char *path, const char *dir, struct err *e)
{
    if (loop_mount(path, dir, LOOP_WORKSPACE, e) == 0)
        return 0;
    /* Words of ext4 for what it cannot believe. */
    if (e != NULL &&
        (e->errnum == EUCLEAN || e->errnum == EINVAL || e->errnum == EBADMSG || e->errnum == EIO))
        return err_set(e, ERR_INTERNAL, e->errnum, "its file system is damaged");
    return -1;
}

int workspace_open(const struct spawn_config *c, uint64_t number, uint64_t bytes, struct err *e)
{
    char path[IMAGE_PATH], dir[WORKSPACE_NAME];
    struct stat st;

    path_of(c, number, path);
    workspace_dir(number, dir);
    if (stat(path, &st) < 0)
        return err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_INTERNAL, errno,
                       "workspace %" PRIu64, number);
    /* Nobody has it open: what is still there is of a closing that failed. */
    workspace_unmount(number);
    if (mkdir(dir, 0755) < 0)
        return err_set(e, ERR_INTERNAL, errno, "mkdir %s", dir);
    if (mount_image(path, dir, e) == 0 && set_quota(dir, bytes, e) == 0 && make_root(dir, e) == 0 &&
        image_show_root(dir, e) == 0)
        return 0;
    loop_unmount(dir);
    return err_prefix(e, "workspace %" PRIu64, number);
}

int workspace_close(const struct spawn_config *c, uint64_t number, uint64_t *ret_bytes,
                    struct err *e)
{
    char path[IMAGE_PATH], dir[WORKSPACE_NAME];
    struct statvfs st;
    int fd, r = 0;

    path_of(c, number, path);
    workspace_dir(number, dir);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) < 0 || fstatvfs(fd, &st) < 0)
        r = err_set(e, ERR_INTERNAL, errno, "workspace %" PRIu64 " could not be written", number);
    else if ((st.f_flag & ST_RDONLY) != 0)
        r = err_set(e, ERR_INTERNAL, EROFS,
                    "the file system of workspace %" PRIu64 " has failed; the last of it is lost",
                    number);
    fd_close(&fd);
    loop_unmount(dir);
    return r < 0 ? r : image_settle(c, WORKSPACE_FOLDER, path, ret_bytes, e);
}

void workspace_unmount(uint64_t number)
{
    char dir[WORKSPACE_NAME];

    workspace_dir(number, dir);
    loop_unmount(dir);
}

/* Where the file system is drafted: in the stage directory. */
static void draft_path(uint64_t number, char out[static DRAFT_PATH])
{
    char dir[WORKSPACE_NAME];

    workspace_dir(number, dir);
    snprintf(out, DRAFT_PATH, "%s.img", dir);
}

void workspace_remove_parts(const struct spawn_config *c, uint64_t number)
{
    char part[IMAGE_PATH], draft[DRAFT_PATH];

    draft_path(number, draft);
    unlink(draft);
    image_path(c, WORKSPACE_FOLDER, number, IMAGE_PART, part);
    unlink(part);
}

/* -- new ones ---------------------------------------------------------------------------------- */

int workspace_make_file_system(const char *path, const struct workspace_geometry *g, struct err *e)
{
    char inodes[24];
    const char *const argv[] = {IMAGE_MKE2FS, "-q",
                                "-t",         "ext4",
                                "-O",         FEATURES,
                                "-E",         "lazy_itable_init=1,lazy_journal_init=1,nodiscard",
                                "-J",         "size=" DECIMAL(WORKSPACE_JOURNAL_MB),
                                "-m",         "0",
                                "-b",         IMAGE_BLOCK_S,
                                "-I",         "256",
                                "-N",         inodes,
                                path,         NULL};

    snprintf(inodes, sizeof inodes, "%" PRIu64, g->inodes);
    return execute(argv, e);
}

/* Mke2fs waits until what it has written is on the disk, which nobody asked for, so it writes into
 * the stage's tmpfs. */
static int fill_by_memory(const char *part, const char *draft, const struct workspace_geometry *g,
                          struct err *e)
{
    _cleanup_fd_ int from = -1;
    _cleanup_fd_ int to = -1;

    if (image_make(draft, g->blocks * IMAGE_BLOCK, e) < 0 ||
        workspace_make_file_system(draft, g, e) < 0)
        return -1;
    from = open(draft, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    to = open(part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (from < 0 || to < 0)
        return err_set(e, ERR_INTERNAL, errno, "make the image");
    return image_copy(from, to, e);
}

static int fill_part(const char *part, uint64_t number, const struct workspace_geometry *g,
                     struct err *e)
{
    char draft[DRAFT_PATH];
    int r;

    if (g->blocks > MEMORY_BLOCKS_MAX)
        return image_make(part, g->blocks * IMAGE_BLOCK, e) < 0
                   ? -1
                   : workspace_make_file_system(part, g, e);
    draft_path(number, draft);
    r = fill_by_memory(part, draft, g, e);
    unlink(draft);
    return r;
}

int workspace_check_disk(int file, uint64_t bytes, struct err *e)
{
    struct statvfs st;

    if (fstatvfs(file, &st) < 0)
        return err_set(e, ERR_INTERNAL, errno, "look at the disk");
    if (st.f_bavail * st.f_frsize < DISK_FREE_MIN + bytes)
        return err_set(e, ERR_LIMIT, ENOSPC, "the host's disk");
    return 0;
}

static int check_disk(const struct spawn_config *c, struct err *e)
{
    _cleanup_fd_ int folder = image_open_folder(c, WORKSPACE_FOLDER, e);

    return folder < 0 ? -1 : workspace_check_disk(folder, 0, e);
}

/* A closed one, complete. */
static int make_image(const struct spawn_config *c, uint64_t number, uint64_t bytes, struct err *e)
{
    char part[IMAGE_PATH], path[IMAGE_PATH];
    struct workspace_geometry g;

    image_path(c, WORKSPACE_FOLDER, number, IMAGE_PART, part);
    path_of(c, number, path);
    if (access(path, F_OK) == 0)
        return err_set(e, ERR_EXISTS, EEXIST, "make the image");
    if (workspace_geometry(bytes, &g, e) < 0 || check_disk(c, e) < 0)
        return -1;
    workspace_remove_parts(c, number);
    if (fill_part(part, number, &g, e) == 0) {
        if (rename(part, path) == 0)
            return 0;
        err_set(e, ERR_INTERNAL, errno, "rename the image");
    }
    unlink(part);
    return -1;
}

int workspace_make(const struct spawn_config *c, uint64_t number, uint64_t bytes, struct err *e)
{
    if (make_image(c, number, bytes, e) < 0)
        return err_prefix(e, "workspace %" PRIu64, number);
    if (workspace_open(c, number, bytes, e) == 0)
        return 0;
    image_remove(c, WORKSPACE_FOLDER, number, NULL);
    return -1;
}

/* -- finished ones ----------------------------------------------------------------------------- */

int workspace_remove(const struct spawn_config *c, uint64_t number, struct err *e)
{
    char path[IMAGE_PATH];
    _cleanup_fd_ int fd = -1;

    path_of(c, number, path);
    workspace_unmount(number); /* of a closing that failed: nobody has it open */
    fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
        return err_set(e, ERR_UNAVAILABLE, errno == EWOULDBLOCK ? EBUSY : errno,
                       "workspace %" PRIu64 " is still in use", number);
    return image_remove(c, WORKSPACE_FOLDER, number, e);
}

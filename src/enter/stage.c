/* stage: builds the root file system that every sandbox of a nest sees, from nothing (R20).
 *
 * Runs in the spawner, as root, in the spawner's private mount namespace, before any untrusted code
 * of the nest exists.  Trusts its configuration (operator's paths).  Every mount point is made in
 * an empty tmpfs that nobody else can reach (R32), and the copies that nests inherit are locked:
 * nothing inside can make them writable or take them away (mount_namespaces(7)). */
#include "enter/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"
#include "wire/session.h"

#define STAGE_TMPFS    "mode=0755,size=256k,nr_inodes=128"
#define SKELETON_TMPFS "mode=0755,size=256k,nr_inodes=128,uid=%u,gid=%u"
#define RO_FLAGS       (MS_RDONLY | MS_NOSUID)

static const char *const directories[] = {"usr", "etc",  "proc", "dev",       "tmp",
                                          "opt", "root", "var",  "opt/dunlin"};

struct stage_link {
    const char *target, *name;
};

static const struct stage_link links[] = {
    {"usr/bin", "bin"},     {"usr/sbin", "sbin"}, {"usr/lib", "lib"},
    {"usr/lib64", "lib64"}, {"/tmp", "var/tmp"},
};

static const struct stage_link device_links[] = {
    {"/proc/self/fd", "fd"},       {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"},
    {"/proc/self/fd/2", "stderr"}, {"pts/ptmx", "ptmx"},
};

static const struct {
    const char *name;
    unsigned major, minor;
} devices[] = {{"null", 1, 3},   {"zero", 1, 5},    {"full", 1, 7},
               {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};

static int make_links(int dir, const struct stage_link *list, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (symlinkat(list[i].target, dir, list[i].name) < 0)
            return err_set(e, ERR_INTERNAL, errno, "stage: link %s", list[i].name);
    }
    return 0;
}

static int make_directory(int dir, const char *name, mode_t mode, struct err *e)
{
    /* Safe because: dir lies in an empty tmpfs of ours, where there are no links (R32). */
    if (mkdirat(dir, name, mode) < 0 || fchmodat(dir, name, mode, 0) < 0)
        return err_set(e, ERR_INTERNAL, errno, "stage: mkdir %s", name);
    return 0;
}

/* What belongs into /dev. */
static int make_devices(int dir, struct err *e)
{
    /* Safe because: these six give no access to anything (R23); made here, not bound from the
     * host's /dev, so that no inode is shared with the host. */
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        if (mknodat(dir, devices[i].name, S_IFCHR | 0666,
                    makedev(devices[i].major, devices[i].minor)) < 0 ||
            fchmodat(dir, devices[i].name, 0666, 0) < 0)
            return err_set(e, ERR_INTERNAL, errno, "stage: device %s", devices[i].name);
    }
    if (make_directory(dir, "pts", 0755, e) < 0 || make_directory(dir, "shm", 0755, e) < 0)
        return -1;
    return make_links(dir, device_links, sizeof device_links / sizeof device_links[0], e);
}

static int make_tree(int dir, struct err *e)
{
    _cleanup_fd_ int dev = -1;

    for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++) {
        if (make_directory(dir, directories[i], 0755, e) < 0)
            return -1;
    }
    if (make_links(dir, links, sizeof links / sizeof links[0], e) < 0)
        return -1;
    dev = openat(dir, "dev", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dev < 0)
        return err_set(e, ERR_INTERNAL, errno, "stage: open dev");
    return make_devices(dev, e);
}

/* Makes each component of an absolute path beneath dir; those that are there stay as they are. */
static int make_work_dir(int dir, const char *path, struct err *e)
{
    char part[256];
    size_t len = strlen(path);

    if (path[0] != '/' || len < 2 || len >= sizeof part)
        return err_set(e, ERR_INVALID, 0, "work directory '%s' must be an absolute path", path);
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path + 1, i - 1);
        part[i - 1] = '\0';
        if (mkdirat(dir, part, 0755) < 0 && errno != EEXIST)
            return err_set(e, ERR_INTERNAL, errno, "stage: mkdir %s", part);
    }
    return 0;
}

/* Mounts `source`/`name` read-only on dir/`target`. */
static int bind_read_only(const char *source, const char *name, const char *target, struct err *e)
{
    char from[512], to[512];

    snprintf(from, sizeof from, "%s/%s", source, name);
    snprintf(to, sizeof to, "./%s", target);
    if (mount(from, to, NULL, MS_BIND, NULL) < 0 ||
        mount(NULL, to, NULL, MS_BIND | MS_REMOUNT | MS_NODEV | RO_FLAGS, NULL) < 0)
        return err_set(e, ERR_INTERNAL, errno, "stage: bind %s", from);
    return 0;
}

/* Over the empty file of the system copy. */
static int bind_resolv(const char *file, int dir, struct err *e)
{
    _cleanup_fd_ int from = open(file, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_fd_ int etc = openat(dir, "etc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (from < 0 || etc < 0)
        return err_set(e, ERR_INTERNAL, errno, "stage: open %s", file);
    return stage_bind(from, etc, "resolv.conf", e);
}

int stage_make(const struct stage_config *config, struct err *e)
{
    _cleanup_fd_ int dir = -1;
    _cleanup_fd_ int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int ret = -1;

    if (mount("dunlin", config->dir, "tmpfs", MS_NOSUID, STAGE_TMPFS) < 0)
        return err_set(e, ERR_INTERNAL, errno, "stage: tmpfs on %s", config->dir);
    dir = open(config->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || here < 0 || fchdir(dir) < 0)
        return err_set(e, ERR_INTERNAL, errno, "stage: open %s", config->dir);
    if (make_tree(dir, e) == 0 && make_work_dir(dir, config->work_dir, e) == 0 &&
        make_work_dir(dir, SESSION_WORK_DIR, e) == 0 &&
        bind_read_only(config->system, "usr", "usr", e) == 0 &&
        bind_read_only(config->system, "etc", "etc", e) == 0 &&
        bind_read_only(config->runtime, ".", "opt/dunlin", e) == 0 &&
        (config->resolv == NULL || bind_resolv(config->resolv, dir, e) == 0)) {
        ret = mount(NULL, ".", NULL, MS_BIND | MS_REMOUNT | RO_FLAGS, NULL);
        if (ret < 0)
            err_set(e, ERR_INTERNAL, errno, "stage: make read-only");
    }
    if (fchdir(here) < 0)
        return err_set(e, ERR_INTERNAL, errno, "stage: return");
    return ret;
}

void stage_resolver_text(const struct spawn_config *c, char *out, size_t cap)
{
    size_t len = 0;

    out[0] = '\0';
    for (uint32_t i = 0; i < c->ndns && len < cap; i++)
        len += (size_t)snprintf(out + len, cap - len, "nameserver %s\n", c->dns[i]);
}

/* -- for a tree of layers ---------------------------------------------------------------------- */

static int make_file(int dir, const char *name, const char *text, struct err *e)
{
    _cleanup_fd_ int fd =
        openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

    if (fd < 0)
        return err_set(e, ERR_INTERNAL, errno, "stage: make %s", name);
    return fd_write_all(fd, text, strlen(text), e);
}

static int make_skeleton(int dir, const struct stage_skeleton *k, struct err *e)
{
    static const char *const plain[] = {"proc", "dev", "opt", "opt/dunlin", "run", "etc"};

    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        if (make_directory(dir, plain[i], 0755, e) < 0)
            return -1;
    }
    if (make_directory(dir, "tmp", 01777, e) < 0 || make_work_dir(dir, k->work_dir, e) < 0 ||
        make_file(dir, "etc/resolv.conf", k->resolv, e) < 0 ||
        make_file(dir, "etc/hosts", k->hosts, e) < 0 ||
        make_file(dir, "etc/hostname", "sandbox\n", e) < 0)
        return -1;
    /* A run may write to /tmp only, and some programs insist on the other. */
    if (k->kind == SPAWN_NEST_RUN &&
        (make_directory(dir, "var", 0755, e) < 0 ||
         make_links(dir, &(struct stage_link){"/tmp", "var/tmp"}, 1, e) < 0 ||
         make_work_dir(dir, SESSION_WORK_DIR, e) < 0))
        return -1;
    if (k->kind == SPAWN_NEST_TOOL &&
        (make_directory(dir, "image", 0755, e) < 0 || make_file(dir, "input", "", e) < 0))
        return -1;
    return 0;
}

int stage_make_skeleton(const struct stage_skeleton *k, struct err *e)
{
    _cleanup_fd_ int dir = -1;
    char options[128];

    snprintf(options, sizeof options, SKELETON_TMPFS, k->owner, k->owner);
    if (mount("dunlin", k->dir, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
        return err_set(e, ERR_INTERNAL, errno, "stage: tmpfs on %s", k->dir);
    dir = open(k->dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return err_set(e, ERR_INTERNAL, errno, "stage: open %s", k->dir);
    return make_skeleton(dir, k, e);
}

int stage_make_dev(int at, struct err *e)
{
    _cleanup_fd_ int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
    _cleanup_fd_ int dev = -1;

    if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0755", 0) < 0 ||
        fsconfig(fs, FSCONFIG_SET_STRING, "size", "64k", 0) < 0 ||
        fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ||
        (dev = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID)) < 0)
        return err_set(e, ERR_INTERNAL, errno, "stage: tmpfs for dev");
    if (make_devices(dev, e) < 0)
        return -1;
    if (mount_setattr(dev, "", AT_EMPTY_PATH,
                      &(struct mount_attr){.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID},
                      sizeof(struct mount_attr)) < 0)
        return err_set(e, ERR_INTERNAL, errno, "stage: make dev read-only");
    return stage_attach(dev, at, "dev", e);
}

int stage_attach(int tree, int at, const char *name, struct err *e)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV};
    _cleanup_fd_ int point = (int)syscall(SYS_openat2, at, name, &how, sizeof how);

    if (point < 0)
        return err_set(e, ERR_INTERNAL, errno, "stage: open mount point %s", name);
    if (move_mount(tree, "", point, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return err_set(e, ERR_INTERNAL, errno, "stage: mount %s", name);
    return 0;
}

int stage_bind(int from, int at, const char *name, struct err *e)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};
    _cleanup_fd_ int tree =
        open_tree(from, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

    if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0)
        return err_set(e, ERR_INTERNAL, errno, "stage: bind for %s", name);
    return stage_attach(tree, at, name, e);
}

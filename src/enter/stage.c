/* stage: builds the root file system that every sandbox of a nest sees, from nothing (R20).
 *
 * Runs in the spawner, as root, in the spawner's private mount namespace, before any untrusted code
 * of the nest exists.  Trusts its configuration (operator's paths).  Every mount point is made in
 * an empty tmpfs that nobody else can reach (R32), and the copies that nests inherit are locked:
 * nothing inside can make them writable or take them away (mount_namespaces(7)). */
#include "enter/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"

#define STAGE_TMPFS "mode=0755,size=256k,nr_inodes=128"
#define RO_FLAGS    (MS_RDONLY | MS_NOSUID)

static const char *const directories[] = {"usr",  "etc",     "proc",    "dev", "tmp",       "opt",
                                          "root", "dev/pts", "dev/shm", "var", "opt/dunlin"};

static const struct {
    const char *target, *name;
} links[] = {
    {"usr/bin", "bin"},
    {"usr/sbin", "sbin"},
    {"usr/lib", "lib"},
    {"usr/lib64", "lib64"},
    {"/tmp", "var/tmp"},
    {"/proc/self/fd", "dev/fd"},
    {"/proc/self/fd/0", "dev/stdin"},
    {"/proc/self/fd/1", "dev/stdout"},
    {"/proc/self/fd/2", "dev/stderr"},
    {"pts/ptmx", "dev/ptmx"},
};

static const struct {
    const char *name;
    unsigned major, minor;
} devices[] = {{"dev/null", 1, 3},   {"dev/zero", 1, 5},    {"dev/full", 1, 7},
               {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0}};

static int make_tree(int dir, struct err *e)
{
    for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++) {
        if (mkdirat(dir, directories[i], 0755) < 0)
            return err_set(e, ERR_INTERNAL, errno, "stage: mkdir %s", directories[i]);
    }
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        if (symlinkat(links[i].target, dir, links[i].name) < 0)
            return err_set(e, ERR_INTERNAL, errno, "stage: link %s", links[i].name);
    }
    /* Safe because: these six give no access to anything (R23); made here, not bound from the
     * host's /dev, so that no inode is shared with the host. */
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        if (mknodat(dir, devices[i].name, S_IFCHR | 0666,
                    makedev(devices[i].major, devices[i].minor)) < 0 ||
            fchmodat(dir, devices[i].name, 0666, 0) < 0)
            return err_set(e, ERR_INTERNAL, errno, "stage: device %s", devices[i].name);
    }
    return 0;
}

/* Makes each component of an absolute path beneath dir. */
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
        bind_read_only(config->system, "usr", "usr", e) == 0 &&
        bind_read_only(config->system, "etc", "etc", e) == 0 &&
        bind_read_only(config->runtime, ".", "opt/dunlin", e) == 0) {
        ret = mount(NULL, ".", NULL, MS_BIND | MS_REMOUNT | RO_FLAGS, NULL);
        if (ret < 0)
            err_set(e, ERR_INTERNAL, errno, "stage: make read-only");
    }
    if (fchdir(here) < 0)
        return err_set(e, ERR_INTERNAL, errno, "stage: return");
    return ret;
}

void stage_remove(const char *dir)
{
    while (umount2(dir, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
        ;
}

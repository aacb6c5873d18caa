/* file_path: from a path to a descriptor, never out of the workspace.
 *
 * Runs in a child of a sandbox's init, beside processes that change the tree at will.  The kernel
 * resolves (openat2(2), RESOLVE_BENEATH), so that no moment lies between a check and its use; what
 * is done here is only to give it another text where a link names the workspace from the root. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "init/file_internal.h"
#include "wire/session.h"

#define PATH_LINKS   40  /* followed for one path, as many as the kernel itself follows */
#define PATH_RETRIES 128 /* of a resolution that a rename elsewhere disturbed (EAGAIN) */

int path_open_in(int dir, const char *path, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
    };
    long fd;

    for (int i = 0; i < PATH_RETRIES; i++) {
        fd = syscall(SYS_openat2, dir, path[0] != '\0' ? path : ".", &how, sizeof how);
        if (fd >= 0)
            return (int)fd;
        if (errno != EAGAIN && errno != EINTR)
            break;
    }
    return -errno;
}

/* Copies a path without the workspace's own name, empty components and ".". */
static int normalize(const char *path, char out[static PATH_MAX])
{
    const size_t own = strlen(SESSION_WORK_DIR);
    size_t n = 0;

    if (path[0] == '/') {
        if (strncmp(path, SESSION_WORK_DIR, own) != 0 || (path[own] != '/' && path[own] != '\0'))
            return -EXDEV;
        path += own;
    }
    for (;;) {
        size_t len;

        path += strspn(path, "/");
        len = strcspn(path, "/");
        if (len == 0)
            break;
        if (n + len + 2 > PATH_MAX)
            return -ENAMETOOLONG;
        if (len != 1 || path[0] != '.') {
            if (n > 0)
                out[n++] = '/';
            memcpy(out + n, path, len);
            n += len;
        }
        path += len;
    }
    out[n] = '\0';
    return 0;
}

/* The target of the link at path: its length, 0 if it is no link, or a negative errno. */
static ssize_t read_link(const struct call *c, const char *path, char out[static PATH_MAX])
{
    _cleanup_fd_ int fd = path_open_in(c->w->root, path, O_PATH | O_NOFOLLOW);
    struct stat st;
    ssize_t n;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISLNK(st.st_mode))
        return 0;
    n = readlinkat(fd, "", out, PATH_MAX - 1);
    if (n <= 0)
        return n < 0 ? -errno : -ENOENT;
    out[n] = '\0';
    return n;
}

/* Puts the target in the place of path[at, end). */
static int splice_link(char path[static PATH_MAX], size_t at, size_t end, const char *target)
{
    static char joined[3 * PATH_MAX];
    size_t before = target[0] == '/' ? 0 : at;

    memcpy(joined, path, before);
    strcpy(joined + before, target);
    strcat(joined, path + end);
    return normalize(joined, path);
}

/* Replaces links by what they say, from the left, until none is left; the last component only with
 * `last`.  What a stranger changes meanwhile yields another path inside, at worst. */
static int expand_links(const struct call *c, char path[static PATH_MAX], bool last)
{
    static char target[PATH_MAX];
    size_t at = 0;

    for (unsigned links = 0; links <= PATH_LINKS;) {
        size_t end = at + strcspn(path + at, "/");
        char behind = path[end];
        ssize_t n;
        int r;

        if (end == at || (behind == '\0' && !last))
            return 0;
        path[end] = '\0';
        n = read_link(c, path, target);
        path[end] = behind;
        if (n == -ENOENT)
            return 0; /* whoever opens it will be told */
        if (n < 0)
            return (int)n;
        if (n == 0) {
            at = behind == '\0' ? end : end + 1;
            continue;
        }
        if ((r = splice_link(path, at, end, target)) < 0)
            return r;
        links++;
        at = 0;
    }
    return -ELOOP;
}

static int open_normal(const struct call *c, const char *path, int flags)
{
    static char expanded[PATH_MAX];
    int r = path_open_in(c->w->root, path, flags);

    if (r != -EXDEV)
        return r;
    strcpy(expanded, path);
    r = expand_links(c, expanded, (flags & O_NOFOLLOW) == 0);
    return r < 0 ? r : path_open_in(c->w->root, expanded, flags);
}

int path_open(struct call *c, const char *path, int flags)
{
    char normal[PATH_MAX];
    int r = normalize(path, normal);

    if (r == 0)
        r = open_normal(c, normal, flags);
    return r < 0 ? call_fail(c, -r, path) : r;
}

int path_make_directory(struct call *c, int dir, const char *name, mode_t mode)
{
    _cleanup_fd_ int fd = -1;

    if (mkdirat(dir, name, 0700) < 0)
        return -errno;
    fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchown(fd, c->w->owner, c->w->owner) < 0 || fchmod(fd, mode) < 0)
        return -errno;
    return 0;
}

/* Opens the directory at path, and makes what is missing of it. */
static int open_made(struct call *c, char path[static PATH_MAX])
{
    _cleanup_fd_ int above = path_open_in(c->w->root, "", O_PATH | O_DIRECTORY);
    size_t at = 0;

    if (above < 0)
        return fd_steal(&above);
    while (path[at] != '\0') {
        size_t end = at + strcspn(path + at, "/");
        char behind = path[end];
        int fd, r;

        path[end] = '\0';
        fd = open_normal(c, path, O_PATH | O_DIRECTORY);
        if (fd == -ENOENT) {
            r = path_make_directory(c, above, path + at, DIR_MODE);
            fd = r < 0 && r != -EEXIST ? r : open_normal(c, path, O_PATH | O_DIRECTORY);
        }
        path[end] = behind;
        if (fd < 0)
            return fd;
        fd_close(&above);
        above = fd;
        at = behind == '\0' ? end : end + 1;
    }
    return fd_steal(&above);
}

static int find_place(struct call *c, char path[static PATH_MAX], bool make, struct place *ret)
{
    char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;

    if (name[0] == '\0')
        return -EBUSY;
    if (strcmp(name, "..") == 0)
        return -EINVAL;
    if (strlen(name) > NAME_MAX)
        return -ENAMETOOLONG;
    strcpy(ret->name, name);
    if (slash != NULL)
        *slash = '\0';
    else
        path[0] = '\0';
    ret->dir = make ? open_made(c, path) : open_normal(c, path, O_PATH | O_DIRECTORY);
    return ret->dir < 0 ? ret->dir : 0;
}

int path_place(struct call *c, const char *path, bool make, bool follow, struct place *ret)
{
    static char normal[PATH_MAX];
    int r = normalize(path, normal);

    ret->dir = -1;
    if (r == 0 && follow)
        r = expand_links(c, normal, true);
    if (r == 0)
        r = find_place(c, normal, make, ret);
    return r < 0 ? call_fail(c, -r, path) : 0;
}

bool path_is_root(const char *path)
{
    static char normal[PATH_MAX];

    return normalize(path, normal) == 0 && normal[0] == '\0';
}

void place_finish(struct place *p)
{
    fd_close(&p->dir);
}

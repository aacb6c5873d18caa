/* file_write: files that come from the server: WRITE, APPEND, PATCH, and MKDIR.
 *
 * Runs in a child of a sandbox's init.  A file that is written has no name until all of its bytes
 * are there (O_TMPFILE: tmpfs and ext4, the only storage of sessions, have it), so a broken call or
 * a full disk leaves nothing, not even when the process is killed.  Only to replace a file it is
 * given a name of ours for a moment (file_sweep.c). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "init/file_internal.h"

#define CREATE_RETRIES 8 /* of a file that others make and remove at the same time */

int file_hidden_name(char ret[static HIDDEN_BYTES])
{
    uint64_t r[2];

    if (getrandom(r, sizeof r, 0) != sizeof r)
        return -EIO;
    snprintf(ret, HIDDEN_BYTES, HIDDEN_PREFIX "%016llx%016llx", (unsigned long long)r[0],
             (unsigned long long)r[1]);
    return 0;
}

bool file_is_hidden(const char *name)
{
    const size_t prefix = strlen(HIDDEN_PREFIX);

    return strncmp(name, HIDDEN_PREFIX, prefix) == 0 &&
           strspn(name + prefix, "0123456789abcdef") == 32 && name[prefix + 32] == '\0';
}

int file_write_all(int fd, const char *data, size_t len)
{
    struct err e = {0};

    return fd_write_all(fd, data, len, &e) < 0 ? -e.errnum : 0;
}

int staged_open(struct call *c, int dir)
{
    int fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    return fd < 0 ? -errno : fd;
}

int staged_own(struct call *c, int fd, mode_t mode)
{
    return fchown(fd, c->w->owner, c->w->owner) < 0 || fchmod(fd, mode & MODE_ALLOWED) < 0 ? -errno
                                                                                           : 0;
}

static int link_as(int fd, int dir, const char *name)
{
    char proc[32];

    snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, proc, dir, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int staged_commit(struct call *c, int fd, const struct place *at, bool exclusive)
{
    struct place hidden = {.dir = c->w->root};
    int r = link_as(fd, at->dir, at->name);

    if (r != -EEXIST || exclusive)
        return r;
    if ((r = file_hidden_name(hidden.name)) < 0 || (r = link_as(fd, hidden.dir, hidden.name)) < 0)
        return r;
    if (renameat(hidden.dir, hidden.name, at->dir, at->name) == 0)
        return 0;
    r = -errno;
    unlinkat(hidden.dir, hidden.name, 0);
    return r;
}

/* Takes what the server sends and writes it at `*offset` (NULL: where the descriptor stands). */
static int take_bytes(struct call *c, int fd, off_t *offset)
{
    const uint64_t size = c->w->what.size;
    const bool whole = c->w->what.op == FILE_WRITE; /* nobody sees it before its end */

    while (size == FILE_UNTIL_END || c->done < size) {
        uint64_t left = size - c->done;
        size_t n =
            call_receive(c, c->buffer, left < sizeof c->buffer ? left : sizeof c->buffer, whole);
        int r;

        if (n == 0 && size != FILE_UNTIL_END)
            return call_explain(c, EIO, "%llu of %llu bytes came", (unsigned long long)c->done,
                                (unsigned long long)size);
        if (n == 0)
            return 0;
        if (offset != NULL && lseek(fd, *offset, SEEK_SET) < 0)
            return -errno;
        if ((r = file_write_all(fd, c->buffer, n)) < 0)
            return r;
        if (offset != NULL)
            *offset += (off_t)n;
        c->done += n;
    }
    return 0;
}

static int tell_result(struct call *c, int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    call_info(c, &st, c->w->path, NULL);
    return 0;
}

/* What would not fit, or has no place, is refused before all of it has come. */
static int check_place(struct call *c, const struct place *at, mode_t *mode)
{
    struct statvfs v;
    struct stat st;

    if (fstatat(at->dir, at->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISDIR(st.st_mode))
            return -EISDIR;
        if (call_has(c, FILE_EXCLUSIVE))
            return -EEXIST;
        if (*mode == 0 && S_ISREG(st.st_mode))
            *mode = st.st_mode;
    }
    if (c->w->what.size != FILE_UNTIL_END && fstatvfs(c->w->root, &v) == 0 &&
        c->w->what.size / v.f_frsize > v.f_bavail)
        return -ENOSPC;
    return 0;
}

int file_write(struct call *c)
{
    bool exclusive = call_has(c, FILE_EXCLUSIVE);
    mode_t mode = c->w->what.mode;
    _cleanup_place_ struct place at;
    _cleanup_fd_ int fd = -1;
    int r = path_place(c, c->w->path, call_has(c, FILE_PARENTS), !exclusive, &at);

    if (r < 0 || (r = check_place(c, &at, &mode)) < 0)
        return r;
    if ((fd = staged_open(c, at.dir)) < 0)
        return fd_steal(&fd);
    if ((r = take_bytes(c, fd, NULL)) < 0 ||
        (r = staged_own(c, fd, mode != 0 ? mode : FILE_MODE)) < 0 ||
        (r = staged_commit(c, fd, &at, exclusive)) < 0)
        return r;
    return tell_result(c, fd);
}

/* Opens the file at `at` for writing; makes it if need be. */
static int open_or_make(struct call *c, const struct place *at)
{
    const int flags = O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

    for (int i = 0; i < CREATE_RETRIES; i++) {
        _cleanup_fd_ int fd = openat(at->dir, at->name, flags);
        struct stat st;
        int r;

        if (fd >= 0)
            return fstat(fd, &st) < 0 ? -errno : !S_ISREG(st.st_mode) ? -ENXIO : fd_steal(&fd);
        if (errno != ENOENT)
            return -errno;
        fd = openat(at->dir, at->name, flags | O_CREAT | O_EXCL, 0600);
        if (fd < 0 && errno == EEXIST)
            continue;
        if (fd < 0)
            return -errno;
        r = staged_own(c, fd, c->w->what.mode != 0 ? c->w->what.mode : FILE_MODE);
        return r < 0 ? r : fd_steal(&fd);
    }
    return -EAGAIN;
}

int file_append(struct call *c)
{
    bool exclusive = call_has(c, FILE_EXCLUSIVE);
    _cleanup_place_ struct place at;
    _cleanup_fd_ int fd = -1;
    struct stat st;
    int r = path_place(c, c->w->path, call_has(c, FILE_PARENTS), !exclusive, &at);

    if (r < 0)
        return r;
    if (exclusive && fstatat(at.dir, at.name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return -EEXIST;
    if ((fd = open_or_make(c, &at)) < 0)
        return fd_steal(&fd);
    r = take_bytes(c, fd, NULL);
    return r < 0 ? r : tell_result(c, fd);
}

int file_patch(struct call *c)
{
    off_t offset = (off_t)c->w->what.offset;
    struct stat st;
    _cleanup_fd_ int fd = -1;
    int r;

    if (offset < 0)
        return call_explain(c, EINVAL, "the offset is too large");
    fd = file_open_regular(c, c->w->path, O_WRONLY, &st);
    if (fd < 0)
        return fd_steal(&fd);
    r = take_bytes(c, fd, &offset);
    return r < 0 ? r : tell_result(c, fd);
}

int file_mkdir(struct call *c)
{
    mode_t mode = c->w->what.mode != 0 ? c->w->what.mode & MODE_ALLOWED : DIR_MODE;
    bool parents = call_has(c, FILE_PARENTS);
    _cleanup_place_ struct place at;
    _cleanup_fd_ int fd = -1;
    struct stat st;
    int r = path_place(c, c->w->path, parents, parents, &at);

    if (r < 0)
        return r;
    r = path_make_directory(c, at.dir, at.name, mode);
    if (r < 0 && (r != -EEXIST || !parents))
        return r;
    fd = openat(at.dir, at.name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        return -EEXIST;
    call_info(c, &st, c->w->path, NULL);
    return 0;
}

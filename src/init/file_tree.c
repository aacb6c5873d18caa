/* file_tree: whole trees: REMOVE, MOVE, COPY, CHMOD.
 *
 * Runs in a child of a sandbox's init, while others change the same tree.  No link is followed
 * beneath the path that was asked for.  A copy grows under a name that nobody knows, and appears
 * whole or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "init/file_internal.h"

int file_remove(struct call *c)
{
    const char *path = c->w->path;
    bool recursive = call_has(c, FILE_RECURSIVE);
    _cleanup_place_ struct place at = {.dir = -1};
    int r, top;

    if (path_is_root(path)) {
        if (!recursive)
            return -EBUSY;
        top = path_open(c, path, O_RDONLY | O_DIRECTORY);
        return top < 0 ? top : walk_remove_inside(c, top);
    }
    if ((r = path_place(c, path, false, false, &at)) < 0)
        return r;
    if (recursive)
        return walk_remove(c, at.dir, at.name);
    if (unlinkat(at.dir, at.name, 0) < 0 &&
        (errno != EISDIR || unlinkat(at.dir, at.name, AT_REMOVEDIR) < 0))
        return -errno;
    c->done++;
    return 0;
}

/* Tells what is at `at` now, under the name that the server gave. */
static int tell_place(struct call *c, const struct place *at, const char *name)
{
    struct stat st;

    if (fstatat(at->dir, at->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return call_fail(c, errno, name);
    call_info(c, &st, name, NULL);
    return 0;
}

static int rename_as(const struct place *from, const struct place *to, unsigned flags)
{
    return syscall(SYS_renameat2, from->dir, from->name, to->dir, to->name, flags) < 0 ? -errno : 0;
}

/* Renames over whatever is allowed to be there; a directory that is not empty is exchanged and then
 * removed, so that at each moment one of the two is there, and never half of one. */
static int put_in_place(struct call *c, const struct place *from, const struct place *to)
{
    struct place hidden = {.dir = c->w->root};
    uint64_t done = c->done;
    int r = rename_as(from, to, call_has(c, FILE_REPLACE) ? 0 : RENAME_NOREPLACE);

    if (r != -ENOTEMPTY || !call_has(c, FILE_REPLACE))
        return r;
    if ((r = file_hidden_name(hidden.name)) < 0 || (r = rename_as(from, to, RENAME_EXCHANGE)) < 0)
        return r;
    if ((r = rename_as(from, &hidden, RENAME_NOREPLACE)) == 0)
        r = walk_remove(c, hidden.dir, hidden.name);
    c->done = done;
    return r;
}

/* What is moved or copied. */
static int find_source(struct call *c, struct place *from, struct stat *st)
{
    int r = path_place(c, c->w->path, false, false, from);

    if (r < 0)
        return r;
    return fstatat(from->dir, from->name, st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int file_move(struct call *c)
{
    _cleanup_place_ struct place from = {.dir = -1}, to = {.dir = -1};
    struct stat st;
    int r = find_source(c, &from, &st);

    if (r < 0)
        return r;
    if ((r = path_place(c, c->w->other, call_has(c, FILE_PARENTS), false, &to)) < 0)
        return r;
    if ((r = put_in_place(c, &from, &to)) == -EINVAL)
        return call_explain(c, EINVAL, "a directory cannot be moved into itself");
    return r < 0 ? call_fail(c, -r, c->w->other) : tell_place(c, &to, c->w->other);
}

/* -- copies */

#define LEVELS (LIMIT_FILE_TREE_DEPTH + 1)

struct copy {
    int to[LEVELS + 1]; /* the copy of the directory of each depth, -1: none */
    struct stat into;   /* the directory that the copy will be in: not one of what is copied */
};

static int copy_range(struct call *c, int from, int to, off_t at, off_t end)
{
    while (at < end) {
        off_t left = end - at;
        size_t want = left < (off_t)sizeof c->buffer ? (size_t)left : sizeof c->buffer;
        ssize_t n = pread(from, c->buffer, want, at);
        int r;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0; /* it has shrunk: so has the copy */
        if (lseek(to, at, SEEK_SET) < 0)
            return -errno;
        if ((r = file_write_all(to, c->buffer, (size_t)n)) < 0)
            return r;
        call_check(c);
        at += n;
        c->done += (uint64_t)n;
    }
    return 0;
}

/* The bytes that a file has now; holes stay holes. */
static int copy_bytes(struct call *c, int from, int to)
{
    struct stat st;
    off_t at = 0;

    if (fstat(from, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -ENXIO;
    while (at < st.st_size) {
        off_t end;
        int r;

        at = lseek(from, at, SEEK_DATA);
        if (at < 0 && errno == ENXIO)
            break; /* only a hole is left */
        if (at < 0 || (end = lseek(from, at, SEEK_HOLE)) < 0)
            return -errno;
        if (end > st.st_size)
            end = st.st_size;
        if ((r = copy_range(c, from, to, at, end)) < 0)
            return r;
        at = end;
    }
    if (ftruncate(to, st.st_size) < 0)
        return -errno;
    return staged_own(c, to, st.st_mode);
}

static int copy_file(struct call *c, int dir, const char *name, const struct place *to)
{
    bool exclusive = !call_has(c, FILE_REPLACE);
    _cleanup_fd_ int from = -1, fd = -1;
    int r;

    from = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (from < 0)
        return -errno;
    if ((fd = staged_open(c, to->dir)) < 0)
        return fd_steal(&fd);
    r = copy_bytes(c, from, fd);
    return r < 0 ? r : staged_commit(c, fd, to, exclusive);
}

static int make_link(struct call *c, const char *target, const struct place *at)
{
    if (symlinkat(target, at->dir, at->name) < 0 ||
        fchownat(at->dir, at->name, c->w->owner, c->w->owner, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return 0;
}

static int copy_link(struct call *c, int dir, const char *name, const struct place *to)
{
    static char target[PATH_MAX];
    struct place hidden = {.dir = c->w->root};
    ssize_t n = readlinkat(dir, name, target, sizeof target - 1);
    int r;

    if (n < 0)
        return -errno;
    target[n] = '\0';
    r = make_link(c, target, to);
    if (r != -EEXIST || !call_has(c, FILE_REPLACE))
        return r;
    if ((r = file_hidden_name(hidden.name)) < 0 || (r = make_link(c, target, &hidden)) < 0)
        return r;
    r = rename_as(&hidden, to, 0);
    if (r < 0)
        unlinkat(hidden.dir, hidden.name, 0);
    return r;
}

/* Makes a directory of the copy and opens it as that of `depth`. */
static int copy_directory(struct call *c, struct copy *k, unsigned depth, const struct place *at,
                          mode_t mode)
{
    int r = path_make_directory(c, at->dir, at->name, mode & MODE_ALLOWED);

    if (r < 0)
        return r;
    fd_close(&k->to[depth]);
    k->to[depth] = openat(at->dir, at->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return k->to[depth] < 0 ? -errno : 0;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

static int refuse_itself(struct call *c)
{
    return call_explain(c, EINVAL, "a directory cannot be copied into itself");
}

static int copy_entry(struct call *c, void *data, const struct walk_entry *entry)
{
    struct copy *k = data;
    struct place at = {.dir = k->to[entry->depth]};
    int r = 0;

    if (is_same(&entry->st, &k->into))
        return refuse_itself(c);
    snprintf(at.name, sizeof at.name, "%s", entry->name);
    if (S_ISDIR(entry->st.st_mode))
        r = copy_directory(c, k, entry->depth + 1, &at, entry->st.st_mode);
    else if (S_ISREG(entry->st.st_mode))
        r = copy_file(c, entry->dir, entry->name, &at);
    else if (S_ISLNK(entry->st.st_mode))
        r = copy_link(c, entry->dir, entry->name, &at);
    else
        c->left_out++;
    if (r == -ENOENT || r == -ELOOP || r == -ENXIO || (r == -EINVAL && c->note[0] == '\0'))
        return 0; /* it is gone, or something else by now */
    return r < 0 ? call_fail(c, -r, entry->path) : 0;
}

static int copy_tree(struct call *c, const struct place *from, const struct place *to)
{
    struct place hidden = {.dir = c->w->root};
    struct copy k;
    struct walk walk = {.entry = copy_entry, .data = &k, .with_ours = true};
    struct stat st;
    int r, top = openat(from->dir, from->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (top < 0)
        return -errno;
    memset(k.to, -1, sizeof k.to);
    if (fstat(top, &st) < 0 || fstat(to->dir, &k.into) < 0 || file_hidden_name(hidden.name) < 0) {
        close(top);
        return -EIO;
    }
    /* cppcheck-suppress autoVariables ; call_undo forgets it */
    c->unfinished = &hidden;
    r = is_same(&st, &k.into) ? refuse_itself(c) : copy_directory(c, &k, 0, &hidden, st.st_mode);
    if (r == 0)
        r = walk_tree(c, top, &walk);
    else
        close(top);
    for (size_t i = 0; i < sizeof k.to / sizeof k.to[0]; i++)
        fd_close(&k.to[i]);
    if (r == 0)
        r = put_in_place(c, &hidden, to);
    if (r < 0)
        call_fail(c, -r, c->w->other);
    call_undo(c, r < 0);
    return r;
}

int file_copy(struct call *c)
{
    _cleanup_place_ struct place from = {.dir = -1}, to = {.dir = -1};
    struct stat st;
    int r = find_source(c, &from, &st);

    if (r < 0)
        return r;
    if (S_ISDIR(st.st_mode) && !call_has(c, FILE_RECURSIVE))
        return -EISDIR;
    if ((r = path_place(c, c->w->other, call_has(c, FILE_PARENTS), false, &to)) < 0)
        return r;
    if (S_ISDIR(st.st_mode))
        r = copy_tree(c, &from, &to);
    else if (S_ISREG(st.st_mode))
        r = copy_file(c, from.dir, from.name, &to);
    else
        r = S_ISLNK(st.st_mode) ? copy_link(c, from.dir, from.name, &to) : -ENXIO;
    return r < 0 ? call_fail(c, -r, r == -ENXIO ? c->w->path : c->w->other)
                 : tell_place(c, &to, c->w->other);
}

/* -- modes */

/* fchmod(2) refuses O_PATH, and opening a FIFO would be noticed; the link in /proc is the file
 * itself, whatever has its name now. */
static int change_mode(int fd, mode_t mode)
{
    char proc[32];

    snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
    return fchmodat(AT_FDCWD, proc, mode & MODE_ALLOWED, 0) < 0 ? -errno : 0;
}

static int chmod_entry(struct call *c, void *data, const struct walk_entry *entry)
{
    _cleanup_fd_ int fd = openat(entry->dir, entry->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    int r;

    if (fd < 0 || fstat(fd, &st) < 0)
        return errno == ENOENT ? 0 : call_fail(c, errno, entry->path);
    if (S_ISLNK(st.st_mode))
        return 0; /* links have no mode of their own */
    if ((r = change_mode(fd, c->w->what.mode)) < 0)
        return call_fail(c, -r, entry->path);
    c->done++;
    return 0;
}

int file_chmod(struct call *c)
{
    static const struct walk walk = {.entry = chmod_entry};
    _cleanup_fd_ int fd = path_open(c, c->w->path, O_PATH);
    struct stat st;
    int r;

    if (fd < 0)
        return fd_steal(&fd);
    if ((r = change_mode(fd, c->w->what.mode)) < 0)
        return r;
    c->done++;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode) && call_has(c, FILE_RECURSIVE)) {
        int top = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        r = top < 0 ? -errno : walk_tree(c, top, &walk);
    }
    call_info(c, &st, c->w->path, NULL);
    return r;
}

/* file_walk: visits a tree that others change at the same time.
 *
 * Runs in a child of a sandbox's init.  Each directory is opened by its name in an open one without
 * following a link, so a tree that is swapped for another while it is walked leads nowhere else.
 * The chain of descriptors is as long as the bounded depth; nothing is recursive. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "init/file_internal.h"

#define LEVELS      (LIMIT_FILE_TREE_DEPTH + 1)
#define CHUNK       8192 /* bytes of directory entries at a time, for each level */
#define CHECK_EVERY 256  /* entries between two looks at the server */

struct level {
    int fd;
    size_t path_len; /* of the directory's own path */
    long n, at;      /* of the chunk */
    _Alignas(struct dirent) char chunk[CHUNK];
};

/* One walk at a time in a process: these are large. */
static struct level levels[LEVELS];
static char path[WALK_PATH];
static bool was_lifted; /* something in this walk, to: */
static struct place attic = {.dir = -1};

/* The next name of a level goes to *ret, NULL at its end. */
static int next_name(struct level *l, const char **ret)
{
    *ret = NULL;
    for (;;) {
        const struct dirent *entry;

        if (l->at >= l->n) {
            l->n = syscall(SYS_getdents64, l->fd, l->chunk, sizeof l->chunk);
            l->at = 0;
            if (l->n <= 0)
                return l->n == 0 || errno == ENOENT ? 0 : -errno; /* removed meanwhile */
        }
        entry = (const void *)(l->chunk + l->at);
        l->at += entry->d_reclen;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            *ret = entry->d_name;
            return 0;
        }
    }
}

static bool append_name(const struct level *l, const char *name)
{
    size_t at = l->path_len, len = strlen(name);

    if (at + len + 2 > sizeof path)
        return false;
    if (at > 0)
        path[at++] = '/';
    memcpy(path + at, name, len + 1);
    return true;
}

bool file_has_vanished(int error)
{
    return error == ENOENT || error == ENOTDIR || error == ELOOP;
}

static int open_attic(struct call *c)
{
    int r = file_hidden_name(attic.name);

    if (r < 0)
        return r;
    if (mkdirat(c->w->root, attic.name, 0700) < 0)
        return -errno;
    attic.dir = openat(c->w->root, attic.name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return attic.dir < 0 ? -errno : 0;
}

static int close_attic(struct call *c)
{
    int r = 0;

    if (attic.dir >= 0 && unlinkat(c->w->root, attic.name, AT_REMOVEDIR) < 0)
        r = -errno;
    place_finish(&attic);
    return r;
}

/* Moves a directory that lies too deep to where it is removed by itself. */
static int lift(struct call *c, unsigned depth, const char *name)
{
    char hidden[HIDDEN_BYTES];
    int r = file_hidden_name(hidden);

    if (r == 0 && attic.dir < 0)
        r = open_attic(c);
    if (r < 0)
        return r;
    if (renameat(levels[depth].fd, name, attic.dir, hidden) < 0)
        return file_has_vanished(errno) ? 0 : call_fail(c, errno, name);
    was_lifted = true;
    return 0;
}

/* 1: entered, 0: passed over, or a negative errno. */
static int enter(struct call *c, const struct walk *walk, unsigned depth, const char *name)
{
    struct level *next = &levels[depth + 1];

    if (walk->shallow)
        return 0;
    if (depth + 1 >= LEVELS && walk->lift)
        return lift(c, depth, name);
    if (depth + 1 >= LEVELS) {
        c->truncated = 1;
        return walk->cut ? 0
                         : call_explain(c, ENAMETOOLONG, "%.150s is deeper than %d directories",
                                        name, LIMIT_FILE_TREE_DEPTH);
    }
    next->fd = openat(levels[depth].fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (next->fd < 0)
        return file_has_vanished(errno) ? 0 : call_fail(c, errno, path);
    next->path_len = strlen(path);
    next->n = next->at = 0;
    return 1;
}

/* Goes up from `depth`: tells the owner of the directory that is done. */
static int leave(struct call *c, const struct walk *walk, unsigned depth)
{
    struct walk_entry entry = {.path = path};
    char *slash;

    fd_close(&levels[depth].fd);
    if (walk->leave == NULL || depth == 0)
        return 0;
    path[levels[depth].path_len] = '\0';
    slash = strrchr(path, '/');
    entry.dir = levels[depth - 1].fd;
    entry.name = slash != NULL ? slash + 1 : path;
    entry.depth = depth - 1;
    return walk->leave(c, walk->data, &entry);
}

/* One entry: 1 if the walk has gone down. */
static int visit(struct call *c, const struct walk *walk, unsigned depth, const char *name)
{
    struct walk_entry entry = {.dir = levels[depth].fd, .name = name, .path = path, .depth = depth};
    int r;

    if (!walk->with_ours && file_is_hidden(name))
        return 0;
    if (!append_name(&levels[depth], name))
        return call_explain(c, ENAMETOOLONG, "a path is too long");
    if (fstatat(entry.dir, name, &entry.st, AT_SYMLINK_NOFOLLOW) < 0)
        return file_has_vanished(errno) ? 0 : call_fail(c, errno, path);
    r = walk->entry(c, walk->data, &entry);
    if (r != 0 || !S_ISDIR(entry.st.st_mode))
        return r < 0 ? r : 0;
    return enter(c, walk, depth, name);
}

int walk_tree(struct call *c, int top, const struct walk *walk)
{
    unsigned depth = 0, count = 0;
    int r = 0;

    levels[0].fd = top;
    levels[0].path_len = 0;
    levels[0].n = levels[0].at = 0;
    path[0] = '\0';
    for (;;) {
        const char *name;

        if ((r = next_name(&levels[depth], &name)) < 0)
            break;
        if (++count % CHECK_EVERY == 0)
            call_check(c);
        if (name != NULL) {
            r = visit(c, walk, depth, name);
            depth += r == 1;
        } else {
            r = leave(c, walk, depth);
            if (depth-- == 0)
                return r;
        }
        if (r < 0)
            break;
    }
    for (unsigned i = 0; i <= depth && i < LEVELS; i++)
        fd_close(&levels[i].fd);
    return r;
}

static int remove_entry(struct call *c, void *data, const struct walk_entry *entry)
{
    if (S_ISDIR(entry->st.st_mode)) /* the attic is seen when the root is emptied */
        return attic.dir >= 0 && strcmp(entry->name, attic.name) == 0;
    if (unlinkat(entry->dir, entry->name, 0) == 0)
        c->done++;
    else if (errno != ENOENT && errno != EISDIR)
        return call_fail(c, errno, entry->path);
    return 0;
}

static int remove_left(struct call *c, void *data, const struct walk_entry *directory)
{
    if (unlinkat(directory->dir, directory->name, AT_REMOVEDIR) == 0)
        c->done++;
    else if (!file_has_vanished(errno))
        return call_fail(c, errno, directory->path);
    return 0;
}

int walk_remove_inside(struct call *c, int top)
{
    static const struct walk walk = {
        .entry = remove_entry, .leave = remove_left, .with_ours = true, .lift = true};
    int r, last;

    was_lifted = false;
    r = walk_tree(c, top, &walk);
    while (r == 0 && was_lifted) {
        was_lifted = false;
        top = openat(attic.dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = top < 0 ? -errno : walk_tree(c, top, &walk);
    }
    last = close_attic(c);
    return r < 0 ? r : last;
}

int walk_remove(struct call *c, int dir, const char *name)
{
    int top = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), r = 0;

    if (top >= 0)
        r = walk_remove_inside(c, top);
    else if (errno != ENOTDIR && errno != ELOOP)
        return call_fail(c, errno, name);
    if (r == 0 && unlinkat(dir, name, top >= 0 ? AT_REMOVEDIR : 0) < 0)
        return call_fail(c, errno, name);
    c->done += r == 0;
    return r;
}

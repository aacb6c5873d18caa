/* file_watch: WATCH: tells what changes beneath a directory, until the server closes the call.
 *
 * Runs in a child of a sandbox's init and changes nothing.  The number of watches is bounded; what
 * is beyond it, or comes too fast for the kernel's queue, is told as LOST. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/fd.h"
#include "init/file_internal.h"

#define HALF_MS    2    /* between the two events of a rename */
#define HALF_BYTES 4096 /* room for the second */
#define WATCHES    4096 /* directories of one call; the kernel bounds those of all calls */
#define EVENTS                                                                                     \
    (IN_CREATE | IN_DELETE | IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO |                 \
     IN_DELETE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)

/* One directory; its path is that of its parent and its name. */
struct watched {
    int wd; /* -1: free */
    int parent;
    char name[NAME_MAX + 1];
};

struct watcher {
    int fd;
    size_t n;
    bool tells;                            /* what is found in a directory is told: it is new */
    int levels[LIMIT_FILE_TREE_DEPTH + 2]; /* of the walk: the directory of each depth */
    struct watched dirs[WATCHES];
};

static struct watcher watcher; /* large */
static char path[WALK_PATH + NAME_MAX + 2];

/* Builds the path of `name` in a directory at the end of `path`; returns where it begins. */
static const char *path_of(const struct watcher *w, int dir, const char *name)
{
    size_t at = sizeof path - 1, len;

    while (name[0] != '\0' && at > (len = strlen(name))) {
        at -= len;
        memcpy(path + at, name, len);
        if (dir <= 0 || dir >= WATCHES)
            break;
        path[--at] = '/';
        name = w->dirs[dir].name;
        dir = w->dirs[dir].parent;
    }
    return path + at;
}

static void tell(struct call *c, enum file_change change, bool is_directory, const char *name)
{
    struct file_event event = {.change = change, .is_directory = is_directory};

    call_frame(c, FILE_EVENT, &event, name, strlen(name));
}

/* The index of the new watch, or -1: no room. */
static int add_directory(struct call *c, struct watcher *w, int fd, int parent, const char *name)
{
    char proc[32];
    size_t i = 0;
    int wd;

    snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
    while (i < w->n && w->dirs[i].wd >= 0)
        i++;
    wd = i < WATCHES ? inotify_add_watch(w->fd, proc, EVENTS) : -1;
    if (wd < 0) {
        tell(c, CHANGE_LOST, true, path_of(w, parent, name));
        return -1;
    }
    for (size_t k = 0; k < w->n; k++) {
        if (w->dirs[k].wd == wd)
            i = k; /* the same directory, met again */
    }
    w->dirs[i].wd = wd;
    w->dirs[i].parent = parent;
    snprintf(w->dirs[i].name, sizeof w->dirs[i].name, "%s", name);
    if (i == w->n)
        w->n++;
    return (int)i;
}

static int watch_entry(struct call *c, void *data, const struct walk_entry *entry)
{
    struct watcher *w = data;
    int parent = w->levels[entry->depth], fd, i;

    if (w->tells)
        tell(c, CHANGE_CREATED, S_ISDIR(entry->st.st_mode), path_of(w, parent, entry->name));
    if (!S_ISDIR(entry->st.st_mode))
        return 0;
    fd = openat(entry->dir, entry->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        if (!file_has_vanished(errno))
            tell(c, CHANGE_LOST, true, path_of(w, parent, entry->name));
        return 1;
    }
    i = add_directory(c, w, fd, parent, entry->name);
    close(fd);
    w->levels[entry->depth + 1] = i;
    return i < 0;
}

/* What replaces a file comes from a name of ours in the root, and only who sees that go knows the
 * one from a new file.  Is taken over when the root itself is watched. */
static void watch_staging(const struct call *c, const struct watcher *w)
{
    char proc[32];

    snprintf(proc, sizeof proc, "/proc/self/fd/%d", c->w->root);
    inotify_add_watch(w->fd, proc, IN_MOVED_FROM | IN_ONLYDIR);
}

/* Watches a directory and, if asked, all beneath it.  Takes fd over. */
static void watch_tree(struct call *c, struct watcher *w, int fd, int parent, const char *name)
{
    const struct walk walk = {.entry = watch_entry, .data = w, .cut = true};
    int i = add_directory(c, w, fd, parent, name);

    w->levels[0] = i;
    if (i < 0 || !call_has(c, FILE_RECURSIVE))
        close(fd);
    else if (walk_tree(c, fd, &walk) < 0 || c->truncated)
        tell(c, CHANGE_LOST, true,
             path_of(w, parent, name)); /* what is beneath is not all watched */
    c->truncated = 0;
    c->note[0] = '\0';
}

/* What is there now under this name. */
static int open_watched(struct call *c, const struct watcher *w, int dir, const char *name,
                        int flags)
{
    char whole[sizeof path];
    _cleanup_fd_ int top = path_open(c, c->w->path, O_PATH | O_DIRECTORY);

    snprintf(whole, sizeof whole, "%s", path_of(w, dir, name));
    c->note[0] = '\0';
    return top < 0 ? top : path_open_in(top, whole, flags | O_NOFOLLOW);
}

/* A file of O_TMPFILE goes by "#" and its inode, and IN_EXCL_UNLINK spares us only what is done by
 * a path: not fchmod(2). */
static bool is_nameless(struct call *c, const struct watcher *w, int dir, const char *name)
{
    _cleanup_fd_ int fd = -1;

    if (name[0] != '#' || name[1 + strspn(name + 1, "0123456789")] != '\0')
        return false;
    fd = open_watched(c, w, dir, name, O_PATH);
    return fd < 0;
}

/* A directory that has appeared: what is in it already has been told to nobody. */
static void watch_new(struct call *c, struct watcher *w, int dir, const char *name)
{
    int fd;

    if (!call_has(c, FILE_RECURSIVE))
        return;
    fd = open_watched(c, w, dir, name, O_RDONLY | O_DIRECTORY);
    if (fd >= 0)
        watch_tree(c, w, fd, dir, name);
}

static bool is_beneath(const struct watcher *w, int dir, int above)
{
    for (size_t i = 0; i < WATCHES && dir > 0; i++) {
        if (dir == above)
            return true;
        dir = w->dirs[dir].parent;
    }
    return false;
}

static int find_directory(const struct watcher *w, int parent, const char *name)
{
    for (size_t i = 1; i < w->n; i++) {
        if (w->dirs[i].wd >= 0 && w->dirs[i].parent == parent && strcmp(w->dirs[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

static void forget_tree(struct watcher *w, int dir)
{
    for (size_t i = 1; i < w->n && dir > 0; i++) {
        if (w->dirs[i].wd >= 0 && is_beneath(w, (int)i, dir))
            inotify_rm_watch(w->fd, w->dirs[i].wd); /* IN_IGNORED frees it */
    }
}

static void tell_arrival(struct call *c, struct watcher *w, int dir, const struct inotify_event *e)
{
    bool is_directory = (e->mask & IN_ISDIR) != 0;

    tell(c, CHANGE_CREATED, is_directory, path_of(w, dir, e->name));
    if (is_directory)
        watch_new(c, w, dir, e->name);
}

static void tell_departure(struct call *c, struct watcher *w, int dir,
                           const struct inotify_event *e)
{
    bool is_directory = (e->mask & IN_ISDIR) != 0;

    tell(c, CHANGE_REMOVED, is_directory, path_of(w, dir, e->name));
    if (is_directory)
        forget_tree(w, find_directory(w, dir, e->name));
}

static int index_of(const struct watcher *w, int wd)
{
    for (size_t i = 0; i < w->n; i++) {
        if (w->dirs[i].wd == wd)
            return (int)i;
    }
    return -1;
}

/* Both ends of a rename. */
static void tell_move(struct call *c, struct watcher *w, const struct inotify_event *from,
                      const struct inotify_event *to)
{
    int a = index_of(w, from->wd), b = index_of(w, to->wd), dir;
    static char text[2 * sizeof path];
    struct file_event event = {.change = CHANGE_MOVED,
                               .is_directory = (from->mask & IN_ISDIR) != 0};
    int n;

    if (b < 0)
        return;
    if (a < 0 && !file_is_hidden(from->name)) {
        tell_arrival(c, w, b, to);
        return;
    }
    if (file_is_hidden(from->name)) { /* our own: a file or a copy that is whole now */
        if (event.is_directory)
            tell_arrival(c, w, b, to);
        else
            tell(c, CHANGE_MODIFIED, false, path_of(w, b, to->name));
        return;
    }
    n = snprintf(text, sizeof text, "%s", path_of(w, a, from->name)) + 1;
    n += snprintf(text + n, sizeof text - (size_t)n, "%s", path_of(w, b, to->name));
    call_frame(c, FILE_EVENT, &event, text, (size_t)n);
    dir = event.is_directory ? find_directory(w, a, from->name) : -1;
    if (dir > 0) {
        w->dirs[dir].parent = b;
        snprintf(w->dirs[dir].name, sizeof w->dirs[dir].name, "%s", to->name);
    }
}

/* false: the directory itself is gone. */
static bool tell_event(struct call *c, struct watcher *w, const struct inotify_event *e)
{
    int dir;

    if ((e->mask & IN_Q_OVERFLOW) != 0) {
        tell(c, CHANGE_LOST, false, "");
        return true;
    }
    if ((dir = index_of(w, e->wd)) < 0)
        return true;
    if ((e->mask & IN_IGNORED) != 0)
        w->dirs[dir].wd = -1;
    if (dir == 0 && (e->mask & (IN_DELETE_SELF | IN_IGNORED)) != 0) {
        tell(c, CHANGE_REMOVED, true, "");
        return false;
    }
    if (e->len == 0 || file_is_hidden(e->name))
        return true;
    if ((e->mask & (IN_CREATE | IN_MOVED_TO)) != 0)
        tell_arrival(c, w, dir, e);
    else if ((e->mask & (IN_DELETE | IN_MOVED_FROM)) != 0)
        tell_departure(c, w, dir, e);
    else if ((e->mask & (IN_MODIFY | IN_ATTRIB)) != 0 && !is_nameless(c, w, dir, e->name))
        tell(c, CHANGE_MODIFIED, (e->mask & IN_ISDIR) != 0, path_of(w, dir, e->name));
    return true;
}

/* Where the last event begins, if it may be the first half of a rename; else len. */
static size_t find_half(const char *data, size_t len)
{
    size_t last = len;

    for (size_t at = 0; at < len;) {
        const struct inotify_event *e = (const void *)(data + at);

        last = (e->mask & IN_MOVED_FROM) != 0 ? at : len;
        at += sizeof *e + e->len;
    }
    return last;
}

/* Reads events.  The kernel puts the two halves of a rename one behind the other, but not at one
 * go: who reads between them waits a moment for the other, which does not come when the other end
 * is not watched. */
static ssize_t read_events(int fd, char *data, size_t cap)
{
    struct pollfd more = {.fd = fd, .events = POLLIN};
    ssize_t n = read(fd, data, cap - HALF_BYTES), rest;

    while (n > 0 && (size_t)n <= cap - HALF_BYTES && find_half(data, (size_t)n) < (size_t)n &&
           poll(&more, 1, HALF_MS) > 0 && (rest = read(fd, data + n, cap - (size_t)n)) > 0)
        n += rest;
    return n;
}

/* The two halves of a rename are one behind the other. */
static bool tell_events(struct call *c, struct watcher *w, const char *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        const struct inotify_event *e = (const void *)(data + at), *next;

        at += sizeof *e + e->len;
        next = (const void *)(data + at);
        if ((e->mask & IN_MOVED_FROM) != 0 && at < len && (next->mask & IN_MOVED_TO) != 0 &&
            next->cookie == e->cookie && !file_is_hidden(next->name)) {
            tell_move(c, w, e, next);
            at += sizeof *next + next->len;
        } else if (!tell_event(c, w, e)) {
            return false;
        }
    }
    return true;
}

int file_watch(struct call *c)
{
    static _Alignas(struct inotify_event) char data[64 << 10];
    struct watcher *w = &watcher;
    struct stat st;
    int fd = path_open(c, c->w->path, O_RDONLY | O_DIRECTORY);

    if (fd < 0)
        return fd;
    w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (w->fd < 0 || fstat(fd, &st) < 0) {
        close(fd);
        return call_explain(c, errno, "nothing more can be watched: %s", strerror(errno));
    }
    watch_staging(c, w);
    watch_tree(c, w, fd, -1, "");
    if (w->n == 0)
        return call_explain(c, ENOSPC, "nothing more can be watched");
    w->tells = true;
    call_info(c, &st, c->w->path, NULL);
    for (;;) {
        struct pollfd fds[] = {{.fd = w->fd, .events = POLLIN}, {.fd = c->w->stream}};
        ssize_t n;

        call_flush(c);
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return -errno;
        call_check(c);
        n = read_events(w->fd, data, sizeof data);
        if (n > 0 && !tell_events(c, w, data, (size_t)n))
            return 0;
    }
}

/* files: writing inputs and collecting outputs.
 *
 * Runs as pid 1 of a sandbox.  Names from the server are checked there already (relative, no "..");
 * names found in the workspace are hostile bytes and are only ever passed to *at() calls that do
 * not follow links.  Collecting starts when nobody is left who could change a file. */
#include "init/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "init/control.h"

#define CHUNK      (32u << 10)
#define DIR_CHUNK  2048 /* bytes of directory entries at a time; a level of recursion each */
#define FILE_MODE  0644
#define DIR_MODE   0755
#define PATH_BYTES (LIMIT_FILE_PATH + 1)

int files_open(struct files *f, const char *work_dir, struct err *e)
{
    f->dir = open(work_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->dir < 0)
        return err_set(e, ERR_INTERNAL, errno, "open %s", work_dir);
    return 0;
}

/* Makes the parents of `path` and opens the last one; *ret_last points to the final component.
 * Returns the descriptor or a negative errno. */
static int open_parent(const struct files *f, char *path, const char **ret_last)
{
    _cleanup_fd_ int at = dup(f->dir);
    char *part = path, *slash;

    while (at >= 0 && (slash = strchr(part, '/')) != NULL) {
        int next;

        *slash = '\0';
        if (mkdirat(at, part, DIR_MODE) == 0) {
            if (fchownat(at, part, f->owner, f->owner, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        } else if (errno != EEXIST) {
            return -errno;
        }
        next = openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        *slash = '/';
        if (next < 0)
            return -errno;
        close(at);
        at = next;
        part = slash + 1;
    }
    *ret_last = part;
    return at < 0 ? -errno : fd_steal(&at);
}

/* Opens a new file at `name`; an older one of that name goes.  Descriptor or negative errno. */
static int create_file(const struct files *f, const char *name)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    char path[PATH_BYTES];
    const char *last = NULL;
    _cleanup_fd_ int parent = -1;
    int fd;

    if (strchr(name, '/') == NULL && (fd = openat(f->dir, name, flags, FILE_MODE)) >= 0)
        return fd; /* the usual case in one call */
    snprintf(path, sizeof path, "%s", name);
    parent = open_parent(f, path, &last);
    if (parent < 0)
        return fd_steal(&parent);
    if (unlinkat(parent, last, 0) < 0 && errno != ENOENT)
        return -errno;
    fd = openat(parent, last, flags, FILE_MODE);
    return fd < 0 ? -errno : fd;
}

/* Remembers how an input looked; its time lies a second back, so that every later write shows. */
static int remember(struct files *f, int fd)
{
    struct timespec times[2];
    struct stat st;

    if (fstat(fd, &st) < 0)
        return errno;
    times[0] = times[1] = (struct timespec){st.st_mtim.tv_sec - 1, st.st_mtim.tv_nsec};
    if (futimens(fd, times) < 0 || fchown(fd, f->owner, f->owner) < 0)
        return errno;
    if (f->nseen < sizeof f->seen / sizeof f->seen[0])
        f->seen[f->nseen++] = (struct files_seen){st.st_ino, (uint64_t)st.st_size, times[1]};
    return 0;
}

int files_receive(struct files *f, struct control *c, const char *name, uint64_t size)
{
    char chunk[CHUNK];
    int error = 0;
    _cleanup_fd_ int fd = create_file(f, name);

    if (fd < 0)
        error = -fd;
    while (size > 0) {
        size_t n = control_read_raw(c, chunk, size < sizeof chunk ? (size_t)size : sizeof chunk);
        struct err e = {0};

        if (n == 0)
            _exit(0);
        if (error == 0 && fd_write_all(fd, chunk, n, &e) < 0)
            error = e.errnum;
        size -= n;
    }
    if (fd < 0)
        fd = -1;
    return error != 0 ? error : remember(f, fd);
}

bool files_storage_full(const char *work_dir)
{
    struct statvfs s;

    return statvfs(work_dir, &s) == 0 && (s.f_bavail == 0 || s.f_ffree == 0);
}

struct collection {
    struct files *files;
    struct control *control;
    const struct files_wanted *wanted;
    size_t nfiles, nskipped;
    uint64_t bytes;
};

static void skip(struct collection *k, const char *path, enum frame_skip_reason reason)
{
    struct frame_skipped fixed = {.reason = reason};
    size_t len = strlen(path);

    /* The server counts what it does not name; more than it ever shows need not be sent. */
    if (k->nskipped++ < 2 * LIMIT_SKIPPED_FILES)
        control_write(k->control, FRAME_SKIPPED, &fixed, sizeof fixed, path,
                      len < LIMIT_FILE_PATH ? len : LIMIT_FILE_PATH);
}

static bool is_unchanged(const struct files *f, const struct stat *st)
{
    for (size_t i = 0; i < f->nseen; i++) {
        const struct files_seen *s = &f->seen[i];

        if (s->inode == st->st_ino)
            return s->size == (uint64_t)st->st_size && s->mtime.tv_sec == st->st_mtim.tv_sec &&
                   s->mtime.tv_nsec == st->st_mtim.tv_nsec;
    }
    return false;
}

static enum frame_skip_reason check_file(const struct collection *k, const char *path,
                                         const struct stat *st)
{
    bool incomplete;

    if (S_ISLNK(st->st_mode))
        return SKIP_SYMLINK;
    if (!S_ISREG(st->st_mode))
        return SKIP_SPECIAL;
    if (utf8_valid_prefix(path, strlen(path), &incomplete) != strlen(path))
        return SKIP_NAME;
    if ((uint64_t)st->st_size > k->wanted->max_size)
        return SKIP_TOO_LARGE;
    if (k->nfiles >= LIMIT_OUTPUT_FILES)
        return SKIP_TOO_MANY;
    if (k->bytes + (uint64_t)st->st_size > LIMIT_OUTPUT_BYTES)
        return SKIP_TOTAL;
    return 0;
}

static void send_file(struct collection *k, int dir, const char *name, const char *path)
{
    char chunk[CHUNK];
    struct frame_blob blob;
    struct stat st;
    _cleanup_fd_ int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        skip(k, path, SKIP_UNREADABLE);
        return;
    }
    blob.size = (uint64_t)st.st_size;
    control_write(k->control, FRAME_OUTPUT, &blob, sizeof blob, path, strlen(path));
    for (uint64_t left = blob.size; left > 0;) {
        ssize_t n = read(fd, chunk, left < sizeof chunk ? (size_t)left : sizeof chunk);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            _exit(1); /* the frame promised more: nothing true can follow */
        control_write_raw(k->control, chunk, (size_t)n);
        left -= (uint64_t)n;
    }
    k->nfiles++;
    k->bytes += blob.size;
}

static void collect_dir(struct collection *k, int dir, const char *prefix, unsigned depth);

static void collect_entry(struct collection *k, int dir, const char *name, const char *path,
                          unsigned depth)
{
    enum frame_skip_reason reason;
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        skip(k, path, SKIP_UNREADABLE);
    } else if (S_ISDIR(st.st_mode) && k->wanted->changed && depth < LIMIT_FILE_DEPTH) {
        int sub = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (sub < 0)
            skip(k, path, SKIP_UNREADABLE);
        else
            collect_dir(k, sub, path, depth + 1);
    } else if (S_ISDIR(st.st_mode)) {
        skip(k, path, k->wanted->changed ? SKIP_TOO_DEEP : SKIP_DIRECTORY);
    } else if (strcmp(path, k->wanted->main_file) != 0 &&
               !(k->wanted->changed && is_unchanged(k->files, &st))) {
        reason = check_file(k, path, &st);
        if (reason != 0)
            skip(k, path, reason);
        else
            send_file(k, dir, name, path);
    }
}

static void collect_name(struct collection *k, int dir, const char *prefix, const char *name,
                         unsigned depth)
{
    char path[PATH_BYTES];
    int n;

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return;
    n = snprintf(path, sizeof path, "%s%s%s", prefix, prefix[0] != '\0' ? "/" : "", name);
    if (n < 0 || (size_t)n >= sizeof path)
        skip(k, path, SKIP_TOO_DEEP);
    else
        collect_entry(k, dir, name, path, depth);
}

/* A directory whose names cannot be read.  The uppermost has no name to tell: when we end before
 * the last frame, the server says that files are missing. */
static void lose_dir(struct collection *k, const char *prefix)
{
    if (prefix[0] != '\0') {
        skip(k, prefix, SKIP_UNREADABLE);
        return;
    }
    control_flush(k->control);
    _exit(1);
}

/* Takes over `dir`.  The depth is bounded, so the recursion is too.  Not readdir(3): its buffers
 * come from malloc, and what init has never touched costs page faults while a client waits. */
static void collect_dir(struct collection *k, int dir, const char *prefix, unsigned depth)
{
    _Alignas(struct dirent) char entries[DIR_CHUNK];
    long n;

    while ((n = syscall(SYS_getdents64, dir, entries, sizeof entries)) > 0) {
        for (long at = 0; at < n;) {
            const struct dirent *entry = (const void *)(entries + at);

            at += entry->d_reclen;
            collect_name(k, dir, prefix, entry->d_name, depth);
        }
    }
    if (n < 0)
        lose_dir(k, prefix);
    close(dir);
}

void files_send(struct files *f, struct control *c, const struct files_wanted *wanted)
{
    struct collection k = {.files = f, .control = c, .wanted = wanted};
    int dir = openat(f->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir >= 0)
        collect_dir(&k, dir, "", 1);
    else
        lose_dir(&k, "");
}

void files_send_hint(struct control *c)
{
    _cleanup_fd_ int fd = open(FILES_HINT, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    char text[FRAME_MODULES_MAX + 1];
    struct stat st;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return;
    n = read(fd, text, sizeof text);
    if (n > 0 && (size_t)n <= FRAME_MODULES_MAX)
        control_write(c, FRAME_MODULES, NULL, 0, text, (size_t)n);
}

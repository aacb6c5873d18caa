/* file_read: what there is, and what is in it: STAT, LIST, READ, USAGE.
 *
 * Runs in a child of a sandbox's init and changes nothing.  Only regular files are read, however
 * their names are changed meanwhile; it never waits for a FIFO or a device. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "init/file_internal.h"
#include "wire/workspace.h"

/* The target of an open link, or NULL. */
static const char *target_of(int fd, const char *name)
{
    static char target[PATH_MAX];
    ssize_t n = readlinkat(fd, name, target, sizeof target - 1);

    if (n < 0)
        return NULL;
    target[n] = '\0';
    return target;
}

int file_stat(struct call *c)
{
    int flags = call_has(c, FILE_FOLLOW) ? O_PATH : O_PATH | O_NOFOLLOW;
    _cleanup_fd_ int fd = path_open(c, c->w->path, flags);
    struct stat st;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    call_info(c, &st, c->w->path, S_ISLNK(st.st_mode) ? target_of(fd, "") : NULL);
    return 0;
}

struct listing {
    uint32_t left; /* entries that may still be told */
};

static int list_entry(struct call *c, void *data, const struct walk_entry *entry)
{
    struct listing *l = data;

    if (l->left == 0) {
        c->truncated = 1;
        return -ECANCELED; /* enough: it only ends the walk */
    }
    l->left--;
    call_info(c, &entry->st, entry->path,
              S_ISLNK(entry->st.st_mode) ? target_of(entry->dir, entry->name) : NULL);
    return 0;
}

int file_list(struct call *c)
{
    struct listing l = {.left = call_limit(c)};
    struct walk walk = {
        .entry = list_entry, .data = &l, .shallow = !call_has(c, FILE_RECURSIVE), .cut = true};
    int top = path_open(c, c->w->path, O_RDONLY | O_DIRECTORY), r;

    if (top < 0)
        return top;
    r = walk_tree(c, top, &walk);
    return r == -ECANCELED ? 0 : r;
}

int file_open_regular(struct call *c, const char *path, int flags, struct stat *ret)
{
    _cleanup_fd_ int fd = path_open(c, path, O_PATH);

    if (fd < 0)
        return fd_steal(&fd);
    if (fstat(fd, ret) < 0)
        return call_fail(c, errno, path);
    if (!S_ISREG(ret->st_mode))
        return call_fail(c, S_ISDIR(ret->st_mode) ? EISDIR : ENXIO, path);
    fd_close(&fd);
    fd = path_open(c, path, flags | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fd_steal(&fd);
    if (fstat(fd, ret) < 0)
        return call_fail(c, errno, path);
    if (!S_ISREG(ret->st_mode)) /* it was put there a moment ago */
        return call_fail(c, ENXIO, path);
    return fd_steal(&fd);
}

int file_read(struct call *c)
{
    const struct session_file *what = &c->w->what;
    struct file_bytes bytes = {0};
    struct stat st;
    _cleanup_fd_ int fd = file_open_regular(c, c->w->path, O_RDONLY, &st);
    uint64_t at = what->offset;

    if (fd < 0)
        return fd;
    if (at < (uint64_t)st.st_size)
        bytes.size = (uint64_t)st.st_size - at;
    if (bytes.size > what->size)
        bytes.size = what->size;
    call_info(c, &st, c->w->path, NULL);
    call_frame(c, FILE_BYTES, &bytes, "", 0);
    while (c->done < bytes.size) {
        uint64_t left = bytes.size - c->done;
        size_t want = left < sizeof c->buffer ? (size_t)left : sizeof c->buffer;
        ssize_t n = pread(fd, c->buffer, want, (off_t)(at + c->done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            call_flush(c);
            _exit(0); /* an END would be taken for bytes of the file */
        }
        call_send(c, c->buffer, (size_t)n);
        c->done += (uint64_t)n;
    }
    return 0;
}

int file_usage(struct call *c)
{
    struct file_storage s;
    struct statfs v;
    uint64_t used, inodes;

    if (fstatfs(c->w->root, &v) < 0)
        return -errno;
    used = v.f_blocks - v.f_bfree;
    inodes = v.f_files - v.f_ffree;
    /* An empty workspace is empty, and all of it can be used (wire/workspace.h). */
    if (v.f_type == EXT4_SUPER_MAGIC) {
        v.f_files -= WORKSPACE_OWN_INODES;
        used -= used < WORKSPACE_OWN_BLOCKS ? used : WORKSPACE_OWN_BLOCKS;
        inodes -= inodes < WORKSPACE_OWN_INODES ? inodes : WORKSPACE_OWN_INODES;
    }
    /* Its quota is what ext4 holds back: f_bavail knows it, and f_blocks does not. */
    s.used = used * (uint64_t)v.f_frsize;
    s.size = s.used + v.f_bavail * (uint64_t)v.f_frsize;
    s.inodes = v.f_files;
    s.inodes_used = inodes;
    call_frame(c, FILE_STORAGE, &s, "", 0);
    return 0;
}

/* file_tar_read: UNPACK: a tar archive becomes files beneath a directory.
 *
 * Runs in a child of a sandbox's init.  The archive is hostile: each name is resolved beneath the
 * directory (path_open_in), so neither ".." nor a link, also one made by an earlier member, leads
 * out of it.  What was unpacked before an error stays. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "init/file_internal.h"
#include "init/file_tar.h"

struct unpack {
    int top;         /* the directory given */
    size_t have, at; /* of the buffer of the call */
    struct tar_member member;
    bool has_name, has_target; /* GNU's long ones, for the next member */
    char name[TAR_NAME], target[TAR_NAME];
    size_t nrecords;
    char records[TAR_EXTRA];
};

static struct unpack unpack; /* large */

/* Takes at most `len` bytes of the archive; 0: it ends here. */
static size_t take(struct call *c, struct unpack *u, const char **ret, size_t len)
{
    size_t n;

    if (u->at == u->have) {
        u->at = 0;
        u->have = call_receive(c, c->buffer, sizeof c->buffer, false);
    }
    n = u->have - u->at < len ? u->have - u->at : len;
    *ret = c->buffer + u->at;
    u->at += n;
    return n;
}

static int take_all(struct call *c, struct unpack *u, char *out, size_t len)
{
    while (len > 0) {
        const char *p;
        size_t n = take(c, u, &p, len);

        if (n == 0)
            return call_explain(c, EINVAL, "the archive ends early");
        if (out != NULL) {
            memcpy(out, p, n);
            out += n;
        }
        len -= n;
    }
    return 0;
}

static int skip_bytes(struct call *c, struct unpack *u, uint64_t len)
{
    while (len > 0) {
        size_t n = len < (1u << 30) ? (size_t)len : 1u << 30;
        int r = take_all(c, u, NULL, n);

        if (r < 0)
            return r;
        len -= n;
    }
    return 0;
}

static uint64_t padding(uint64_t size)
{
    return (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK;
}

/* Splits a member's name: no root before it, no ".." in it, no slash behind it.  NULL: refused; ""
 * is the directory itself. */
static char *clean_name(char *name)
{
    char *in = name, *out = name;

    for (;;) {
        size_t len;

        in += strspn(in, "/");
        len = strcspn(in, "/");
        if (len == 0)
            break;
        if (len == 2 && memcmp(in, "..", 2) == 0)
            return NULL;
        if (len != 1 || in[0] != '.') {
            if (out != name)
                *out++ = '/';
            memmove(out, in, len);
            out += len;
        }
        in += len;
    }
    *out = '\0';
    return name;
}

/* Opens the directory of `name` beneath the top, and makes what is missing of it. */
static int member_place(struct call *c, struct unpack *u, char *name, struct place *ret)
{
    char *slash = strrchr(name, '/');
    const char *last = slash != NULL ? slash + 1 : name;
    size_t at = 0;

    if (strlen(last) > NAME_MAX)
        return -ENAMETOOLONG;
    strcpy(ret->name, last);
    ret->dir = path_open_in(u->top, "", O_PATH | O_DIRECTORY);
    while (slash != NULL && at < (size_t)(slash - name) && ret->dir >= 0) {
        size_t end = at + strcspn(name + at, "/");
        int next, r;

        name[end] = '\0';
        next = path_open_in(u->top, name, O_PATH | O_DIRECTORY);
        if (next == -ENOENT) {
            r = path_make_directory(c, ret->dir, name + at, DIR_MODE);
            next = r < 0 && r != -EEXIST ? r : path_open_in(u->top, name, O_PATH | O_DIRECTORY);
        }
        name[end] = '/';
        place_finish(ret);
        ret->dir = next;
        at = end + 1;
    }
    return ret->dir < 0 ? ret->dir : 0;
}

static int unpack_file(struct call *c, struct unpack *u, const struct place *at)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_sec = u->member.modified_s}};
    _cleanup_fd_ int fd = staged_open(c, at->dir);
    uint64_t left = u->member.size;
    int r;

    if (fd < 0)
        return fd_steal(&fd);
    while (left > 0) {
        const char *p;
        size_t n = take(c, u, &p, left < sizeof c->buffer ? (size_t)left : sizeof c->buffer);

        if (n == 0)
            return call_explain(c, EINVAL, "the archive ends early");
        if ((r = file_write_all(fd, p, n)) < 0)
            return r;
        left -= n;
        c->done += n;
    }
    if ((r = staged_own(c, fd, u->member.mode)) < 0)
        return r;
    if (futimens(fd, times) < 0)
        return -errno;
    return staged_commit(c, fd, at, false);
}

static int unpack_directory(struct call *c, struct unpack *u, const struct place *at)
{
    int r = path_make_directory(c, at->dir, at->name, u->member.mode & MODE_ALLOWED);
    struct stat st;

    if (r == -EEXIST && fstatat(at->dir, at->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
    return r;
}

/* Links take the place of whatever is no directory. */
static int unpack_link(struct call *c, struct unpack *u, const struct place *at)
{
    _cleanup_place_ struct place from = {.dir = -1};
    char *target = u->member.target;
    int r;

    if (u->member.type == '1') {
        if ((target = clean_name(target)) == NULL || target[0] == '\0')
            return call_fail(c, EXDEV, u->member.target);
        if ((r = member_place(c, u, target, &from)) < 0)
            return r;
        if (from.dir >= 0 && faccessat(from.dir, from.name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
            return -errno;
    }
    if (unlinkat(at->dir, at->name, 0) < 0 && errno != ENOENT)
        return -errno;
    if (u->member.type == '1')
        r = linkat(from.dir, from.name, at->dir, at->name, 0);
    else if ((r = symlinkat(target, at->dir, at->name)) == 0)
        r = fchownat(at->dir, at->name, c->w->owner, c->w->owner, AT_SYMLINK_NOFOLLOW);
    return r < 0 ? -errno : 0;
}

static int unpack_named(struct call *c, struct unpack *u, char *name)
{
    _cleanup_place_ struct place at = {.dir = -1};
    struct stat st;
    int r = member_place(c, u, name, &at);

    if (r < 0)
        return r;
    if (u->member.type == '0')
        r = unpack_file(c, u, &at);
    else
        r = u->member.type == '5' ? unpack_directory(c, u, &at) : unpack_link(c, u, &at);
    if (r == 0 && fstatat(at.dir, at.name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        call_info(c, &st, name, u->member.type == '2' ? u->member.target : NULL);
    return r;
}

static int unpack_member(struct call *c, struct unpack *u)
{
    uint64_t size;
    char *name;
    int r;

    if (u->has_name)
        strcpy(u->member.name, u->name);
    if (u->has_target)
        strcpy(u->member.target, u->target);
    if (tar_apply(&u->member, u->records, u->nrecords) < 0)
        return call_explain(c, EINVAL, "the archive has records that cannot be read");
    u->has_name = u->has_target = false;
    u->nrecords = 0;
    size = u->member.size;
    if (u->member.type == 'S')
        return call_explain(c, EINVAL, "the archive has a sparse member");
    if (strchr("0125", u->member.type) == NULL) {
        c->left_out++;
        return skip_bytes(c, u, size + padding(size));
    }
    if ((name = clean_name(u->member.name)) == NULL)
        return call_explain(c, EXDEV, "a member leads out of the directory: %.150s",
                            u->member.name);
    if (name[0] == '\0')
        return skip_bytes(c, u, size + padding(size));
    if ((r = unpack_named(c, u, name)) < 0)
        return call_fail(c, -r, name);
    return skip_bytes(c, u, padding(size));
}

/* What stands before a member and speaks of it. */
static int take_extra(struct call *c, struct unpack *u)
{
    const uint64_t size = u->member.size;
    int r;

    if (size >= sizeof u->records)
        return call_explain(c, EINVAL, "the archive has a name or record that is too long");
    if (u->member.type == 'x') {
        u->nrecords = (size_t)size;
        r = take_all(c, u, u->records, (size_t)size);
    } else if (u->member.type == 'g') {
        r = skip_bytes(c, u, size);
    } else {
        char *out = u->member.type == 'L' ? u->name : u->target;

        if (size >= TAR_NAME)
            return call_explain(c, EINVAL, "the archive has a name that is too long");
        memset(out, 0, TAR_NAME);
        r = take_all(c, u, out, (size_t)size);
        *(u->member.type == 'L' ? &u->has_name : &u->has_target) = true;
    }
    return r < 0 ? r : skip_bytes(c, u, padding(size));
}

static int unpack_all(struct call *c, struct unpack *u)
{
    char block[TAR_BLOCK];
    const char *p;
    int r;

    for (;;) {
        size_t n = take(c, u, &p, TAR_BLOCK);

        if (n == 0)
            return 0; /* without the zeros at its end, as some leave it */
        memcpy(block, p, n);
        if ((r = take_all(c, u, block + n, TAR_BLOCK - n)) < 0)
            return r;
        r = tar_parse(block, &u->member);
        if (r < 0)
            return call_explain(c, EINVAL, "this is no tar archive, or it is damaged");
        if (r == 0)
            break;
        r = strchr("xgLK", u->member.type) != NULL ? take_extra(c, u) : unpack_member(c, u);
        if (r < 0)
            return r;
    }
    while (take(c, u, &p, sizeof c->buffer) > 0)
        ; /* more zeros */
    return 0;
}

int file_unpack(struct call *c)
{
    int r;

    if (call_has(c, FILE_PARENTS) && !path_is_root(c->w->path)) {
        _cleanup_place_ struct place at = {.dir = -1};

        if ((r = path_place(c, c->w->path, true, true, &at)) < 0)
            return r;
        r = path_make_directory(c, at.dir, at.name, DIR_MODE);
        if (r < 0 && r != -EEXIST)
            return r;
    }
    unpack.top = path_open(c, c->w->path, O_RDONLY | O_DIRECTORY);
    return unpack.top < 0 ? unpack.top : unpack_all(c, &unpack);
}

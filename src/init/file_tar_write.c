/* file_tar_write: PACK: a tree as a tar archive.
 *
 * Runs in a child of a sandbox's init and changes nothing.  Sockets, FIFOs and devices are left
 * out and counted.  A header promises a size: a file that shrinks is filled up with zeros, and the
 * end says so. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "init/file_internal.h"
#include "init/file_tar.h"

#define LINKS_KEPT 1024 /* files with several names that are recognized; others are repeated */

struct pack {
    struct tar_member member;
    char head[TAR_HEAD];
    size_t nlinks;
    struct {
        dev_t dev;
        ino_t inode;
        uint32_t name; /* where it begins in names */
    } links[LINKS_KEPT];
    size_t nnames;
    char names[64 << 10];
};

static struct pack pack; /* large */

static void send_chunk(struct call *c, const void *data, size_t len)
{
    uint32_t head = (uint32_t)len;

    if (len == 0)
        return;
    call_send(c, &head, sizeof head);
    call_send(c, data, len);
}

static void send_head(struct call *c, struct pack *p)
{
    send_chunk(c, p->head, tar_format(&p->member, p->head));
}

static int send_file(struct call *c, int fd, uint64_t size)
{
    const uint64_t padded = (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;

    for (uint64_t at = 0; at < padded;) {
        uint64_t left = padded - at;
        size_t len = left < sizeof c->buffer ? (size_t)left : sizeof c->buffer;
        size_t want = at + len > size ? (size_t)(size - at) : len, have = 0;

        while (have < want) {
            ssize_t n = pread(fd, c->buffer + have, want - have, (off_t)(at + have));

            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0)
                return call_fail(c, errno, "read");
            if (n == 0) {
                call_explain(c, 0, "files have changed while they were packed");
                break;
            }
            have += (size_t)n;
        }
        memset(c->buffer + have, 0, len - have);
        send_chunk(c, c->buffer, len);
        at += len;
        c->done += have;
    }
    return 0;
}

/* The name under which the same file has been packed already, or NULL; keeps a new one. */
static const char *earlier_name(struct pack *p, const struct stat *st, const char *name)
{
    size_t len = strlen(name) + 1;

    if (st->st_nlink < 2)
        return NULL;
    for (size_t i = 0; i < p->nlinks; i++) {
        if (p->links[i].inode == st->st_ino && p->links[i].dev == st->st_dev)
            return p->names + p->links[i].name;
    }
    if (p->nlinks < LINKS_KEPT && len <= sizeof p->names - p->nnames) {
        p->links[p->nlinks].dev = st->st_dev;
        p->links[p->nlinks].inode = st->st_ino;
        p->links[p->nlinks++].name = (uint32_t)p->nnames;
        memcpy(p->names + p->nnames, name, len);
        p->nnames += len;
    }
    return NULL;
}

static int pack_file(struct call *c, struct pack *p, int dir, const char *name)
{
    _cleanup_fd_ int fd =
        openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    const char *earlier;
    struct stat st;

    if ((fd < 0 && !file_has_vanished(errno) && errno != ENXIO) || (fd >= 0 && fstat(fd, &st) < 0))
        return call_fail(c, errno, p->member.name);
    if (fd < 0 || !S_ISREG(st.st_mode)) {
        c->left_out++;
        return 0;
    }
    earlier = earlier_name(p, &st, p->member.name);
    p->member.type = earlier != NULL ? '1' : '0';
    p->member.size = earlier != NULL ? 0 : (uint64_t)st.st_size;
    snprintf(p->member.target, sizeof p->member.target, "%s", earlier != NULL ? earlier : "");
    send_head(c, p);
    return send_file(c, fd, p->member.size);
}

static int pack_entry(struct call *c, void *data, const struct walk_entry *entry)
{
    const char *slash = S_ISDIR(entry->st.st_mode) ? "/" : "";
    struct pack *p = data;
    ssize_t n;

    if (strlen(entry->path) + 2 > sizeof p->member.name) {
        c->left_out++;
        return 1;
    }
    strcpy(p->member.name, entry->path);
    strcat(p->member.name, slash);
    p->member.mode = entry->st.st_mode & 07777;
    p->member.modified_s = entry->st.st_mtim.tv_sec;
    p->member.size = 0;
    if (S_ISREG(entry->st.st_mode)) {
        return pack_file(c, p, entry->dir, entry->name);
    } else if (S_ISDIR(entry->st.st_mode)) {
        p->member.type = '5';
        send_head(c, p);
    } else if (S_ISLNK(entry->st.st_mode)) {
        n = readlinkat(entry->dir, entry->name, p->member.target, sizeof p->member.target - 1);
        if (n < 0)
            return 0;
        p->member.target[n] = '\0';
        p->member.type = '2';
        send_head(c, p);
    } else {
        c->left_out++;
    }
    return 0;
}

static int pack_one(struct call *c, int dir, const char *name)
{
    struct walk_entry entry = {.dir = dir, .name = name, .path = name};

    if (fstatat(dir, name, &entry.st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return pack_entry(c, &pack, &entry);
}

int file_pack(struct call *c)
{
    static const char zeros[2 * TAR_BLOCK];
    static const struct walk walk = {.entry = pack_entry, .data = &pack};
    struct file_bytes bytes = {.size = FILE_UNTIL_END};
    int top = path_open(c, c->w->path, O_RDONLY | O_DIRECTORY), r;
    _cleanup_place_ struct place at = {.dir = -1};
    uint32_t last = 0;

    if (top == -ENOTDIR) {
        c->note[0] = '\0';
        if ((r = path_place(c, c->w->path, false, true, &at)) < 0)
            return r;
    } else if (top < 0) {
        return top;
    }
    call_frame(c, FILE_BYTES, &bytes, "", 0);
    r = top >= 0 ? walk_tree(c, top, &walk) : pack_one(c, at.dir, at.name);
    if (r >= 0)
        send_chunk(c, zeros, sizeof zeros);
    call_send(c, &last, sizeof last);
    return r < 0 ? r : 0;
}

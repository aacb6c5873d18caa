/* fd: descriptors that close themselves, and descriptors passed over Unix sockets.  Used by every
 * process.  The peer of a socket may be hostile: what it sends beyond the agreed size or number of
 * descriptors is closed at once and never kept. */
#include "base/fd.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16 */
#endif

/* Room for the largest permitted set of descriptors, aligned as the kernel wants it. */
union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
};

struct fd_set_received {
    int fds[FD_PASS_MAX];
    size_t n;
};

void fd_close(int *fd)
{
    if (*fd < 0)
        return;
    int kept = errno;
    /* Linux frees the descriptor even when close() answers EINTR (close(2)): never retry. */
    close(*fd);
    *fd = -1;
    errno = kept;
}

int fd_steal(int *fd)
{
    int stolen = *fd;
    *fd = -1;
    return stolen;
}

int fd_set_nonblock(int fd, struct err *e)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return err_set(e, ERR_INTERNAL, errno, "set O_NONBLOCK");
    return 0;
}

static enum err_code code_of(int errnum)
{
    switch (errnum) {
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
        return ERR_CLOSED;
    case EAGAIN:
    case ENOBUFS:
        return ERR_UNAVAILABLE;
    default:
        return ERR_INTERNAL;
    }
}

int fd_write_all(int fd, const void *data, size_t len, struct err *e)
{
    const char *p = data;
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(e, code_of(errno), errno, "write");
        if (n == 0)
            return err_set(e, ERR_INTERNAL, EIO, "write made no progress");
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

struct message {
    const void *data;
    size_t len;
    const int *fds;
    size_t nfds;
};

static int send_message(int sock, const struct message *m, int flags, struct err *e)
{
    /* An empty message would look like the end of the connection to the receiver. */
    if (m->len == 0)
        return err_set(e, ERR_INVALID, EINVAL, "send an empty message");
    if (m->nfds > FD_PASS_MAX)
        return err_set(e, ERR_INVALID, EINVAL, "send %zu descriptors", m->nfds);

    union control control = {0};
    struct iovec iov = {.iov_base = (void *)m->data, .iov_len = m->len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (m->nfds > 0) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * m->nfds);
        struct cmsghdr *c = &control.align;
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * m->nfds);
        memcpy(CMSG_DATA(c), m->fds, sizeof(int) * m->nfds);
    }

    ssize_t n;
    do {
        n = sendmsg(sock, &msg, MSG_NOSIGNAL | flags);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_set(e, code_of(errno), errno, "send a message");
    if ((size_t)n != m->len)
        return err_set(e, ERR_INTERNAL, EMSGSIZE, "sent %zd of %zu bytes", n, m->len);
    return 0;
}

int fd_send(int sock, const void *data, size_t len, const int *fds, size_t nfds, struct err *e)
{
    return send_message(sock, &(struct message){data, len, fds, nfds}, 0, e);
}

int fd_try_send(int sock, const void *data, size_t len, const int *fds, size_t nfds, struct err *e)
{
    return send_message(sock, &(struct message){data, len, fds, nfds}, MSG_DONTWAIT, e);
}

static void close_received(struct fd_set_received *got)
{
    for (size_t i = 0; i < got->n; i++)
        fd_close(&got->fds[i]);
    got->n = 0;
}

/* Takes every descriptor out of the control data, whatever the peer did. */
static void take_descriptors(struct msghdr *msg, struct fd_set_received *got)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (got->n < FD_PASS_MAX)
                got->fds[got->n++] = fd;
            else
                fd_close(&fd);
        }
    }
}

ssize_t fd_recv(int sock, void *data, size_t cap, int *fds, size_t max_fds, size_t *ret_nfds,
                struct err *e)
{
    assert(max_fds <= FD_PASS_MAX);
    union control control = {0};
    struct iovec iov = {.iov_base = data, .iov_len = cap};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof control.bytes};
    ssize_t n;
    do {
        n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_set(e, code_of(errno), errno, "receive a message");

    struct fd_set_received got = {.n = 0};
    take_descriptors(&msg, &got);
    const char *fault = NULL;
    if (msg.msg_flags & MSG_TRUNC)
        fault = "received a message that is too long";
    else if ((msg.msg_flags & MSG_CTRUNC) || got.n > max_fds)
        fault = "received too many descriptors";
    else if (n == 0 && got.n > 0)
        fault = "received descriptors without a message";
    if (fault) {
        close_received(&got);
        return err_set(e, ERR_INVALID, EPROTO, "%s", fault);
    }
    if (got.n > 0)
        memcpy(fds, got.fds, got.n * sizeof(int));
    if (ret_nfds)
        *ret_nfds = got.n;
    return n;
}

void fd_take_no_descriptors(int sock)
{
    setsockopt(sock, SOL_SOCKET, SO_PASSRIGHTS, &(const int){0}, sizeof(int));
}

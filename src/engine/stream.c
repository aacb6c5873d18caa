/* stream: one watched descriptor of a session.
 *
 * Runs in the server's loop.  Knows nothing of what is said over it. */
#include "engine/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

struct stream {
    uv_poll_t poll;
    int fd;
    int watched;
    void (*on_ready)(void *data, int events);
    void *data;
};

struct stream *stream_create(uv_loop_t *loop, int fd, void (*on_ready)(void *data, int events),
                             void *data, struct err *e)
{
    struct stream *s = calloc(1, sizeof *s);

    if (s == NULL || fd_set_nonblock(fd, e) < 0 || uv_poll_init(loop, &s->poll, fd) < 0) {
        free(s);
        fd_close(&fd);
        err_set(e, ERR_INTERNAL, 0, "watch a descriptor of a session");
        return NULL;
    }
    s->poll.data = s;
    s->fd = fd;
    s->on_ready = on_ready;
    s->data = data;
    return s;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct stream *s = poll->data;

    s->on_ready(s->data, status < 0 ? s->watched : events);
}

void stream_watch(struct stream *s, int events)
{
    if (events == s->watched)
        return;
    s->watched = events;
    if (events == 0)
        uv_poll_stop(&s->poll);
    else
        uv_poll_start(&s->poll, events, on_poll);
}

int stream_fd(const struct stream *s)
{
    return s->fd;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void stream_close(struct stream **s)
{
    if (*s == NULL)
        return;
    uv_close((uv_handle_t *)&(*s)->poll, on_closed);
    fd_close(&(*s)->fd);
    *s = NULL;
}

int stream_memory(const char *name, const char *data, size_t len, struct err *e)
{
    _cleanup_fd_ int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return err_set(e, ERR_INTERNAL, errno, "memfd_create");
    if (fd_write_all(fd, data, len, e) < 0)
        return -1;
    if (lseek(fd, 0, SEEK_SET) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
        return err_set(e, ERR_INTERNAL, errno, "seal a file in memory");
    return fd_steal(&fd);
}

int stream_pipe(bool far_reads, int *ret_near, int *ret_far, struct err *e)
{
    int fds[2], far = far_reads ? 0 : 1;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_set(e, ERR_INTERNAL, errno, "make a pipe");
    /* open(2) of /dev/stdin or /dev/stderr asks the mode of the pipe, which is the server's own. */
    if (fchmod(fds[far], far_reads ? 0444 : 0222) < 0) {
        err_set(e, ERR_INTERNAL, errno, "mode of a pipe");
        fd_close(&fds[0]);
        fd_close(&fds[1]);
        return -1;
    }
    *ret_far = fds[far];
    *ret_near = fds[1 - far];
    return 0;
}

int stream_pair(int type, int *ret_near, int *ret_far, struct err *e)
{
    int fds[2];

    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) < 0)
        return err_set(e, ERR_INTERNAL, errno, "make a pair of sockets");
    fd_take_no_descriptors(fds[0]);
    *ret_near = fds[0];
    *ret_far = fds[1];
    return 0;
}

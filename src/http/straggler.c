/* straggler: a refused client that is still sending; its socket stays open for a moment.  Runs in
 * the server.  Closing a socket with unread bytes makes the kernel send a reset, and the client
 * then sees a broken connection instead of the 413.  Must never keep what it reads, nor stay longer
 * than LIMIT_HTTP_LINGER_S. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "http/server.h"

#define READS_PER_EVENT 16

struct straggler {
    struct http_server *server;
    TAILQ_ENTRY(straggler) all;
    uv_poll_t poll;
    int fd;
    uint64_t start_ms;
};

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void straggler_close(struct straggler *l)
{
    uv_close((uv_handle_t *)&l->poll, on_closed);
    close(l->fd);
    TAILQ_REMOVE(&l->server->stragglers, l, all);
    server_drop_socket(l->server);
}

void straggler_check_deadlines(struct http_server *s, uint64_t now_ms)
{
    struct straggler *l, *next;
    for (l = TAILQ_FIRST(&s->stragglers); l; l = next) {
        next = TAILQ_NEXT(l, all);
        if (now_ms - l->start_ms >= (uint64_t)LIMIT_HTTP_LINGER_S * s->second_ms)
            straggler_close(l);
    }
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
    static char dropped[64 << 10];
    struct straggler *l = handle->data;
    for (int i = 0; i < READS_PER_EVENT; i++) {
        ssize_t n = read(l->fd, dropped, sizeof dropped);
        if (n > 0)
            continue;
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            straggler_close(l);
        return;
    }
}

void straggler_start(struct http_server *s, int fd)
{
    struct straggler *l = calloc(1, sizeof *l);
    if (!l || uv_poll_init(s->loop, &l->poll, fd) < 0) {
        free(l);
        close(fd);
        return;
    }
    l->server = s;
    l->fd = fd;
    l->start_ms = uv_now(s->loop);
    l->poll.data = l;
    TAILQ_INSERT_TAIL(&s->stragglers, l, all);
    server_add_socket(s);
    if (uv_poll_start(&l->poll, UV_READABLE, on_readable) < 0)
        straggler_close(l);
}

/* listen: the listening sockets.  Runs in the server.  Must never accept more connections than the
 * server has room for: what is not accepted waits in the kernel. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>

#include "base/fd.h"
#include "base/log.h"
#include "http/server.h"

/* Connections taken before others get their turn. */
#define ACCEPTS_PER_EVENT 64

struct address {
    struct sockaddr_storage storage;
    socklen_t len;
};

static int parse_address(const char *text, int port, struct address *ret)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&ret->storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ret->storage;
    memset(ret, 0, sizeof *ret);
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        ret->len = sizeof *v4;
        return 0;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        ret->len = sizeof *v6;
        return 0;
    }
    return -1;
}

/* Accepted sockets inherit these.  Keep-alive probes find clients that vanished without a word
 * while a request is worked on: after 60 + 4 * 15 s the socket reports an error. */
static int set_options(int fd, int family)
{
    static const struct option {
        int level, name, value;
    } options[] = {
        {SOL_SOCKET, SO_REUSEADDR, 1},    {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},    {IPPROTO_TCP, TCP_KEEPIDLE, 60},
        {IPPROTO_TCP, TCP_KEEPINTVL, 15}, {IPPROTO_TCP, TCP_KEEPCNT, 4},
    };
    int one = 1;
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int)) < 0)
            return -1;
    return family == AF_INET6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) : 0;
}

static int open_socket(const char *host, int port, int *ret_fd, struct err *e)
{
    struct address address;
    if (parse_address(host, port, &address) < 0)
        return err_set(e, ERR_INVALID, 0, "listen on \"%s\": not an IP address", host);
    int family = address.storage.ss_family;
    _cleanup_fd_ int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || set_options(fd, family) < 0 ||
        bind(fd, (struct sockaddr *)&address.storage, address.len) < 0 ||
        listen(fd, LIMIT_HTTP_BACKLOG) < 0)
        return err_set(e, ERR_UNAVAILABLE, errno, "listen on %s port %d", host, port);
    *ret_fd = fd_steal(&fd);
    return 0;
}

static int port_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        return 0;
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

/* -- accepting */

static bool is_out_of_resources(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* Takes one connection.  False when there is none or no room for it. */
static bool accept_one(struct listener *l)
{
    struct http_server *s = l->server;
    if (s->nsockets >= s->max_sockets && !server_evict_idle(s)) {
        listen_pause(s);
        return false;
    }
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof peer;
    int fd = accept4(l->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        connection_open(s, fd, &peer);
        return true;
    }
    if (is_out_of_resources(errno)) {
        log_event(LOG_WARNING, "http_accept_paused", LOG_STR("reason", strerror(errno)));
        listen_pause(s);
        return false;
    }
    /* Everything else is an error of the connection that was to be taken: accept(2). */
    return errno != EAGAIN;
}

static void on_connection(uv_poll_t *handle, int status, int events)
{
    struct listener *l = handle->data;
    for (int i = 0; i < ACCEPTS_PER_EVENT; i++)
        if (!accept_one(l))
            break;
}

void listen_resume(struct http_server *s)
{
    if (s->is_accepting || s->is_draining)
        return;
    s->is_accepting = true;
    for (size_t i = 0; i < s->nlisteners; i++)
        uv_poll_start(&s->listeners[i].poll, UV_READABLE, on_connection);
}

void listen_pause(struct http_server *s)
{
    if (!s->is_accepting)
        return;
    s->is_accepting = false;
    server_start_sweep(s); /* it tries again */
    for (size_t i = 0; i < s->nlisteners; i++)
        uv_poll_stop(&s->listeners[i].poll);
}

/* -- opening and closing */

static int add_listener(struct http_server *s, const char *host, int port, struct err *e)
{
    _cleanup_fd_ int fd = -1;
    if (open_socket(host, port, &fd, e) < 0)
        return -1;
    struct listener *l = &s->listeners[s->nlisteners];
    int error = uv_poll_init(s->loop, &l->poll, fd);
    if (error < 0)
        return err_set(e, ERR_INTERNAL, -error, "watch %s port %d", host, port);
    if (s->port == 0)
        s->port = port_of(fd);
    l->server = s;
    l->fd = fd_steal(&fd);
    l->poll.data = l;
    s->nlisteners++;
    s->open_handles++;
    return 0;
}

/* Each configured address; on the second port, or else on the first. */
static int open_addresses(struct http_server *s, bool is_second, struct err *e)
{
    const struct http_config *config = &s->config;
    for (size_t i = 0; i < config->nhosts; i++) {
        bool is_localhost = strcasecmp(config->hosts[i], "localhost") == 0;
        if (add_listener(s, is_localhost ? "127.0.0.1" : config->hosts[i],
                         is_second ? config->second_port : s->port, e) < 0)
            return -1;
        /* Not every machine has IPv6. */
        if (is_localhost)
            (void)add_listener(s, "::1", is_second ? config->second_port : s->port, NULL);
    }
    return 0;
}

int listen_open_all(struct http_server *s, struct err *e)
{
    const struct http_config *config = &s->config;
    if (config->nhosts == 0)
        return err_set(e, ERR_INVALID, 0, "no address to listen on");
    s->port = config->port;
    /* "localhost" may need two, on each port. */
    s->listeners = calloc(4 * config->nhosts, sizeof *s->listeners);
    if (!s->listeners)
        return err_set(e, ERR_INTERNAL, ENOMEM, "listen");
    if (open_addresses(s, false, e) < 0)
        return -1;
    return config->second_port > 0 ? open_addresses(s, true, e) : 0;
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct listener *l = handle->data;
    server_release(l->server);
}

void listen_close_all(struct http_server *s)
{
    listen_pause(s);
    for (size_t i = 0; i < s->nlisteners; i++) {
        if (s->listeners[i].fd < 0)
            continue;
        uv_close((uv_handle_t *)&s->listeners[i].poll, on_listener_closed);
        fd_close(&s->listeners[i].fd);
    }
}

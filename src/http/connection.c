/* connection: one client socket, the libmicrohttpd that reads it, and its deadlines.  Runs in the
 * server; trusts nothing the client sends.  Must never close the socket while the loop watches it:
 * libmicrohttpd owns the descriptor and tells us just before it lets go.
 *
 * Known of libmicrohttpd 1.0.1 at this strictness: it mistakes the line end behind a chunk
 * extension for data and so answers 400; nobody sends extensions, and refusing them is safe. */
#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <fcntl.h>

#include "base/fd.h"
#include "base/log.h"
#include "http/internal.h"
#include "http/server.h"

/* Rounds of libmicrohttpd before other connections get their turn: 16 reads of 16 KiB. */
#define TURNS 16

void connection_enter(struct connection *c, enum connection_phase phase)
{
    c->phase = phase;
    c->phase_ms = c->progress_ms = uv_now(c->server->loop);
    c->unsent = 0;
}

/* -- what libmicrohttpd reports */

/* The status with which libmicrohttpd is about to refuse a broken request, going by what it logs:
 * it either answers with a page of its own or (when the bytes do not even look like HTTP) closes
 * the connection without a word.  There is no other interface for it; should a later version word
 * these messages differently, clients get its page instead of our JSON, and a test says so.  0:
 * neither. */
__attribute__((format(printf, 1, 0))) static int refusal_in_log(const char *format, va_list args)
{
    static const char answer[] = "Error processing request (HTTP response code is %u";
    static const char closing[] = "%s\n";
    if (strcmp(format, closing) == 0)
        return MHD_HTTP_BAD_REQUEST;
    if (strncmp(format, answer, sizeof answer - 1) != 0)
        return 0;
    va_list copy;
    va_copy(copy, args);
    int status = (int)va_arg(copy, unsigned);
    va_end(copy);
    return status;
}

__attribute__((format(printf, 2, 0))) static void on_log(void *cls, const char *format,
                                                         va_list args)
{
    struct connection *c = cls;
    int status = c->phase < CONNECTION_WORKING && !c->lingers ? refusal_in_log(format, args) : 0;
    if (status)
        reply_raw_error(c, status);
    if (log_enabled(LOG_DEBUG)) {
        char text[512];
        vsnprintf(text, sizeof text, format, args);
        text[strcspn(text, "\n")] = '\0';
        log_event(LOG_DEBUG, "http_library", LOG_STR("peer", c->peer), LOG_STR("text", text));
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;
    if (--c->open_handles == 0)
        free(c);
}

/* Called when libmicrohttpd has taken the socket, and just before it closes it. */
static void on_notify(void *cls, struct MHD_Connection *mhd, void **context,
                      enum MHD_ConnectionNotificationCode what)
{
    struct connection *c = cls;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        c->mhd = mhd;
        return;
    }
    /* Where the kernel refuses it epoll_ctl(2), libmicrohttpd lets go of the socket and tells
     * nobody that the request is over: MHD_connection_epoll_update_(), 1.0.1. */
    if (c->request) {
        void *request = c->request;
        request_complete(c, mhd, &request, MHD_REQUEST_TERMINATED_WITH_ERROR);
    }
    c->is_closed = true;
    c->mhd = NULL;
    if (c->open_handles > 0)
        uv_close((uv_handle_t *)&c->ready, on_handle_closed);
    if (c->open_handles > 1)
        uv_close((uv_handle_t *)&c->watch, on_handle_closed);
    if (c->lingers) {
        int fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 0);
        if (fd >= 0)
            straggler_start(c->server, fd);
    }
    c->fd = -1;
}

/* Leaves percent sequences alone: target.c decodes them, strictly. */
static size_t keep_escapes(void *cls, struct MHD_Connection *mhd, char *text)
{
    return strlen(text);
}

/* -- what the loop reports */

static void on_ready(uv_poll_t *handle, int status, int events)
{
    struct connection *c = handle->data;
    if (c->phase == CONNECTION_IDLE || !c->has_sent_bytes) {
        int pending = 0;
        if (ioctl(c->fd, FIONREAD, &pending) == 0 && pending > 0) {
            c->has_sent_bytes = true;
            if (c->phase == CONNECTION_IDLE)
                connection_enter(c, CONNECTION_HEAD);
        }
    }
    if (c->phase == CONNECTION_REPLY)
        c->progress_ms = uv_now(c->server->loop);
    connection_run(c);
}

static bool has_work(const struct connection *c)
{
    uint64_t wait_ms = 0;
    return MHD_get_timeout64(c->daemon, &wait_ms) == MHD_YES && wait_ms == 0;
}

/* Whether the rest of a request will never come.  libmicrohttpd does not see it when the end came
 * together with the last bytes: it polls edge-triggered and reads no further than these. */
static bool is_abandoned(const struct connection *c)
{
    int pending = 0;
    return c->client_gone && (c->phase == CONNECTION_HEAD || c->phase == CONNECTION_BODY) &&
           !(c->request && c->request->suspended) && !has_work(c) &&
           ioctl(c->fd, FIONREAD, &pending) == 0 && pending == 0;
}

static void on_watch(uv_poll_t *handle, int status, int events)
{
    struct connection *c = handle->data;
    uv_poll_stop(&c->watch);
    c->client_gone = true;
    /* While a request is being read or a finished answer written, libmicrohttpd sees it itself, and
     * a client that only closed its sending half still gets the answer. */
    bool is_streaming =
        c->request && c->request->handed && !c->request->answered && !upload_is_open(c->request);
    if (is_streaming || (c->request && c->request->suspended) || is_abandoned(c))
        connection_close(c);
}

/* -- life */

static struct MHD_Daemon *start_library(struct connection *c)
{
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_NO_THREAD_SAFETY |
                                MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE | MHD_USE_ERROR_LOG,
                            0, NULL, NULL, request_receive, c, MHD_OPTION_EXTERNAL_LOGGER, on_log,
                            c, MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1, MHD_OPTION_CONNECTION_LIMIT, 1u,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)LIMIT_HTTP_POOL,
                            MHD_OPTION_NOTIFY_CONNECTION, on_notify, c, MHD_OPTION_NOTIFY_COMPLETED,
                            request_complete, c, MHD_OPTION_URI_LOG_CALLBACK, request_begin, c,
                            MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, c, MHD_OPTION_NONCE_NC_SIZE,
                            0u, MHD_OPTION_END);
}

static void format_peer(struct connection *c, const struct sockaddr_storage *peer)
{
    const void *address = &((const struct sockaddr_in *)peer)->sin_addr;
    if (peer->ss_family == AF_INET6)
        address = &((const struct sockaddr_in6 *)peer)->sin6_addr;
    if (!inet_ntop(peer->ss_family, address, c->peer, sizeof c->peer))
        c->peer[0] = '\0';
}

/* Puts both descriptors under the loop's eyes. */
static int watch_descriptors(struct connection *c)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(c->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    uv_loop_t *loop = c->server->loop;
    if (!info || uv_poll_init(loop, &c->ready, info->epoll_fd) < 0)
        return -1;
    c->ready.data = c;
    c->open_handles++;
    if (uv_poll_init(loop, &c->watch, c->fd) < 0)
        return -1;
    c->watch.data = c;
    c->open_handles++;
    if (uv_poll_start(&c->ready, UV_READABLE, on_ready) < 0 ||
        uv_poll_start(&c->watch, UV_DISCONNECT, on_watch) < 0)
        return -1;
    return 0;
}

void connection_open(struct http_server *s, int fd, const struct sockaddr_storage *peer)
{
    struct connection *c = calloc(1, sizeof *c);
    if (c) {
        c->server = s;
        c->fd = fd;
        format_peer(c, peer);
        connection_enter(c, CONNECTION_HEAD);
        c->daemon = start_library(c);
    }
    if (!c || !c->daemon) {
        free(c);
        close(fd);
        return;
    }
    /* From here on libmicrohttpd owns the socket, and closes it if it fails. */
    if (MHD_add_connection(c->daemon, fd, (const struct sockaddr *)peer, sizeof *peer) != MHD_YES) {
        MHD_stop_daemon(c->daemon);
        free(c);
        return;
    }
    TAILQ_INSERT_TAIL(&s->connections, c, all);
    server_add_socket(s);
    if (watch_descriptors(c) < 0)
        connection_close(c);
}

/* libmicrohttpd shuts both directions when it is stopped.  Then the kernel drops what a client that
 * still sends has under way, and once the socket is closed tells it for a minute that the window is
 * zero (tcp_rcv_state_process(), TIME_WAIT keeps the last window).  So the socket goes on as a
 * straggler now, and libmicrohttpd closes another in its place. */
static void keep_socket(struct connection *c)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(c->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct epoll_event none = {.events = 0};
    _cleanup_fd_ int own = fcntl(c->fd, F_DUPFD_CLOEXEC, 0);
    int pair[2];

    if (own < 0 || !info || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return;
    uv_poll_stop(&c->watch);
    bool is_polled = epoll_ctl(info->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL) == 0;
    if (dup3(pair[0], c->fd, O_CLOEXEC) >= 0) {
        c->lingers = false;
        straggler_start(c->server, fd_steal(&own));
    }
    if (is_polled) /* libmicrohttpd aborts when it cannot take it out again */
        epoll_ctl(info->epoll_fd, EPOLL_CTL_ADD, c->fd, &none);
    close(pair[0]);
    close(pair[1]);
}

void connection_close(struct connection *c)
{
    struct http_server *s = c->server;
    if (c->lingers && !c->is_closed && c->open_handles > 1)
        keep_socket(c);
    if (c->request && c->request->suspended) {
        /* libmicrohttpd aborts when it is stopped with a suspended connection. */
        c->request->suspended = false;
        MHD_resume_connection(c->mhd);
    }
    MHD_stop_daemon(c->daemon);
    TAILQ_REMOVE(&s->connections, c, all);
    server_dequeue(c);
    server_drop_socket(s);
    if (c->open_handles == 0)
        free(c);
}

void connection_wake(struct connection *c)
{
    if (c->request && c->request->suspended) {
        c->request->suspended = false;
        MHD_resume_connection(c->mhd);
    }
    server_enqueue(c);
}

void connection_cut(struct connection *c)
{
    c->is_cut = true;
    connection_wake(c);
}

void connection_run(struct connection *c)
{
    bool more = true;
    for (int turn = 0; more && turn < TURNS && !c->is_cut; turn++) {
        MHD_run(c->daemon);
        more = !c->is_closed && has_work(c);
    }
    if (c->is_closed || c->is_cut || (!more && is_abandoned(c)))
        connection_close(c);
    else if (more)
        connection_wake(c);
}

/* -- deadlines */

static bool is_body_too_slow(const struct connection *c, uint64_t now_ms)
{
    uint64_t second_ms = c->server->second_ms;
    uint64_t elapsed_ms = now_ms - c->phase_ms;
    if (c->request && upload_is_open(c->request))
        return upload_is_too_slow(c->request, now_ms);
    if (now_ms - c->progress_ms >= LIMIT_HTTP_BODY_IDLE_S * second_ms)
        return true;
    return elapsed_ms >= LIMIT_HTTP_BODY_IDLE_S * second_ms && c->request &&
           c->request->charged < LIMIT_HTTP_BODY_RATE * elapsed_ms / second_ms;
}

/* Whether the reader of an answer has stopped reading.  An empty send queue is no fault of his: the
 * answer's source has nothing to send. */
static bool is_reader_stuck(struct connection *c, uint64_t now_ms)
{
    int unsent = 0;
    if (ioctl(c->fd, SIOCOUTQ, &unsent) < 0)
        return false;
    if (unsent == 0 || unsent != c->unsent)
        c->progress_ms = now_ms;
    c->unsent = unsent;
    return now_ms - c->progress_ms >= (uint64_t)LIMIT_HTTP_SEND_S * c->server->second_ms;
}

void connection_check_deadline(struct connection *c, uint64_t now_ms)
{
    uint64_t second_ms = c->server->second_ms;
    uint64_t elapsed_ms = now_ms - c->phase_ms;
    bool is_late = false;
    switch (c->phase) {
    case CONNECTION_IDLE:
        is_late = elapsed_ms >= LIMIT_HTTP_IDLE_S * second_ms;
        break;
    case CONNECTION_HEAD:
        is_late = elapsed_ms >= LIMIT_HTTP_HEADER_S * second_ms;
        break;
    case CONNECTION_BODY:
        is_late = is_body_too_slow(c, now_ms);
        break;
    case CONNECTION_WORKING:
        break;
    case CONNECTION_REPLY:
        is_late = is_reader_stuck(c, now_ms);
        break;
    }
    if (!is_late)
        return;
    if ((c->phase == CONNECTION_HEAD && c->has_sent_bytes) || c->phase == CONNECTION_BODY)
        reply_raw_error(c, MHD_HTTP_REQUEST_TIMEOUT);
    connection_close(c);
}

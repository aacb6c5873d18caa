/* server: the life of an HTTP server and what its connections share.  Runs in the server, on one
 * loop and one thread.  Must never block, and costs nothing while nobody is connected. */
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "http/server.h"
#include "http/websocket.h"

/* Each connection takes its socket, libmicrohttpd's epoll and event descriptors, and half of all
 * descriptors are for others. */
#define DESCRIPTORS_PER_CONNECTION 3
#define SHARE_OF_DESCRIPTORS       2

static size_t socket_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return LIMIT_HTTP_CONNECTIONS;
    rlim_t room = files.rlim_cur / (DESCRIPTORS_PER_CONNECTION * SHARE_OF_DESCRIPTORS);
    return room < LIMIT_HTTP_CONNECTIONS ? (size_t)room : LIMIT_HTTP_CONNECTIONS;
}

/* -- the queue of connections to run */

static void report_drained(struct http_server *s)
{
    void (*drained)(void *data) = s->drained;
    s->drained = NULL;
    drained(s->drained_data);
}

static void on_kick(uv_idle_t *handle)
{
    struct http_server *s = handle->data;
    /* Those that wake up meanwhile wait for the next round, so that the loop sees its events. */
    for (size_t n = s->nqueued; n > 0 && !TAILQ_EMPTY(&s->queue); n--) {
        struct connection *c = TAILQ_FIRST(&s->queue);
        server_dequeue(c);
        connection_run(c);
    }
    if (TAILQ_EMPTY(&s->queue))
        uv_idle_stop(&s->kick);
    if (s->is_draining)
        websocket_close_all(s);
    if (s->drained && s->nrequests == 0)
        report_drained(s);
}

void server_kick(struct http_server *s)
{
    uv_idle_start(&s->kick, on_kick);
}

void server_enqueue(struct connection *c)
{
    struct http_server *s = c->server;
    if (c->is_queued)
        return;
    c->is_queued = true;
    s->nqueued++;
    TAILQ_INSERT_TAIL(&s->queue, c, queue);
    server_kick(s);
}

void server_dequeue(struct connection *c)
{
    if (!c->is_queued)
        return;
    c->is_queued = false;
    c->server->nqueued--;
    TAILQ_REMOVE(&c->server->queue, c, queue);
}

/* -- deadlines */

static void on_sweep(uv_timer_t *timer)
{
    struct http_server *s = timer->data;
    uint64_t now_ms = uv_now(s->loop);
    struct connection *c, *next;
    for (c = TAILQ_FIRST(&s->connections); c; c = next) {
        next = TAILQ_NEXT(c, all);
        connection_check_deadline(c, now_ms);
    }
    websocket_check_deadlines(s, now_ms);
    straggler_check_deadlines(s, now_ms);
    if (s->nsockets < s->max_sockets)
        listen_resume(s);
    if (s->nsockets == 0)
        uv_timer_stop(&s->sweep);
}

bool server_evict_idle(struct http_server *s)
{
    struct connection *c, *oldest = NULL;
    TAILQ_FOREACH(c, &s->connections, all)
    if (c->phase == CONNECTION_IDLE && (!oldest || c->phase_ms < oldest->phase_ms))
        oldest = c;
    if (!oldest)
        return false;
    connection_close(oldest);
    return true;
}

void server_start_sweep(struct http_server *s)
{
    if (!uv_is_active((uv_handle_t *)&s->sweep))
        uv_timer_start(&s->sweep, on_sweep, s->second_ms, s->second_ms);
}

void server_add_socket(struct http_server *s)
{
    s->nsockets++;
    server_start_sweep(s);
}

void server_drop_socket(struct http_server *s)
{
    s->nsockets--;
    listen_resume(s);
}

/* -- life */

struct http_server *http_server_create(uv_loop_t *loop, const struct http_config *config,
                                       struct err *e)
{
    struct http_server *s = calloc(1, sizeof *s);
    if (!s) {
        err_set(e, ERR_INTERNAL, ENOMEM, "HTTP server");
        return NULL;
    }
    s->loop = loop;
    s->config = *config;
    s->second_ms = config->deadline_scale_ms ? config->deadline_scale_ms : 1000;
    s->max_sockets = socket_limit();
    TAILQ_INIT(&s->connections);
    TAILQ_INIT(&s->queue);
    TAILQ_INIT(&s->stragglers);
    TAILQ_INIT(&s->websockets);
    /* These two cannot fail. */
    uv_idle_init(loop, &s->kick);
    uv_timer_init(loop, &s->sweep);
    s->kick.data = s->sweep.data = s;
    s->open_handles = 2;
    if (listen_open_all(s, e) < 0) {
        http_server_destroy(s);
        return NULL;
    }
    s->config.hosts = NULL; /* the caller's */
    listen_resume(s);
    return s;
}

int http_server_port(const struct http_server *s)
{
    return s->port;
}

void http_server_drain(struct http_server *s, void (*drained)(void *data), void *data)
{
    s->is_draining = true;
    s->drained = drained;
    s->drained_data = data;
    listen_close_all(s);
    while (server_evict_idle(s))
        ;
    server_kick(s);
}

void server_release(struct http_server *s)
{
    if (--s->open_handles > 0)
        return;
    free(s->listeners);
    free(s);
}

static void on_handle_closed(uv_handle_t *handle)
{
    server_release(handle->data);
}

void http_server_destroy(struct http_server *s)
{
    if (!s)
        return;
    s->is_draining = true;
    s->drained = NULL;
    listen_close_all(s);
    while (!TAILQ_EMPTY(&s->connections))
        connection_close(TAILQ_FIRST(&s->connections));
    websocket_destroy_all(s);
    while (!TAILQ_EMPTY(&s->stragglers))
        straggler_close(TAILQ_FIRST(&s->stragglers));
    uv_close((uv_handle_t *)&s->kick, on_handle_closed);
    uv_close((uv_handle_t *)&s->sweep, on_handle_closed);
}

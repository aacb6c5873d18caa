/* server: the state that all connections of one server share. */
#pragma once

#include <sys/queue.h>

#include "http/internal.h"

TAILQ_HEAD(connection_list, connection);
TAILQ_HEAD(straggler_list, straggler);
TAILQ_HEAD(websocket_list, websocket);

/* A listening socket. */
struct listener {
    struct http_server *server;
    uv_poll_t poll;
    int fd;
};

struct http_server {
    uv_loop_t *loop;
    struct http_config config;
    unsigned second_ms; /* length of a second in deadlines */
    struct listener *listeners;
    size_t nlisteners;
    int port;
    struct connection_list connections;
    struct connection_list queue; /* of connections to run */
    size_t nqueued;
    struct straggler_list stragglers;
    struct websocket_list websockets;
    size_t nsockets; /* connections, lingering ones and WebSockets */
    size_t max_sockets;
    size_t nrequests;      /* whose answer has not been sent */
    size_t body_used;      /* bytes of all bodies held */
    uv_idle_t kick;        /* active while there is something in `queue` */
    uv_timer_t sweep;      /* active while there is a socket */
    unsigned open_handles; /* of ours and the listeners'; the last one frees the server */
    bool is_accepting;
    bool is_draining;
    void (*drained)(void *data);
    void *drained_data;
};

/* Registers a socket that came or went. */
void server_add_socket(struct http_server *s);
void server_drop_socket(struct http_server *s);
/* Has the deadlines looked at every second for as long as there are sockets.  Idempotent. */
void server_start_sweep(struct http_server *s);
/* Has connection_run(c) called soon.  Idempotent, as the next. */
void server_enqueue(struct connection *c);
void server_dequeue(struct connection *c);
/* Has the queue and what follows from it looked at soon. */
void server_kick(struct http_server *s);
/* Counts a closed handle. */
void server_release(struct http_server *s);
/* Makes room for a new connection by ending the one that has been idle for longest.  False if there
 * is none. */
bool server_evict_idle(struct http_server *s);

/* -- listen.c */
/* Opens the sockets for all configured addresses.  On failure those that are open already are in
 * s->listeners. */
int listen_open_all(struct http_server *s, struct err *e);
/* Takes connections again after a pause.  Idempotent, as the next. */
void listen_resume(struct http_server *s);
void listen_pause(struct http_server *s);
/* Closes the sockets for good. */
void listen_close_all(struct http_server *s);

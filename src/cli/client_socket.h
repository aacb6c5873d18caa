/* client_socket: a WebSocket to a server, for terminals. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct client;
struct client_socket;

struct client_socket_events {
    /* Each message.  Non-zero ends client_socket_run. */
    int (*on_message)(void *data, bool is_text, const char *bytes, size_t len);
    /* `input` can be read; -1 ends client_socket_run. */
    int (*on_input)(void *data);
    /* Something came by a signal, perhaps; called whenever one interrupts the wait. */
    void (*on_signal)(void *data);
    /* The signals that are blocked while it waits, as for ppoll(2): one that is blocked at all
     * other times is never missed. */
    const sigset_t *wait_mask;
    void *data;
};

/* Connects and upgrades; `path` as for client_call.  NULL and e: nobody answers, or the server
 * refused (its words). */
struct client_socket *client_socket_open(struct client *c, const char *path, struct err *e);
void client_socket_close(struct client_socket *s); /* says goodbye; accepts NULL */
/* Queues a message (copied).  0, or -1 when out of memory. */
int client_socket_send(struct client_socket *s, bool is_text, const void *bytes, size_t len);
/* Until a callback ends it or the server closes: 0; -1 and e when the connection breaks.  `input`:
 * a descriptor to watch, -1: none; at its end it is watched no more. */
int client_socket_run(struct client_socket *s, int input, const struct client_socket_events *events,
                      struct err *e);

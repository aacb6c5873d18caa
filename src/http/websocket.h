/* websocket: RFC 6455 on an upgraded connection (frames by wslay).
 *
 * As with http.h: one thread, no callback from inside a call.  A message from the client is at most
 * LIMIT_WEBSOCKET_MESSAGE bytes, text is checked to be UTF-8, and a frame that is malformed or too
 * large closes the connection with the code that RFC 6455 names.  Pings are answered here; a client
 * that says nothing at all, no pong either, for two minutes is cut. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_request;
struct websocket;

struct websocket_events {
    void (*on_message)(void *data, bool is_text, const char *bytes, size_t len);
    /* Once, last: the client has closed (its code), or is gone (1006).  The handle is gone after.
     */
    void (*on_close)(void *data, unsigned code);
    void (*on_writable)(void *data); /* the queue fell below WEBSOCKET_LOW_WATER; may be NULL */
    void *data;
};
#define WEBSOCKET_LOW_WATER (64u << 10)

/* Whether the request asks for an upgrade to a WebSocket. */
bool websocket_is_asked(const struct http_request *r);
/* Upgrades.  `protocol`: the subprotocol agreed upon, or NULL.  NULL: the handshake was wrong and
 * the request has been answered (400, or 426 with the version).  Otherwise the request is dead for
 * the caller. */
struct websocket *websocket_accept(struct http_request *r, const char *protocol,
                                   const struct websocket_events *events);
/* Queues a message (copied); returns the bytes queued and not yet given to the socket.  A client
 * that would have more than LIMIT_HTTP_STREAM queued is cut. */
size_t websocket_send(struct websocket *ws, bool is_text, const void *data, size_t len);
/* Says goodbye with this code and reason; on_close does not follow, the handle is gone. */
void websocket_close(struct websocket *ws, unsigned code, const char *reason);

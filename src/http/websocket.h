/* websocket: RFC 6455 on an upgraded connection (frames by wslay).
 *
 * As with http.h: one thread, no callback from inside a call.  A message from the client is at most
 * LIMIT_WEBSOCKET_MESSAGE bytes, text is checked to be UTF-8, and a frame that is malformed or too
 * large closes the connection with the code that RFC 6455 names.  Pings are answered here; a client
 * that says nothing at all, no pong either, for two minutes is cut, as is one that reads nothing
 * for LIMIT_HTTP_SEND_S.  Origin is not looked at: that is for the caller, with http_header(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct http_request;
struct websocket;

struct websocket_events {
    void (*on_message)(void *data, bool is_text, const char *bytes, size_t len);
    /* Once, last: the client has closed (its code; 1005: it gave none), has broken the protocol
     * (the code it was told), the server ends (1001), or the client is gone (1006).  The handle is
     * gone after. */
    void (*on_close)(void *data, unsigned code);
    /* The queue fell below WEBSOCKET_LOW_WATER after it had reached it; may be NULL. */
    void (*on_writable)(void *data);
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
/* Queues a message (copied); returns the bytes queued and not yet given to the socket, with some
 * for each message.  A client that would have more than LIMIT_HTTP_STREAM queued is cut (on_close
 * follows). */
size_t websocket_send(struct websocket *ws, bool is_text, const void *data, size_t len);
/* The same with what is in a buffer; with a torn one the connection is lost. */
size_t websocket_send_buf(struct websocket *ws, bool is_text, const struct buf *out);
/* Says goodbye, after what is queued, with this code and reason (at most 123 bytes, or NULL);
 * on_close does not follow, the handle is gone. */
void websocket_close(struct websocket *ws, unsigned code, const char *reason);

/* -- for the server */
struct http_server;
/* Ends those that are silent or do not read. */
void websocket_check_deadlines(struct http_server *s, uint64_t now_ms);
/* Closes all with 1001. */
void websocket_close_all(struct http_server *s);
/* Ends all at once, after a goodbye to who can take it. */
void websocket_destroy_all(struct http_server *s);
/* The connection ended before it was upgraded. */
void websocket_lose(struct websocket *ws);

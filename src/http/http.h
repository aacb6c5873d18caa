/* http: HTTP/1.1 over libmicrohttpd inside a libuv loop.  Knows requests and replies, nothing of
 * sandboxes.
 *
 * One thread: every function here is called on, and every callback comes from, the loop's thread.
 * A request is handed to the handler once its whole body has arrived.  The handler, or anything it
 * starts, later answers exactly once with http_reply() or http_stream_begin(); until then the
 * request is suspended and its socket watched, so that a client that goes away is noticed
 * (on_gone). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/buf.h"
#include "base/err.h"

struct http_server;
struct http_request;

/* Called with a complete request.  The request stays valid until its reply has been sent or on_gone
 * has returned. */
typedef void http_handler(struct http_request *r, void *data);

/* Decides before the body is read: return the largest body this method and path may have, in bytes
 * (0: none). A larger one is answered with 413 and the connection closed, before it is read. */
typedef size_t http_body_limit(const char *method, const char *path, void *data);

/* Whether the body of this request goes to the handler piece by piece: it is then called at the end
 * of the headers and reads the body with http_body_read (http/body.h). */
typedef bool http_streams_body(const char *method, const char *path, void *data);

/* Builds the JSON body of an error that the HTTP layer itself finds (400, 413, 414, 431, 503...);
 * appends to out. */
typedef void http_error_body(int status, struct buf *out, void *data);

struct http_config {
    const char *const
        *hosts; /* addresses to listen on; names "localhost", IPv4 and IPv6 literals */
    size_t nhosts;
    int port;           /* 0: any free one, see http_server_port */
    int second_port;    /* listened on as well, on the same addresses; 0: none */
    size_t body_budget; /* bytes of all bodies held at once; beyond it 503 */
    http_handler *handler;
    http_body_limit *body_limit;
    http_streams_body *streams_body; /* NULL: none */
    http_error_body *error_body;
    void *data; /* handed to those above */
    /* How many milliseconds the LIMIT_HTTP_*_S count as one second.  0: 1000; tests take less. */
    unsigned deadline_scale_ms;
};

/* Starts listening.  NULL and e on failure (the text names address and port). */
struct http_server *http_server_create(uv_loop_t *loop, const struct http_config *config,
                                       struct err *e);
int http_server_port(const struct http_server *s);
/* Stops accepting; requests in progress go on.  `drained` is called once, when no request is left.
 */
void http_server_drain(struct http_server *s, void (*drained)(void *data), void *data);
/* Cuts open connections (on_gone is called for requests in progress) and frees everything; what the
 * loop still holds goes when it runs next.  Not to be called from a handler or an on_gone.  Accepts
 * NULL. */
void http_server_destroy(struct http_server *s);

/* -- what the client sent (all strings live as long as the request)
 * -------------------------------------------------*/
const char *http_method(const struct http_request *r);
const char *http_path(const struct http_request *r); /* percent-decoded, without the query */
const char *http_query(const struct http_request *r, const char *name); /* NULL if absent */
const char *http_header(const struct http_request *r,
                        const char *name);           /* case-insensitive, NULL if absent */
const char *http_peer(const struct http_request *r); /* client address as text, no port */
/* The body; the caller may take it with buf_steal (then it counts no more against the budget once
 * http_body_release is called or the request ends). */
struct buf *http_body(struct http_request *r);
/* Frees the body early. */
void http_body_release(struct http_request *r);

/* The handler's own state on the request.  on_gone is called at most once, if the client goes away
 * before http_reply*() or http_stream_end() was called, never after; when it returns the request is
 * dead and must not be touched.  Without an on_gone the request stays valid until it is answered,
 * even if nobody waits for it any more. */
void http_set_gone(struct http_request *r, void (*on_gone)(void *data), void *data);

/* -- answers
 * --------------------------------------------------------------------------------------------------------*/
/* Adds a response header to the answer to come; name and value are copied.  -1 if the name is no
 * token or is one of those set here (Content-Type, Content-Length, Transfer-Encoding, Connection),
 * if the value is empty or has control characters, or if there are too many. */
int http_add_header(struct http_request *r, const char *name, const char *value);

/* Answers with `body` (taken over: emptied).  HEAD sends no body.  Content-Length is set here.
 * content_type may be NULL where there is no body (204, 304).  After this and the two below the
 * request is dead for the caller. */
void http_reply(struct http_request *r, int status, const char *content_type, struct buf *body);

/* Answers with static memory that outlives the server (bundled pages). */
void http_reply_static(struct http_request *r, int status, const char *content_type,
                       const void *data, size_t len);

/* Answers with a body that is produced piece by piece while it is sent: constant memory for large
 * answers. `read` writes up to cap bytes to out and returns how many; 0 ends the body.  `done`, if
 * set, is called once when the source is no longer needed (also when the client went away).
 * With `size` the answer has a Content-Length, and ending before it breaks the connection; with 0
 * it is chunked (to an HTTP/1.0 client: until the connection closes). */
struct http_source {
    size_t (*read)(void *data, char *out, size_t cap);
    void (*done)(void *data);
    void *data;
    uint64_t size;
};
void http_reply_source(struct http_request *r, int status, const char *content_type,
                       const struct http_source *source);

/* -- streams (server-sent events)
 * ----------------------------------------------------------------------------------*/
/* Starts a chunked answer.  Then http_stream_write any number of times, then http_stream_end once.
 */
void http_stream_begin(struct http_request *r, int status, const char *content_type);
/* The same with a Content-Length of `size` (not 0).  Ending before that many bytes breaks the
 * connection, so that the client knows. */
void http_stream_begin_sized(struct http_request *r, int status, const char *content_type,
                             uint64_t size);
/* Queues bytes (copied).  Returns the number of bytes queued and not yet given to the socket, so
 * that the caller can slow its source; `on_writable`, if set, is called when the queue falls below
 * low_water.  A stream that would queue more than LIMIT_HTTP_STREAM is cut (on_gone follows). */
size_t http_stream_write(struct http_request *r, const void *data, size_t len);
/* The same with what is in a buffer; of a torn one the stream is cut. */
size_t http_stream_write_buf(struct http_request *r, const struct buf *out);
void http_stream_on_writable(struct http_request *r, size_t low_water,
                             void (*on_writable)(void *data), void *data);
/* After this the request is dead for the caller; what is queued is still sent. */
void http_stream_end(struct http_request *r);
/* The same, but the connection is broken then, so that the client does not take what it has for
 * everything. */
void http_stream_break(struct http_request *r);

/* body: request bodies that are handed over piece by piece, so that they cost no memory, however
 * large they are.
 *
 * For requests that http_config.streams_body names.  A request that is answered before its body has
 * been read is answered, and its connection closed.  While the body arrives the answer has to be
 * one of http_reply() and http_reply_static(), and short (an error); before and after, any. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

struct http_request;

struct http_sink {
    /* Takes up to len bytes; returns how many.  Fewer: it is full, and the client waits until
     * http_body_resume, which is called later and not from here.  May answer the request: then it
     * is not called again. */
    size_t (*take)(void *data, const char *bytes, size_t len);
    /* Once: the body is complete.  Not when the client goes away (on_gone is called then). */
    void (*end)(void *data);
    void *data;
};
/* Begins to read.  Once, from the handler or later; on_gone should be set.  Calls nothing before it
 * returns. */
void http_body_read(struct http_request *r, const struct http_sink *sink);
void http_body_resume(struct http_request *r);
/* The announced length; UINT64_MAX when it was not (chunked). */
uint64_t http_body_length(const struct http_request *r);

/* -- multipart/form-data: at most LIMIT_HTTP_FORM_PARTS parts */
struct http_form_events {
    /* A part begins: its field's name, and its filename as it was sent (\" and \\ unescaped, a
     * filename* decoded) or NULL.  Both live until this returns, and may be anything but NUL.
     * Non-zero: its bytes are wanted. */
    int (*on_part)(void *data, const char *name, const char *filename);
    size_t (*take)(void *data, const char *bytes, size_t len); /* as http_sink.take */
    void (*on_part_end)(void *data);
    /* Once; the body is complete, or malformed: what follows is dropped then. */
    void (*end)(void *data, bool malformed);
    void *data;
};
/* As http_body_read, for a body of that type.  Fails with ERR_INVALID when its Content-Type is
 * another, and with ERR_UNAVAILABLE without memory. */
int http_form_read(struct http_request *r, const struct http_form_events *events, struct err *e);

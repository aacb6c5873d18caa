/* upload: the state of a body that is handed over piece by piece, and what request.c asks of it. */
#pragma once

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#include "http/body.h"

struct http_request;
struct form;

struct upload {
    struct http_sink sink;
    struct form *form;  /* or NULL */
    uint64_t received;  /* bytes taken */
    uint64_t paused_ms; /* time in which the sink was full, so far */
    uint64_t full_ms;   /* when it became full */
    bool is_streamed;   /* this request's body is not collected */
    bool is_chunked;    /* its length is unknown */
    bool is_wanted;     /* http_body_read was called */
    bool is_reading;    /* libmicrohttpd has been let past the headers */
    bool is_full;       /* the sink */
    bool has_ended;     /* the whole body has been taken */
};

/* Whether the body is arriving: libmicrohttpd takes no answer then. */
bool upload_is_open(const struct http_request *r);
/* Whether there is a body that has not been read to its end. */
bool upload_is_unread(const struct http_request *r);
/* A piece of body; *len becomes what is left of it. */
enum MHD_Result upload_receive(struct http_request *r, const char *data, size_t *len);
/* Tells the sink that the body is complete. */
void upload_end(struct http_request *r);
/* Whether the client lets us wait; time in which we made it wait does not count. */
bool upload_is_too_slow(const struct http_request *r, uint64_t now_ms);
void upload_finish(struct http_request *r);

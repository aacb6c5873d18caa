/* http_echo: what the files of the test server share. */
#pragma once

#include <stdbool.h>

#include "http/http.h"

struct counters {
    unsigned long gone; /* clients that went away */
    unsigned long done; /* sources that were released */
    unsigned long open; /* delayed answers, streams, uploads and WebSockets in progress */
    unsigned long peak; /* most bytes that were ever queued in a stream */
    unsigned long code; /* with which the last WebSocket was closed */
};
extern struct counters counters;
extern uv_loop_t *test_loop;

unsigned long query_number(const struct http_request *r, const char *name);
void reply_json(struct http_request *r, int status, struct buf *body);
void reply_text(struct http_request *r, int status, const char *json);

/* -- http_uploads.c */
void serve_upload(struct http_request *r);
void serve_form(struct http_request *r);

/* -- http_websockets.c */
void serve_websocket(struct http_request *r);

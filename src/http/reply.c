/* reply: complete answers, and errors that the HTTP layer itself finds.  Runs in the server; what
 * it sends may hold hostile text, so header fields are checked.  Must never copy a body. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "http/field.h"
#include "http/internal.h"
#include "http/server.h"

#define SOURCE_BLOCK (32u << 10)

int http_add_header(struct http_request *r, const char *name, const char *value)
{
    if (!field_is_sendable(name, value) || r->nfields == REQUEST_EXTRA_HEADERS)
        return -1;
    struct request_field field = {strdup(name), strdup(value)};
    if (!field.name || !field.value) {
        free(field.name);
        free(field.value);
        return -1;
    }
    r->fields[r->nfields++] = field;
    return 0;
}

/* -- answers of the handler */

static int add_fields(const struct http_request *r, const char *content_type,
                      struct MHD_Response *response)
{
    if (content_type && !MHD_add_response_header(response, "Content-Type", content_type))
        return -1;
    for (size_t i = 0; i < r->nfields; i++)
        if (!MHD_add_response_header(response, r->fields[i].name, r->fields[i].value))
            return -1;
    if ((r->has_close || upload_is_unread(r) || r->connection->server->is_draining) &&
        !MHD_add_response_header(response, "Connection", "close"))
        return -1;
    return 0;
}

void reply_set(struct http_request *r, int status, const char *content_type,
               struct MHD_Response *response)
{
    if (!r->connection) {
        if (response)
            MHD_destroy_response(response);
        return;
    }
    if (!response || upload_is_open(r) || add_fields(r, content_type, response) < 0) {
        if (response)
            MHD_destroy_response(response);
        connection_cut(r->connection);
        return;
    }
    r->response = response;
    r->status = status;
    if (r->suspended)
        connection_wake(r->connection);
}

/* As reply_set, for answers after which the caller is done with the request. */
static void answer(struct http_request *r, int status, const char *content_type,
                   struct MHD_Response *response)
{
    r->answered = true;
    reply_set(r, status, content_type, response);
    if (!r->connection)
        request_destroy(r);
}

static void reply_raw(struct http_request *r, int status, const char *content_type,
                      const void *body, size_t len);

/* An answer for which there was no memory becomes one that says so. */
static int replace_torn(struct http_request *r, struct buf *body)
{
    struct http_server *s = r->connection ? r->connection->server : NULL;
    for (size_t i = 0; i < r->nfields; i++) {
        free(r->fields[i].name);
        free(r->fields[i].value);
    }
    r->nfields = 0;
    (void)http_add_header(r, "Retry-After", "1");
    buf_finish(body);
    if (s)
        s->config.error_body(503, body, s->config.data);
    return 503;
}

void http_reply(struct http_request *r, int status, const char *content_type, struct buf *body)
{
    size_t len = 0;
    if (body->torn) {
        status = replace_torn(r, body);
        content_type = "application/json";
    }
    if (upload_is_open(r)) {
        reply_raw(r, status, content_type, body->data, body->len);
        buf_finish(body);
        return;
    }
    char *data = buf_steal(body, &len);
    struct MHD_Response *response =
        data ? MHD_create_response_from_buffer_with_free_callback(len, data, free) : NULL;
    if (!response)
        free(data);
    answer(r, status, content_type, response);
}

void http_reply_static(struct http_request *r, int status, const char *content_type,
                       const void *data, size_t len)
{
    if (upload_is_open(r)) {
        reply_raw(r, status, content_type, data, len);
        return;
    }
    answer(r, status, content_type, MHD_create_response_from_buffer_static(len, data));
}

/* -- bodies that are produced while they are sent */

struct source_state {
    struct http_source source;
    uint64_t produced;
};

static ssize_t read_source(void *cls, uint64_t position, char *out, size_t cap)
{
    struct source_state *state = cls;
    size_t n = state->source.read(state->source.data, out, cap);
    state->produced += n;
    if (n > 0)
        return (ssize_t)n;
    return state->produced < state->source.size ? MHD_CONTENT_READER_END_WITH_ERROR
                                                : MHD_CONTENT_READER_END_OF_STREAM;
}

static void finish_source(void *cls)
{
    struct source_state *state = cls;
    if (state->source.done)
        state->source.done(state->source.data);
    free(state);
}

void http_reply_source(struct http_request *r, int status, const char *content_type,
                       const struct http_source *source)
{
    struct MHD_Response *response = NULL;
    struct source_state *state = calloc(1, sizeof *state);
    if (state) {
        state->source = *source;
        response =
            MHD_create_response_from_callback(source->size ? source->size : MHD_SIZE_UNKNOWN,
                                              SOURCE_BLOCK, read_source, state, finish_source);
    }
    if (!response) {
        free(state);
        if (source->done)
            source->done(source->data);
    }
    answer(r, status, content_type, response);
}

/* -- errors found here */

void reply_refusal(struct http_request *r, int status)
{
    struct http_server *s = r->connection->server;
    struct buf body;
    buf_init(&body, 0);
    s->config.error_body(status, &body, s->config.data);
    r->has_close = true;
    if (status == 503)
        (void)http_add_header(r, "Retry-After", "1");
    http_reply(r, status, "application/json", &body);
}

static void append_date(struct buf *out)
{
    time_t now = time(NULL);
    struct tm utc;
    char text[64];
    if (gmtime_r(&now, &utc) && strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc) > 0)
        buf_printf(out, "Date: %s\r\n", text);
}

/* Writes a complete answer to the socket.  A client whose window is full already has more answers
 * than it reads: it gets none. */
static void send_raw(struct connection *c, int status, const struct buf *fields, const void *body,
                     size_t len)
{
    _cleanup_buf_ struct buf out = {0};
    buf_printf(&out, "HTTP/1.1 %d %s\r\n", status, MHD_get_reason_phrase_for((unsigned)status));
    append_date(&out);
    if (fields->len > 0)
        buf_append(&out, fields->data, fields->len);
    buf_printf(&out, "Connection: close\r\nContent-Length: %zu\r\n\r\n", len);
    if (len > 0 && (!c->request || strcmp(c->request->method, "HEAD") != 0))
        buf_append(&out, body, len);
    (void)!send(c->fd, out.data, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(c->fd, SHUT_WR);
    c->lingers = true;
}

void reply_raw_error(struct connection *c, int status)
{
    struct http_server *s = c->server;
    _cleanup_buf_ struct buf body = {0}, fields = {0};
    s->config.error_body(status, &body, s->config.data);
    if (status == 503)
        buf_append_str(&fields, "Retry-After: 1\r\n");
    buf_append_str(&fields, "Content-Type: application/json\r\n");
    send_raw(c, status, &fields, body.data, body.len);
}

/* Answers while the body is still arriving. */
static void reply_raw(struct http_request *r, int status, const char *content_type,
                      const void *body, size_t len)
{
    _cleanup_buf_ struct buf fields = {0};
    r->answered = true;
    if (!r->connection) {
        request_destroy(r);
        return;
    }
    for (size_t i = 0; i < r->nfields; i++)
        buf_printf(&fields, "%s: %s\r\n", r->fields[i].name, r->fields[i].value);
    if (content_type)
        buf_printf(&fields, "Content-Type: %s\r\n", content_type);
    send_raw(r->connection, status, &fields, body, len);
    connection_cut(r->connection);
}

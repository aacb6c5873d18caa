/* request: from libmicrohttpd's callbacks to the handler, and the end of a request.  Runs in the
 * server; every name, value and byte is hostile.  Must never hold more of a body than its limit and
 * the server's budget allow, nor call the handler before the body is complete, unless it asked for
 * that (body.c).
 *
 * libmicrohttpd calls request_receive once when the headers are there, once for each piece of body,
 * and at the end until a response is queued or the connection suspended. */
#include <stdlib.h>
#include <string.h>

#include "http/field.h"
#include "http/internal.h"
#include "http/server.h"
#include "http/websocket.h"

void *request_begin(void *cls, const char *target, struct MHD_Connection *mhd)
{
    struct connection *c = cls;
    if (c->phase != CONNECTION_HEAD) /* else its time runs since the first byte */
        connection_enter(c, CONNECTION_HEAD);
    struct http_request *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->connection = c;
    r->refusal = target_parse(&r->target, target);
    c->request = r;
    c->server->nrequests++;
    return r;
}

/* -- headers */

static enum MHD_Result count_field(void *cls, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    field_count_add(cls, name);
    return MHD_YES;
}

static int judge_body(struct http_request *r, struct MHD_Connection *mhd)
{
    struct http_server *s = r->connection->server;
    const char *length = MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, "Content-Length");
    bool is_chunked = MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, "Transfer-Encoding");
    if (length && field_parse_length(length, &r->body_length) < 0)
        return 400;
    r->has_body = is_chunked || r->body_length > 0;
    r->upload.is_chunked = is_chunked;
    r->upload.is_streamed = s->config.streams_body != NULL &&
                            s->config.streams_body(r->method, r->target.path, s->config.data);
    if (!r->has_body)
        return 0;
    r->body_limit = s->config.body_limit(r->method, r->target.path, s->config.data);
    if (r->body_length > r->body_limit)
        return 413;
    if (r->upload.is_streamed)
        return 0;
    if (r->body_length > s->config.body_budget - s->body_used)
        return 503;
    buf_init(&r->body, is_chunked ? r->body_limit : r->body_length);
    return 0;
}

/* The status to refuse the request with, judged by its headers alone, or 0. */
static int judge_head(struct http_request *r, struct MHD_Connection *mhd, const char *method)
{
    struct field_count count = {0};
    MHD_get_connection_values(mhd, MHD_HEADER_KIND, count_field, &count);
    int status = field_count_judge(&count);
    if (status)
        return status;
    if (r->refusal)
        return r->refusal;
    if (strlen(method) >= sizeof r->method)
        return 501;
    strcpy(r->method, method);
    return judge_body(r, mhd);
}

static enum MHD_Result queue_response(struct http_request *r, struct MHD_Connection *mhd)
{
    enum MHD_Result result = MHD_queue_response(mhd, (unsigned)r->status, r->response);
    MHD_destroy_response(r->response);
    r->response = NULL;
    if (upload_is_unread(r))
        r->connection->lingers = true;
    connection_enter(r->connection, CONNECTION_REPLY);
    return result;
}

static enum MHD_Result hand_over(struct http_request *r, struct MHD_Connection *mhd);

static enum MHD_Result receive_head(struct http_request *r, struct MHD_Connection *mhd,
                                    const char *method)
{
    r->judged = true;
    int status = judge_head(r, mhd, method);
    if (status) {
        r->connection->lingers = true;
        reply_refusal(r, status);
        return r->response ? queue_response(r, mhd) : MHD_NO;
    }
    if (r->upload.is_streamed)
        return hand_over(r, mhd);
    if (r->has_body)
        connection_enter(r->connection, CONNECTION_BODY);
    return MHD_YES;
}

/* -- body */

static void uncharge(struct http_request *r)
{
    r->connection->server->body_used -= r->charged;
    r->charged = 0;
}

static enum MHD_Result receive_body(struct http_request *r, const char *data, size_t len)
{
    struct connection *c = r->connection;
    struct http_server *s = c->server;
    int status = 0;
    if (len > r->body_limit - r->body.len)
        status = 413;
    else if (len > s->config.body_budget - s->body_used)
        status = 503;
    else if (r->body.len == 0 && buf_reserve(&r->body, r->body_length) < 0)
        /* One block where the length is known; the kernel gives its pages as they are written. */
        status = 503;
    if (!status && buf_append(&r->body, data, len) < 0)
        status = 503;
    if (status) {
        reply_raw_error(c, status);
        return MHD_NO;
    }
    s->body_used += len;
    r->charged += len;
    c->progress_ms = uv_now(s->loop);
    return MHD_YES;
}

/* -- the handler's turn */

static enum MHD_Result hand_over(struct http_request *r, struct MHD_Connection *mhd)
{
    struct connection *c = r->connection;
    struct http_server *s = c->server;
    if (!r->handed) {
        connection_enter(c, CONNECTION_WORKING);
        r->handed = true;
        s->config.handler(r, s->config.data);
    }
    if (c->is_cut)
        return MHD_NO;
    if (r->response)
        return queue_response(r, mhd);
    if (r->upload.is_wanted && !r->upload.is_reading) {
        r->upload.is_reading = true;
        connection_enter(c, CONNECTION_BODY);
        return MHD_YES;
    }
    if (c->client_gone)
        return MHD_NO;
    r->suspended = true;
    MHD_suspend_connection(mhd);
    return MHD_YES;
}

enum MHD_Result request_receive(void *cls, struct MHD_Connection *mhd, const char *url,
                                const char *method, const char *version, const char *data,
                                size_t *len, void **context)
{
    struct http_request *r = *context;
    if (!r) { /* request_begin found no memory */
        reply_raw_error(cls, MHD_HTTP_SERVICE_UNAVAILABLE);
        return MHD_NO;
    }
    if (!r->judged) {
        r->is_http_1_1 = strcmp(version, "HTTP/1.1") == 0;
        return receive_head(r, mhd, method);
    }
    if (r->upload.is_reading && *len > 0)
        return upload_receive(r, data, len);
    if (*len == 0) {
        if (upload_is_open(r))
            upload_end(r);
        return hand_over(r, mhd);
    }
    size_t received = *len;
    *len = 0;
    return receive_body(r, data, received);
}

void request_complete(void *cls, struct MHD_Connection *mhd, void **context,
                      enum MHD_RequestTerminationCode how)
{
    struct connection *c = cls;
    struct http_request *r = *context;
    *context = NULL;
    connection_enter(c, CONNECTION_IDLE);
    if (!r)
        return;
    uncharge(r);
    buf_finish(&r->body);
    c->request = NULL;
    r->connection = NULL;
    if (--c->server->nrequests == 0 && c->server->is_draining)
        server_kick(c->server);

    listen_resume(c->server); /* this connection may now make room for another */

    if (r->websocket) {
        websocket_lose(r->websocket);
        r->websocket = NULL;
    }
    bool is_over = how == MHD_REQUEST_TERMINATED_COMPLETED_OK;
    if (!r->handed || r->answered) {
        request_destroy(r);
    } else if (!is_over && r->on_gone) {
        r->on_gone(r->gone_data);
        request_destroy(r);
    } else {
        /* The answer to HEAD is over before its stream has ended, or nobody asked to be told. */
        stream_abandon(r);
    }
}

void request_destroy(struct http_request *r)
{
    if (r->response)
        MHD_destroy_response(r->response);
    upload_finish(r);
    target_finish(&r->target);
    buf_finish(&r->body);
    buf_finish(&r->stream.queue);
    for (size_t i = 0; i < r->nfields; i++) {
        free(r->fields[i].name);
        free(r->fields[i].value);
    }
    free(r);
}

/* -- what the caller may ask */

const char *http_method(const struct http_request *r)
{
    return r->method;
}

const char *http_path(const struct http_request *r)
{
    return r->target.path;
}

const char *http_query(const struct http_request *r, const char *name)
{
    return target_param(&r->target, name);
}

const char *http_header(const struct http_request *r, const char *name)
{
    return r->connection ? MHD_lookup_connection_value(r->connection->mhd, MHD_HEADER_KIND, name)
                         : NULL;
}

const char *http_peer(const struct http_request *r)
{
    return r->connection ? r->connection->peer : "";
}

struct buf *http_body(struct http_request *r)
{
    return &r->body;
}

void http_body_release(struct http_request *r)
{
    if (r->connection)
        uncharge(r);
    buf_finish(&r->body);
}

void http_set_gone(struct http_request *r, void (*on_gone)(void *data), void *data)
{
    r->on_gone = on_gone;
    r->gone_data = data;
}

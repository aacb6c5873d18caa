/* stream: answers whose bytes come over time, such as server-sent events.  Runs in the server.
 * libmicrohttpd pulls from the queue and is suspended while it is empty, so an idle stream costs
 * nothing.  Must never queue more than LIMIT_HTTP_STREAM for a client that does not read. */
#include <string.h>

#include "http/internal.h"
#include "http/server.h"

/* Block of a response that is not chunked (HTTP/1.0). */
#define BLOCK       (16u << 10)
#define SIZED_BLOCK (128u << 10) /* of one that is: files, which may be large */

static size_t queued(const struct stream *st)
{
    return st->queue.len - st->consumed;
}

/* Moves up to cap bytes from the queue to out.  The front is dropped only once it is the larger
 * half, so that each byte is moved once at most. */
static size_t take(struct stream *st, char *out, size_t cap)
{
    size_t n = queued(st) < cap ? queued(st) : cap;
    memcpy(out, st->queue.data + st->consumed, n);
    st->consumed += n;
    if (st->consumed > st->queue.len / 2) {
        buf_consume(&st->queue, st->consumed);
        st->consumed = 0;
    }
    return n;
}

static ssize_t read_stream(void *cls, uint64_t position, char *out, size_t cap)
{
    struct http_request *r = cls;
    struct connection *c = r->connection;
    struct stream *st = &r->stream;
    if (queued(st) > 0) {
        size_t n = take(st, out, cap);
        if (st->is_above && queued(st) < st->low_water && !st->ended) {
            st->is_above = false;
            st->on_writable(st->writable_data);
        }
        return (ssize_t)n;
    }
    if (st->ended && !st->is_broken && position >= st->size)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (st->ended || c->client_gone || c->is_cut) {
        /* libmicrohttpd 1.0.1 shuts the socket of a chunked answer that fails, but does not close
         * it until something more comes in: connection_run() does. */
        c->is_cut = true;
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    r->suspended = true;
    MHD_suspend_connection(c->mhd);
    return 0;
}

void http_stream_begin(struct http_request *r, int status, const char *content_type)
{
    if (!r->connection)
        return;
    buf_init(&r->stream.queue, LIMIT_HTTP_STREAM);
    (void)http_add_header(r, "Cache-Control", "no-store");
    (void)http_add_header(r, "X-Accel-Buffering", "no");
    reply_set(r, status, content_type,
              MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_stream, r, NULL));
}

void http_stream_begin_sized(struct http_request *r, int status, const char *content_type,
                             uint64_t size)
{
    if (!r->connection)
        return;
    buf_init(&r->stream.queue, LIMIT_HTTP_STREAM);
    r->stream.size = size;
    reply_set(r, status, content_type,
              MHD_create_response_from_callback(size, SIZED_BLOCK, read_stream, r, NULL));
}

size_t http_stream_write(struct http_request *r, const void *data, size_t len)
{
    struct connection *c = r->connection;
    struct stream *st = &r->stream;
    if (!c || c->is_cut || len == 0)
        return c ? queued(st) : 0;
    if (buf_append(&st->queue, data, len) < 0) {
        connection_cut(c);
        return queued(st);
    }
    if (st->on_writable && queued(st) >= st->low_water)
        st->is_above = true;
    if (r->suspended)
        connection_wake(c);
    return queued(st);
}

size_t http_stream_write_buf(struct http_request *r, const struct buf *out)
{
    if (!out->torn)
        return http_stream_write(r, out->data, out->len);
    if (r->connection)
        connection_cut(r->connection);
    return 0;
}

void http_stream_on_writable(struct http_request *r, size_t low_water,
                             void (*on_writable)(void *data), void *data)
{
    struct stream *st = &r->stream;
    st->low_water = low_water;
    st->on_writable = on_writable;
    st->writable_data = data;
    st->is_above = on_writable && queued(st) >= low_water;
}

void stream_abandon(struct http_request *r)
{
    struct stream *st = &r->stream;
    buf_finish(&st->queue);
    st->consumed = 0;
    if (st->is_above) {
        st->is_above = false;
        st->on_writable(st->writable_data);
    }
}

void http_stream_end(struct http_request *r)
{
    r->answered = true;
    if (!r->connection) {
        request_destroy(r);
        return;
    }
    r->stream.ended = true;
    if (r->suspended)
        connection_wake(r->connection);
}

void http_stream_break(struct http_request *r)
{
    r->stream.is_broken = true;
    http_stream_end(r);
}

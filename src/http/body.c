/* body: request bodies piece by piece.  Runs in the server; every byte is hostile.  Must never hold
 * any of a body: what the sink does not take stays with libmicrohttpd, whose buffer is small, and
 * then in the kernel, whose window makes the client wait. */
#include "http/body.h"

#include <stdlib.h>

#include "base/err.h"
#include "http/internal.h"
#include "http/multipart.h"
#include "http/server.h"

/* -- what request.c asks */

bool upload_is_open(const struct http_request *r)
{
    return r->upload.is_reading && !r->upload.has_ended;
}

bool upload_is_unread(const struct http_request *r)
{
    return r->upload.is_streamed && r->has_body && !r->upload.has_ended;
}

enum MHD_Result upload_receive(struct http_request *r, const char *data, size_t *len)
{
    struct connection *c = r->connection;
    struct upload *u = &r->upload;
    size_t taken;

    if (*len > r->body_limit - u->received) {
        reply_raw_error(c, 413);
        return MHD_NO;
    }
    taken = u->sink.take(u->sink.data, data, *len);
    if (c->is_cut)
        return MHD_NO;
    u->received += taken;
    c->progress_ms = uv_now(c->server->loop);
    *len -= taken;
    if (*len == 0)
        return MHD_YES;
    u->is_full = true;
    u->full_ms = c->progress_ms;
    if (c->client_gone) /* nothing would tell us again */
        return MHD_NO;
    r->suspended = true;
    MHD_suspend_connection(c->mhd);
    return MHD_YES;
}

void upload_end(struct http_request *r)
{
    r->upload.has_ended = true;
    connection_enter(r->connection, CONNECTION_WORKING);
    r->upload.sink.end(r->upload.sink.data);
}

bool upload_is_too_slow(const struct http_request *r, uint64_t now_ms)
{
    const struct connection *c = r->connection;
    const struct upload *u = &r->upload;
    const uint64_t second_ms = c->server->second_ms;
    uint64_t elapsed_ms = now_ms - c->phase_ms - u->paused_ms;

    if (u->is_full)
        return false;
    return now_ms - c->progress_ms >= LIMIT_HTTP_BODY_IDLE_S * second_ms ||
           (elapsed_ms >= LIMIT_HTTP_BODY_IDLE_S * second_ms &&
            u->received < LIMIT_HTTP_BODY_RATE * elapsed_ms / second_ms);
}

void upload_finish(struct http_request *r)
{
    free(r->upload.form);
    r->upload.form = NULL;
}

/* -- what the caller asks */

void http_body_read(struct http_request *r, const struct http_sink *sink)
{
    r->upload.sink = *sink;
    r->upload.is_wanted = true;
    if (r->connection && r->suspended)
        connection_wake(r->connection);
}

void http_body_resume(struct http_request *r)
{
    struct connection *c = r->connection;
    struct upload *u = &r->upload;

    if (!c || !u->is_full)
        return;
    u->is_full = false;
    c->progress_ms = uv_now(c->server->loop);
    u->paused_ms += c->progress_ms - u->full_ms;
    connection_wake(c);
}

uint64_t http_body_length(const struct http_request *r)
{
    return r->upload.is_chunked ? UINT64_MAX : r->body_length;
}

/* -- forms */

struct form {
    struct http_form_events events;
    struct multipart parser;
    bool has_ended; /* events.end was called */
};

static void end_form(struct form *f)
{
    if (f->has_ended)
        return;
    f->has_ended = true;
    f->events.end(f->events.data, !multipart_is_complete(&f->parser));
}

static size_t take_form(void *data, const char *bytes, size_t len)
{
    struct form *f = data;
    size_t used = f->has_ended ? len : multipart_feed(&f->parser, bytes, len);

    if (multipart_is_broken(&f->parser))
        end_form(f);
    return used;
}

static void finish_form(void *data)
{
    end_form(data);
}

int http_form_read(struct http_request *r, const struct http_form_events *events, struct err *e)
{
    struct form *f = calloc(1, sizeof *f);
    const struct multipart_events parts = {events->on_part, events->take, events->on_part_end,
                                           events->data};

    if (!f)
        return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
    if (multipart_init(&f->parser, http_header(r, "Content-Type"), &parts) < 0) {
        free(f);
        return err_set(e, ERR_INVALID, 0, "the body is no multipart/form-data");
    }
    f->events = *events;
    r->upload.form = f;
    http_body_read(r, &(const struct http_sink){take_form, finish_form, f});
    return 0;
}

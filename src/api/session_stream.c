/* session_stream: GET .../processes/{process}/output: what a process has written, and live what it
 * writes.
 *
 * Runs in the server's loop thread.  Output is hostile bytes.  A reader that is slow makes nobody
 * wait but itself: what it misses is told as a gap. */
#include <stdlib.h>

#include "api/errors.h"
#include "api/events.h"
#include "api/internal.h"
#include "api/session_outcome.h"
#include "api/session_query.h"
#include "api/session_seen_process.h"
#include "base/limits.h"
#include "http/http.h"

#define STREAM_HIGH_WATER (256u << 10)
#define STREAM_LOW_WATER  (64u << 10)

/* -- live -- */

struct follower {
    struct http_request *r;
    struct session_process *process;
    struct listener *listener;
    struct event_tail tails[2];
    bool follows; /* stays for what comes; else the stream ends with what is there */
    bool told, is_full;
};

static void follower_destroy(struct follower *f)
{
    listener_close(f->listener);
    free(f);
}

static void on_gone(void *data)
{
    follower_destroy(data);
}

static size_t send_events(struct follower *f, const struct buf *out)
{
    return http_stream_write_buf(f->r, out);
}

/* Output may be there before it is said that the process has started. */
static void tell_start(struct follower *f)
{
    _cleanup_buf_ struct buf out = {0};
    struct session_process_view v;
    session_process_view(f->process, &v);
    if (f->told || (v.pid == 0 && !v.ended))
        return;
    f->told = true;
    event_append_process(&out, "start", v.id, v.pid);
    send_events(f, &out);
}

static void send_piece(struct follower *f, const struct listener_piece *piece)
{
    const char *name = piece->stream == 1 ? "stdout" : "stderr";
    _cleanup_buf_ struct buf out = {0};
    if (piece->lost > 0)
        event_append_gap(&out, name, piece->lost);
    event_append_text(&out, name, &f->tails[piece->stream == 1 ? 0 : 1], piece->bytes, piece->len);
    f->is_full = send_events(f, &out) >= STREAM_HIGH_WATER;
}

static void append_result(struct buf *out, const struct session_process_view *v)
{
    struct session_outcome outcome = {.view = *v};
    struct writer w = {.out = out};
    if (v->result.error)
        event_append_line(out, "stderr", v->result.error);
    event_append_head(out, "result");
    put(&w, "{");
    put_outcome(&w, &outcome);
    put(&w, "}" EVENT_END);
}

/* Everything that there is has been sent. */
static void finish(struct follower *f)
{
    _cleanup_buf_ struct buf out = {0};
    struct session_process_view v;
    session_process_view(f->process, &v);
    event_append_tail(&out, "stdout", &f->tails[0]);
    event_append_tail(&out, "stderr", &f->tails[1]);
    if (v.ended)
        append_result(&out, &v);
    send_events(f, &out);
    http_stream_on_writable(f->r, 0, NULL, NULL);
    http_stream_end(f->r);
    follower_destroy(f);
}

static void pump(void *data)
{
    struct follower *f = data;
    struct listener_piece piece;
    int more = 0;
    tell_start(f);
    while (f->told && !f->is_full && (more = listener_read(f->listener, &piece)) > 0)
        send_piece(f, &piece);
    if (f->told && !f->is_full && (more < 0 || !f->follows))
        finish(f);
}

static void on_writable(void *data)
{
    struct follower *f = data;
    if (!f->is_full)
        return;
    f->is_full = false;
    pump(f);
}

static void send_stream(struct http_request *r, struct session_process *p, const uint64_t offset[2],
                        bool follows)
{
    struct follower *f = calloc(1, sizeof *f);
    const struct listener_events events = {.on_more = pump, .data = f};
    if (f)
        f->listener = session_process_listen(p, offset[0], offset[1], false, &events);
    if (!f || !f->listener) {
        free(f);
        error_reply_memory(r);
        return;
    }
    f->r = r;
    f->process = p;
    f->follows = follows;
    http_set_gone(r, on_gone, f);
    http_stream_begin(r, 200, "text/event-stream; charset=utf-8");
    http_stream_on_writable(r, STREAM_LOW_WATER, on_writable, f);
}

/* -- what is there -- */

/* Nobody is told of more: it is read at once. */
static void ignore(void *data)
{
}

/* Reads what is kept from these offsets on, which become those of what follows. */
static int collect(struct session_process *p, uint64_t offset[2], struct buf text[2])
{
    const struct listener_events events = {.on_more = ignore};
    struct listener *l = session_process_listen(p, offset[0], offset[1], false, &events);
    struct listener_piece piece;
    int result = l ? 0 : -1;
    while (l && result == 0 && listener_read(l, &piece) > 0) {
        size_t i = piece.stream == 1 ? 0 : 1;
        result = buf_append(&text[i], piece.bytes, piece.len);
        offset[i] = piece.offset + piece.len;
    }
    if (l)
        listener_close(l);
    return result;
}

/* Leaves an unfinished character at the end of what a running process has written to the next
 * request. */
static void cut(struct buf *text, uint64_t *offset, bool running)
{
    size_t whole = running && text->len > 0 ? event_whole_length(text->data, text->len) : text->len;
    *offset -= text->len - whole;
    text->len = whole;
}

static void put_kept(struct writer *w, const char *name, const struct buf *text)
{
    put_bytes(w, name, text->data ? text->data : "", text->len);
}

static void reply_kept(struct http_request *r, struct session_process *p, uint64_t offset[2])
{
    struct buf text[2] = {{0}, {0}}, body = {0};
    struct writer w = {.out = &body};
    struct session_process_view v;
    session_process_view(p, &v);
    w.failed = collect(p, offset, text) < 0;
    cut(&text[0], &offset[0], !v.ended);
    cut(&text[1], &offset[1], !v.ended);
    put(&w, "{");
    put_kept(&w, "stdout", &text[0]);
    put_kept(&w, "stderr", &text[1]);
    put_name(&w, "next");
    put(&w, "{");
    put_number(&w, "stdout", offset[0]);
    put_number(&w, "stderr", offset[1]);
    put(&w, "}");
    put_bool(&w, "running", !v.ended);
    put(&w, "}");
    buf_finish(&text[0]);
    buf_finish(&text[1]);
    if (!w.failed) {
        http_reply(r, 200, "application/json", &body);
        return;
    }
    buf_finish(&body);
    error_reply_memory(r);
}

/* -- the request -- */

/* An offset that lies beyond what was written is that of what comes next. */
static void clamp(uint64_t offset[2], struct session_process *p)
{
    struct session_process_view v;
    session_process_view(p, &v);
    for (int i = 0; i < 2; i++) {
        if (offset[i] > v.offset[i])
            offset[i] = v.offset[i];
    }
}

void session_output_get(struct api *api, struct http_request *r, const struct call *call)
{
    struct session_process *p = session_seen_process(api, r, call);
    uint64_t offset[2] = {0, 0};
    bool follows = content_wants_events(r);
    if (!p || session_query_number(r, "stdout", 0, UINT64_MAX, &offset[0]) < 0 ||
        session_query_number(r, "stderr", 0, UINT64_MAX, &offset[1]) < 0 ||
        session_query_bool(r, "follow", &follows) < 0)
        return;
    clamp(offset, p);
    if (content_wants_events(r))
        send_stream(r, p, offset, follows);
    else
        reply_kept(r, p, offset);
}

/* environment_logs: GET /environments/{name}/logs: the log of a build as text, as JSON, or live as
 * events.
 *
 * Runs in the server's loop thread.  The log is whatever a script in a sandbox has written: any
 * bytes.  It is read in pieces while it is sent, and never held as a whole but for JSON, which has
 * a bound. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/environment_answer.h"
#include "api/environment_name.h"
#include "api/errors.h"
#include "api/events.h"
#include "api/internal.h"
#include "api/log_request.h"
#include "api/text.h"
#include "http/http.h"
#include "service/environment.h"

#define EVENTS       "text/event-stream; charset=utf-8"
#define PIECE        (16u << 10)
#define JSON_MAX     (1u << 20) /* bytes of the log in one JSON answer; offset leads to the rest */
#define HIGH_WATER   (256u << 10)
#define LOW_WATER    (64u << 10)
#define HEARTBEAT_MS 15000 /* so that nobody between takes a silent stream for a dead one */

/* -- where to begin -- */

/* The offset at which the last `lines` lines of a log of `size` bytes begin, not before `from`. */
static uint64_t find_tail(struct environment_service *s, const char *name, uint64_t size,
                          const struct log_request *q)
{
    char piece[PIECE];
    uint64_t lines = q->tail, end = size;
    while (end > q->offset) {
        uint64_t start = end - q->offset > PIECE ? end - PIECE : q->offset;
        long n = environment_log_read(s, name, start, piece, (size_t)(end - start), NULL);
        if (n < (long)(end - start))
            break; /* it was taken away meanwhile */
        size_t at = log_find_tail(piece, (size_t)n, end == size, &lines);
        if (lines == 0)
            return start + at;
        end = start;
    }
    return q->offset;
}

static uint64_t find_begin(struct environment_service *s, const char *name, uint64_t size,
                           const struct log_request *q)
{
    if (q->offset >= size)
        return size;
    return q->tail == UINT64_MAX ? q->offset : find_tail(s, name, size, q);
}

/* -- as text -- */

struct text_source {
    struct environment_service *environments;
    uint64_t at, end;
    char name[ENVIRONMENT_NAME_MAX + 1];
};

static size_t read_text(void *data, char *out, size_t cap)
{
    struct text_source *t = data;
    uint64_t left = t->end - t->at;
    size_t want = left < cap ? (size_t)left : cap;
    long n = want ? environment_log_read(t->environments, t->name, t->at, out, want, NULL) : 0;
    if (n <= 0)
        return 0;
    t->at += (uint64_t)n;
    return (size_t)n;
}

static void reply_text(struct api *api, struct http_request *r, const char *name, uint64_t begin,
                       uint64_t end)
{
    static const char type[] = "text/plain; charset=utf-8";
    struct buf none = {0};
    if (begin == end) {
        http_reply(r, 200, type, &none);
        return;
    }
    struct text_source *t = calloc(1, sizeof *t);
    if (!t) {
        error_reply_memory(r);
        return;
    }
    *t = (struct text_source){.environments = api->environments, .at = begin, .end = end};
    snprintf(t->name, sizeof t->name, "%s", name);
    const struct http_source source = {
        .read = read_text, .done = free, .data = t, .size = end - begin};
    http_reply_source(r, 200, type, &source);
}

/* -- as JSON -- */

/* Appends up to JSON_MAX bytes of the log. */
static int read_piece(struct api *api, const char *name, uint64_t begin, uint64_t end,
                      struct buf *out, struct err *e)
{
    size_t want = end - begin < JSON_MAX ? (size_t)(end - begin) : JSON_MAX;
    if (buf_reserve(out, want + 1) < 0)
        return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
    while (out->len < want) {
        long n = environment_log_read(api->environments, name, begin + out->len,
                                      out->data + out->len, want - out->len, e);
        if (n < 0)
            return -1;
        if (n == 0)
            break; /* it was taken away meanwhile */
        out->len += (size_t)n;
    }
    return 0;
}

static void reply_json(struct api *api, struct http_request *r, const char *name, uint64_t begin,
                       uint64_t size)
{
    _cleanup_buf_ struct buf log = {0};
    struct buf body = {0};
    struct err e = {0};
    if (read_piece(api, name, begin, size, &log, &e) < 0) {
        error_reply_failure(r, "", &e);
        return;
    }
    if (buf_append_str(&body, "{\"name\":") == 0 && text_append_json_str(&body, name) == 0 &&
        buf_append_str(&body, ",\"log\":") == 0 &&
        text_append_json(&body, log.data, log.len) == 0 &&
        buf_printf(&body,
                   ",\"size\":%" PRIu64 ",\"offset\":%" PRIu64 ",\"next_offset\":%" PRIu64 "}",
                   size, begin, begin + log.len) >= 0) {
        http_reply(r, 200, "application/json", &body);
        return;
    }
    buf_finish(&body);
    error_reply_memory(r);
}

/* -- as events -- */

struct following {
    struct api *api;
    struct http_request *r;
    struct log_follower *follower; /* NULL once the build has ended */
    uv_timer_t heartbeat;
    uint64_t offset;
    bool full; /* the client reads more slowly than the log grows */
    char name[ENVIRONMENT_NAME_MAX + 1];
};

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void stop_following(struct following *f)
{
    if (f->follower)
        environment_log_unfollow(f->follower);
    uv_close((uv_handle_t *)&f->heartbeat, on_closed);
}

static void on_gone(void *data)
{
    stop_following(data);
}

static void send_end(struct http_request *r, const char *status)
{
    _cleanup_buf_ struct buf out = {0};
    event_append_head(&out, "end");
    buf_printf(&out, "{\"status\":\"%s\"}" EVENT_END, status);
    http_stream_write_buf(r, &out);
}

static void end_following(struct following *f)
{
    struct environment_view v;
    bool found = environment_get(f->api->environments, f->name, &v, NULL) == 0;
    send_end(f->r, found ? environment_status_name(&v) : "deleted");
    http_stream_on_writable(f->r, 0, NULL, NULL);
    http_stream_end(f->r);
    stop_following(f);
}

/* Nothing more can be read of a log that is there: the client asks again from its last event. */
static void break_off(struct following *f)
{
    http_stream_on_writable(f->r, 0, NULL, NULL);
    http_stream_break(f->r);
    stop_following(f);
}

/* Reads the next whole characters; an unfinished one only when nothing will finish it.  0: there
 * are no more; -1: they cannot be read. */
static long read_next(struct following *f, char piece[static PIECE])
{
    struct err e = {0};
    long n = environment_log_read(f->api->environments, f->name, f->offset, piece, PIECE, &e);
    if (n <= 0)
        return n < 0 && e.code != ERR_NOT_FOUND ? -1 : 0;
    long whole = (long)event_whole_length(piece, (size_t)n);
    return whole == 0 && !f->follower ? n : whole;
}

/* Sends what there is, as much as is good for now. */
static void pump(struct following *f)
{
    char piece[PIECE];
    size_t queued = 0;
    f->full = false;
    while (queued < HIGH_WATER) {
        _cleanup_buf_ struct buf out = {0};
        long n = read_next(f, piece);
        if (n < 0) {
            break_off(f);
            return;
        }
        if (n == 0) {
            if (!f->follower)
                end_following(f);
            return;
        }
        f->offset += (size_t)n;
        event_append_log(&out, piece, (size_t)n, f->offset);
        queued = http_stream_write_buf(f->r, &out);
    }
    f->full = true;
}

static void on_writable(void *data)
{
    struct following *f = data;
    if (f->full)
        pump(f);
}

static void on_more(void *data, bool ended)
{
    struct following *f = data;
    if (ended)
        f->follower = NULL;
    if (!f->full)
        pump(f);
}

static void on_heartbeat(uv_timer_t *timer)
{
    struct following *f = timer->data;
    http_stream_write(f->r, ":\n\n", 3);
}

static void reply_events(struct api *api, struct http_request *r, const char *name, uint64_t begin)
{
    struct following *f = calloc(1, sizeof *f);
    if (f)
        f->follower = environment_log_follow(api->environments, name, on_more, f);
    if (!f || !f->follower) {
        free(f);
        error_reply_memory(r);
        return;
    }
    f->api = api;
    f->r = r;
    f->offset = begin;
    snprintf(f->name, sizeof f->name, "%s", name);
    uv_timer_init(api->loop, &f->heartbeat);
    f->heartbeat.data = f;
    uv_timer_start(&f->heartbeat, on_heartbeat, HEARTBEAT_MS, HEARTBEAT_MS);
    http_set_gone(r, on_gone, f);
    http_stream_begin(r, 200, EVENTS);
    http_stream_on_writable(r, LOW_WATER, on_writable, f);
    pump(f);
}

/* Nobody has built the built-in environment. */
static void reply_events_of_built_in(struct http_request *r)
{
    http_stream_begin(r, 200, EVENTS);
    send_end(r, "ready");
    http_stream_end(r);
}

/* -- the request -- */

static void reply_fault(struct http_request *r, const char *parameter)
{
    if (strcmp(parameter, "follow") == 0)
        error_reply_query(r, parameter, "bool_parsing",
                          "Input should be a valid boolean, unable to interpret input");
    else if (strcmp(parameter, "format") == 0)
        error_reply_query(r, parameter, "literal_error", "Input should be 'text' or 'json'");
    else
        error_reply_query(r, parameter, "int_parsing",
                          "Input should be a valid integer that is not negative");
}

void environment_logs_get(struct api *api, struct http_request *r, const struct call *call)
{
    struct environment_service *s = api->environments;
    const struct log_query query = {
        .tail = http_query(r, "tail"),
        .offset = http_query(r, "offset"),
        .format = http_query(r, "format"),
        .follow = http_query(r, "follow"),
        .last_event_id = http_header(r, "Last-Event-ID"),
        .wants_events = content_wants_events(r),
    };
    struct log_request q;
    const char *fault;
    bool built_in = strcmp(call->name, ENVIRONMENT_DEFAULT) == 0;
    uint64_t size = 0;
    struct err e = {0};
    if (log_request_parse(&query, &q, &fault) < 0) {
        reply_fault(r, fault);
        return;
    }
    if (!built_in && environment_log_size(s, call->name, &size, &e) < 0) {
        if (e.code == ERR_NOT_FOUND)
            error_reply_no_environment(r, call->name);
        else
            error_reply_failure(r, "", &e);
        return;
    }
    uint64_t begin = find_begin(s, call->name, size, &q);
    if (q.format == LOG_REQUEST_EVENTS && built_in)
        reply_events_of_built_in(r);
    else if (q.format == LOG_REQUEST_EVENTS)
        reply_events(api, r, call->name, begin);
    else if (q.format == LOG_REQUEST_JSON)
        reply_json(api, r, call->name, begin, size);
    else
        reply_text(api, r, call->name, begin, size);
}

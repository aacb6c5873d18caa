/* execute: POST /execute and POST /execute-with-environment.
 *
 * Runs in the server's loop thread.  One exchange lives from the request to its answer:
 *
 *     decoding -> entering -> running (or waiting for its turn) -> answered
 *                                                              \-> sending (events only) ->
 * answered
 *
 * Entering is immediate but where the environment is still being built.
 *
 * Whatever happens it answers exactly once, or not at all when the client has gone; then the run is
 * cancelled.  The body counts against the HTTP layer's budget until the run has ended, since that
 * is how long its memory is held. */
#include <stdlib.h>
#include <string.h>

#include "api/environment_answer.h"
#include "api/environment_name.h"
#include "api/errors.h"
#include "api/events.h"
#include "api/execute_answer.h"
#include "api/execute_request.h"
#include "api/internal.h"
#include "base/limits.h"
#include "engine/language.h"
#include "http/http.h"
#include "service/environment.h"
#include "service/execute.h"

/* Bytes of the result event that are queued at once, and below which the next ones are. */
#define STREAM_HIGH_WATER (256u << 10)
#define STREAM_LOW_WATER  (64u << 10)
#define STREAM_CHUNK      (16u << 10)

struct exchange {
    struct api *api;
    struct http_request *r; /* NULL when the client has gone */
    char client[64];
    bool within; /* it wants an environment by name: those that are not there are 4xx */
    bool wants_events;
    bool streaming; /* the stream has begun */
    char *body;     /* until it is decoded */
    size_t body_len;
    bool decoding;
    struct execute_request request;
    struct answer_facts facts;
    struct environment_visit *visit; /* while it waits for the environment */
    bool is_inside;                  /* the environment counts it among its runs */
    struct nest *nest;
    struct execution *execution; /* while it waits or runs */
    struct event_tail tails[2];  /* of stdout and stderr */
    struct answer *sending;      /* the result event */
};

static void exchange_destroy(struct exchange *x)
{
    free(x->body);
    execute_request_finish(&x->request);
    answer_destroy(x->sending);
    free(x);
}

/* The run is over, or never began; `modules` is what it said it imported, or NULL. */
static void leave_environment(struct exchange *x, const char *modules)
{
    if (x->is_inside)
        environment_left(x->api->environments, x->request.environment, x->nest, modules);
    x->is_inside = false;
}

static void on_gone(void *data)
{
    struct exchange *x = data;
    x->r = NULL;
    if (x->decoding)
        return; /* on_decoded() frees it */
    if (x->visit)
        environment_enter_cancel(x->visit);
    if (x->execution)
        execute_cancel(x->execution);
    leave_environment(x, NULL);
    exchange_destroy(x);
}

/* -- plain answers -- */

static void free_answer(void *data)
{
    answer_destroy(data);
}

/* Sends an answer (taken over; NULL: there was no memory for it). */
static void reply_answer(struct http_request *r, struct answer *answer)
{
    struct buf body = {0};
    if (!answer) {
        error_reply_memory(r);
        return;
    }
    if (!answer_is_small(answer)) {
        const struct http_source source = {
            .read = answer_read, .done = free_answer, .data = answer};
        http_reply_source(r, 200, "application/json", &source);
        return;
    }
    int result = answer_read_all(answer, &body);
    answer_destroy(answer);
    if (result == 0) {
        http_reply(r, 200, "application/json", &body);
        return;
    }
    buf_finish(&body);
    error_reply_memory(r);
}

/* -- events -- */

static void send_events(struct exchange *x, const struct buf *out)
{
    http_stream_write_buf(x->r, out);
}

static void begin_stream(struct exchange *x)
{
    _cleanup_buf_ struct buf out = {0};
    if (x->streaming)
        return;
    x->streaming = true;
    http_stream_begin(x->r, 200, "text/event-stream; charset=utf-8");
    event_append_start(&out, x->facts.id[0] ? x->facts.id : NULL, x->facts.language->name);
    send_events(x, &out);
}

static void end_stream(struct exchange *x)
{
    http_stream_on_writable(x->r, 0, NULL, NULL);
    http_stream_end(x->r);
    exchange_destroy(x);
}

/* Queues as much of the result event as is good for now. */
static void pump_result(void *data)
{
    struct exchange *x = data;
    char chunk[STREAM_CHUNK];
    size_t n, queued = 0;
    while (queued < STREAM_HIGH_WATER) {
        n = answer_read(x->sending, chunk, sizeof chunk);
        if (n == 0) {
            http_stream_write(x->r, EVENT_END, strlen(EVENT_END));
            end_stream(x);
            return;
        }
        queued = http_stream_write(x->r, chunk, n);
    }
}

static void send_result(struct exchange *x, struct answer *answer)
{
    _cleanup_buf_ struct buf out = {0};
    begin_stream(x);
    event_append_tail(&out, "stdout", &x->tails[0]);
    event_append_tail(&out, "stderr", &x->tails[1]);
    if (!answer) {
        /* A stream without a result tells the client that something went wrong. */
        send_events(x, &out);
        end_stream(x);
        return;
    }
    event_append_head(&out, "result");
    send_events(x, &out);
    x->sending = answer;
    http_stream_on_writable(x->r, STREAM_LOW_WATER, pump_result, x);
    pump_result(x);
}

/* -- the run -- */

static void on_start(void *data)
{
    begin_stream(data);
}

static void on_output(void *data, int stream, const char *bytes, size_t len)
{
    struct exchange *x = data;
    _cleanup_buf_ struct buf out = {0};
    begin_stream(x);
    event_append_text(&out, stream == 1 ? "stdout" : "stderr", &x->tails[stream == 1 ? 0 : 1],
                      bytes, len);
    send_events(x, &out);
}

static void on_done(void *data, struct run_result *result)
{
    struct exchange *x = data;
    bool judged = result->outcome != RUN_FAILED && result->outcome != RUN_CANCELLED;
    x->execution = NULL;
    leave_environment(x, result->modules);
    if (!judged && !x->streaming) {
        error_reply_sandbox(x->r, result->message);
        run_result_finish(result);
        exchange_destroy(x);
        return;
    }
    http_body_release(x->r);
    struct answer *answer = answer_create(&x->facts, result);
    if (x->wants_events) {
        send_result(x, answer);
        return;
    }
    reply_answer(x->r, answer);
    exchange_destroy(x);
}

static void start_run(struct exchange *x)
{
    const struct run_events events = {
        .on_start = x->wants_events ? on_start : NULL,
        .on_output = x->wants_events ? on_output : NULL,
        .on_done = on_done,
        .data = x,
    };
    struct run_spec *spec = x->request.spec;
    struct err e = {0};
    memcpy(x->facts.id, spec->id, sizeof x->facts.id);
    x->facts.timeout_s = spec->timeout_ms / 1000;
    x->facts.memory_mb = spec->limits.memory_mb;
    x->request.spec = NULL;
    x->execution = execute_submit(x->api->execute, spec, x->client, &events, &e);
    if (x->execution)
        return;
    leave_environment(x, NULL);
    error_reply_turned_away(x->r, &e, execute_retry_after(x->api->execute));
    exchange_destroy(x);
}

/* -- what is not run -- */

static void reply_refused(struct exchange *x)
{
    const struct execute_request *q = &x->request;
    struct answer *answer = answer_create_refused(&x->facts, &q->stderr_text, &q->answer);
    if (x->wants_events) {
        send_result(x, answer);
        return;
    }
    reply_answer(x->r, answer);
    exchange_destroy(x);
}

/* "环境 'x' 状态为 failed，无法使用" */
static void reply_unusable(struct http_request *r, const char *name, const char *status)
{
    _cleanup_buf_ struct buf text = {0};
    if (environment_append_quoted(&text, name, strlen(name)) < 0 ||
        buf_printf(&text, " 状态为 %s，无法使用", status) < 0)
        error_reply_memory(r);
    else
        error_reply(r, 400, text.data, text.len);
}

/* The environment is not there, or not ready: `status` says what it is then. */
static void reply_no_environment(struct exchange *x, const char *status)
{
    struct execute_request *q = &x->request;
    if (!x->within && execute_request_unknown(q, q->environment, strlen(q->environment)) == 0) {
        reply_refused(x);
        return;
    }
    if (!x->within)
        error_reply_memory(x->r);
    else if (status)
        reply_unusable(x->r, q->environment, status);
    else
        error_reply_no_environment(x->r, q->environment);
    exchange_destroy(x);
}

/* -- the environment -- */

static void on_entered(void *data, enum environment_entry how, const char *status,
                       const struct err *e)
{
    struct exchange *x = data;
    x->visit = NULL;
    switch (how) {
    case ENVIRONMENT_ENTERED:
        x->is_inside = true;
        x->nest = x->request.spec->nest;
        rules_complete(&x->api->rules, x->request.spec);
        start_run(x);
        return;
    case ENVIRONMENT_UNKNOWN:
        reply_no_environment(x, NULL);
        return;
    case ENVIRONMENT_NOT_READY:
        reply_no_environment(x, status);
        return;
    case ENVIRONMENT_REFUSED:
        break;
    }
    if (e->code == ERR_INVALID)
        error_reply_member(x->r, "network", e->text);
    else
        error_reply_busy(x->r, e->text, execute_retry_after(x->api->execute));
    exchange_destroy(x);
}

static void enter_environment(struct exchange *x)
{
    struct environment_visit *visit = environment_enter(
        x->api->environments, x->request.environment, x->request.spec, on_entered, x);
    if (visit) /* otherwise on_entered was called, and x may be gone */
        x->visit = visit;
}

/* A request that is refused for another reason than its environment, which is checked first. */
static void reply_refused_within(struct exchange *x)
{
    const char *name = x->request.environment;
    struct environment_view v;
    if (!name)
        reply_refused(x);
    else if (environment_get(x->api->environments, name, &v, NULL) < 0)
        reply_no_environment(x, NULL);
    else if (v.record && v.record->status == ENVIRONMENT_FAILED)
        reply_no_environment(x, environment_status_name(&v));
    else
        reply_refused(x);
}

/* -- the request -- */

static void on_decode(void *data)
{
    struct exchange *x = data;
    char *body = x->body;
    x->body = NULL;
    if (x->within)
        execute_request_decode_within(&x->request, &x->api->rules, body, x->body_len);
    else
        execute_request_decode(&x->request, &x->api->rules, body, x->body_len);
}

static void on_decoded(void *data)
{
    struct exchange *x = data;
    struct execute_request *q = &x->request;
    x->decoding = false;
    if (!x->r) {
        exchange_destroy(x);
        return;
    }
    x->wants_events |= q->stream;
    x->facts.language = q->language;
    switch (q->verdict) {
    case REQUEST_RUN:
        enter_environment(x);
        return;
    case REQUEST_REFUSED:
        reply_refused_within(x);
        return;
    case REQUEST_INVALID:
        error_reply_violations(x->r, &q->answer);
        break;
    case REQUEST_BAD:
        error_reply(x->r, 400, q->answer.data, q->answer.len);
        break;
    case REQUEST_UNKNOWN:
        error_reply(x->r, 404, q->answer.data, q->answer.len);
        break;
    case REQUEST_FAILED:
        error_reply_memory(x->r);
        break;
    }
    exchange_destroy(x);
}

static void start_exchange(struct api *api, struct http_request *r, const struct call *call,
                           bool within)
{
    if (!content_is_json(r)) {
        content_refuse(r);
        return;
    }
    struct exchange *x = calloc(1, sizeof *x);
    if (!x) {
        error_reply_memory(r);
        return;
    }
    x->api = api;
    x->r = r;
    x->within = within;
    strncpy(x->client, call->client, sizeof x->client - 1);
    x->wants_events = content_wants_events(r);
    x->body = buf_steal(http_body(r), &x->body_len);
    x->decoding = true;
    http_set_gone(r, on_gone, x);
    if (offload(api->loop, x->body_len, on_decode, on_decoded, x) < 0) {
        error_reply_memory(r);
        exchange_destroy(x);
    }
}

void execute_post(struct api *api, struct http_request *r, const struct call *call)
{
    start_exchange(api, r, call, false);
}

void execute_with_environment_post(struct api *api, struct http_request *r, const struct call *call)
{
    start_exchange(api, r, call, true);
}

/* se_handler: POST /workspace/se/v2/execute_code: a handler function, run in a sandbox of its own.
 *
 * Runs in the server's loop thread; bodies are decoded and answers written on the thread pool when
 * they are large.  One exchange lives from the request to its answer; when the client goes, the run
 * is cancelled.  No interpreter ever serves two calls (R91). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/errors.h"
#include "api/internal.h"
#include "api/se_handler_answer.h"
#include "api/se_handler_request.h"
#include "base/limits.h"
#include "base/settings.h"
#include "engine/language.h"
#include "http/http.h"
#include "service/execute.h"

/* The program is ours and lies in the sandbox, read-only; its names are its own. */
#define PROGRAM                                                                                    \
    "p = '/opt/dunlin/python/handler.py'\n"                                                        \
    "exec(compile(open(p, encoding='utf-8').read(), p, 'exec'), {'__name__': '__main__'})\n"

struct exchange {
    struct api *api;
    struct http_request *r; /* NULL when the client has gone */
    char client[64];
    bool working; /* on the thread pool */
    char *body;   /* until it is decoded */
    size_t body_len;
    struct handler_request request;
    struct handler_facts facts;
    struct execution *execution; /* while it waits or runs */
    struct run_result result;
    struct buf answer;
    bool answered; /* there was memory for the answer */
};

static void exchange_destroy(struct exchange *x)
{
    free(x->body);
    handler_request_finish(&x->request);
    run_result_finish(&x->result);
    buf_finish(&x->answer);
    free(x);
}

static void on_gone(void *data)
{
    struct exchange *x = data;
    x->r = NULL;
    if (x->working)
        return; /* who comes back from the pool frees it */
    if (x->execution)
        execute_cancel(x->execution);
    exchange_destroy(x);
}

/* Sends x->answer if it could be written, and ends the exchange. */
static void reply(struct exchange *x, int status, int failed)
{
    if (failed != 0)
        error_reply_memory(x->r);
    else
        http_reply(x->r, status, "application/json", &x->answer);
    exchange_destroy(x);
}

/* -- the run -- */

static void on_write(void *data)
{
    struct exchange *x = data;
    x->answered = handler_answer_write(&x->answer, &x->result, &x->facts) == 0;
}

static void on_written(void *data)
{
    struct exchange *x = data;
    x->working = false;
    if (x->r)
        reply(x, 200, x->answered ? 0 : -1);
    else
        exchange_destroy(x);
}

static size_t size_of(const struct run_result *r)
{
    size_t size = r->out.len + r->err.len;
    for (size_t i = 0; i < r->nfiles; i++)
        size += r->files[i].len;
    return size;
}

static void on_done(void *data, struct run_result *result)
{
    struct exchange *x = data;
    x->execution = NULL;
    x->result = *result;
    *result = (struct run_result){0};
    http_body_release(x->r);
    if (x->result.outcome == RUN_TIMEOUT) {
        reply(x, 500, handler_answer_write_timeout(&x->answer, &x->result, &x->facts));
        return;
    }
    if (x->result.outcome == RUN_FAILED || x->result.outcome == RUN_CANCELLED) {
        const char *why = x->result.message ? x->result.message : "no reason given";
        http_add_header(x->r, "Retry-After", "1");
        reply(x, 503, handler_answer_write_failed(&x->answer, why));
        return;
    }
    x->working = true;
    if (offload(x->api->loop, size_of(&x->result), on_write, on_written, x) < 0) {
        x->working = false;
        reply(x, 503, -1);
    }
}

static int add_arg(struct run_spec *spec, const char *text)
{
    spec->args[spec->nargs] = strdup(text);
    return spec->args[spec->nargs++] ? 0 : -1;
}

/* The run's arguments, as runtime/python/handler.py reads them. */
static int add_args(struct run_spec *spec)
{
    char timeout[16], memory[16];
    snprintf(timeout, sizeof timeout, "%u", (unsigned)spec->timeout_ms);
    snprintf(memory, sizeof memory, "%u", (unsigned)spec->limits.memory_mb);
    spec->args = calloc(4, sizeof *spec->args);
    return spec->args ? add_arg(spec, HANDLER_RESULT) | add_arg(spec, timeout) |
                            add_arg(spec, memory) | add_arg(spec, spec->id)
                      : -1;
}

static struct run_spec *make_spec(struct exchange *x)
{
    struct run_spec *spec = run_spec_create();
    if (!spec)
        return NULL;
    spec->language = language_find("python");
    spec->stdin_data = x->request.input;
    spec->stdin_len = x->request.input_len;
    x->request.input = NULL;
    spec->limits = x->api->rules.usual;
    spec->timeout_ms = x->request.timeout_ms;
    spec->max_file_size = x->api->rules.file_max;
    spec->code = strdup(PROGRAM);
    spec->code_len = strlen(PROGRAM);
    if (spec->code && add_args(spec) == 0)
        return spec;
    run_spec_destroy(spec);
    return NULL;
}

static void reply_full(struct exchange *x, const struct err *e)
{
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%u", execute_retry_after(x->api->execute));
    http_add_header(x->r, "Retry-After", seconds);
    reply(x, 503, handler_answer_write_full(&x->answer, e->text));
}

static void start_run(struct exchange *x)
{
    const struct run_events events = {.on_done = on_done, .data = x};
    struct run_spec *spec = make_spec(x);
    struct err e = {0};
    if (!spec) {
        reply(x, 503, -1);
        return;
    }
    x->facts.memory_mb = spec->limits.memory_mb;
    x->execution = execute_submit(x->api->execute, spec, x->client, &events, &e);
    if (!x->execution)
        reply_full(x, &e);
}

/* -- the request -- */

static void on_decode(void *data)
{
    struct exchange *x = data;
    const struct settings *s = x->api->settings;
    const struct handler_timeouts timeouts = {(uint32_t)s->session_timeout,
                                              (uint32_t)s->session_max_timeout};
    char *body = x->body;
    x->body = NULL;
    handler_request_decode(&x->request, &timeouts, body, x->body_len);
}

static void on_decoded(void *data)
{
    struct exchange *x = data;
    x->working = false;
    if (!x->r) {
        exchange_destroy(x);
        return;
    }
    x->facts.timeout_ms = x->request.timeout_ms;
    switch (x->request.verdict) {
    case HANDLER_RUN:
        start_run(x);
        return;
    case HANDLER_BLANK:
        reply(x, 200,
              handler_answer_write_refused(&x->answer, "System error: handler_code 不能为空",
                                           &x->facts));
        return;
    case HANDLER_INVALID:
        error_reply_violations(x->r, &x->request.answer);
        break;
    case HANDLER_FAILED:
        error_reply_memory(x->r);
        break;
    }
    exchange_destroy(x);
}

void se_handler_post(struct api *api, struct http_request *r, const struct call *call)
{
    if (!content_is_json(r)) {
        content_refuse(r);
        return;
    }
    if (http_body(r)->len > LIMIT_STDIN) {
        error_reply_str(r, 413, "请求体过大 (request body too large)");
        return;
    }
    struct exchange *x = calloc(1, sizeof *x);
    if (!x) {
        error_reply_memory(r);
        return;
    }
    x->api = api;
    x->r = r;
    strncpy(x->client, call->client, sizeof x->client - 1);
    x->body = buf_steal(http_body(r), &x->body_len);
    x->working = true;
    http_set_gone(r, on_gone, x);
    if (offload(api->loop, x->body_len, on_decode, on_decoded, x) < 0) {
        error_reply_memory(r);
        x->working = false;
        exchange_destroy(x);
    }
}

/* policy: POST /policy/check: {code, level} to {safe, error}.
 *
 * Runs in the server's loop thread.  The policy is evaluated by the run's own interpreter, in a
 * sandbox that only parses, so a check is admitted and limited like a run. */
#include <stdlib.h>
#include <string.h>

#include "api/errors.h"
#include "api/internal.h"
#include "api/policy_request.h"
#include "api/text.h"
#include "http/http.h"
#include "service/execute.h"

struct check {
    struct api *api;
    struct http_request *r; /* NULL when the client has gone */
    char client[64];
    char *body; /* until it is decoded */
    size_t body_len;
    bool decoding;
    struct execute_request request;
    struct execution *execution;
};

static void check_destroy(struct check *c)
{
    free(c->body);
    execute_request_finish(&c->request);
    free(c);
}

static void on_gone(void *data)
{
    struct check *c = data;
    c->r = NULL;
    if (c->decoding)
        return; /* on_decoded() frees it */
    if (c->execution)
        execute_cancel(c->execution);
    check_destroy(c);
}

/* `error` NULL: safe. */
static void reply_verdict(struct http_request *r, const char *error)
{
    struct buf body = {0};
    buf_append_str(&body, error ? "{\"safe\":false,\"error\":" : "{\"safe\":true,\"error\":");
    text_append_json_str(&body, error);
    buf_append_str(&body, "}");
    http_reply(r, 200, "application/json", &body);
}

static void on_done(void *data, struct run_result *result)
{
    struct check *c = data;
    if (result->outcome == RUN_REFUSED)
        reply_verdict(c->r, result->message ? result->message : "");
    else if (result->outcome == RUN_EXITED && result->exit_code == 0)
        reply_verdict(c->r, NULL);
    else if (result->outcome == RUN_FAILED || result->outcome == RUN_CANCELLED)
        error_reply_sandbox(c->r, result->message);
    else
        reply_verdict(c->r, "代码验证失败: 检查未能完成 (the check did not end within its limits)");
    run_result_finish(result);
    check_destroy(c);
}

static void start_check(struct check *c)
{
    const struct run_events events = {.on_done = on_done, .data = c};
    struct run_spec *spec = c->request.spec;
    struct err e = {0};
    if (spec->policy == POLICY_OFF) {
        reply_verdict(c->r, NULL);
        check_destroy(c);
        return;
    }
    c->request.spec = NULL;
    c->execution = execute_submit(c->api->execute, spec, c->client, &events, &e);
    if (c->execution)
        return;
    error_reply_turned_away(c->r, &e, execute_retry_after(c->api->execute));
    check_destroy(c);
}

static void on_decode(void *data)
{
    struct check *c = data;
    char *body = c->body;
    c->body = NULL;
    policy_request_decode(&c->request, &c->api->rules, body, c->body_len);
}

static void on_decoded(void *data)
{
    struct check *c = data;
    struct execute_request *q = &c->request;
    c->decoding = false;
    if (c->r && q->verdict == REQUEST_RUN) {
        start_check(c);
        return;
    }
    if (c->r && q->verdict == REQUEST_INVALID)
        error_reply_violations(c->r, &q->answer);
    else if (c->r && q->verdict == REQUEST_BAD)
        error_reply(c->r, 400, q->answer.data, q->answer.len);
    else if (c->r)
        error_reply_memory(c->r);
    check_destroy(c);
}

void policy_check_post(struct api *api, struct http_request *r, const struct call *call)
{
    if (!content_is_json(r)) {
        content_refuse(r);
        return;
    }
    struct check *c = calloc(1, sizeof *c);
    if (!c) {
        error_reply_memory(r);
        return;
    }
    c->api = api;
    c->r = r;
    strncpy(c->client, call->client, sizeof c->client - 1);
    c->body = buf_steal(http_body(r), &c->body_len);
    c->decoding = true;
    http_set_gone(r, on_gone, c);
    if (offload(api->loop, c->body_len, on_decode, on_decoded, c) < 0) {
        error_reply_memory(r);
        check_destroy(c);
    }
}

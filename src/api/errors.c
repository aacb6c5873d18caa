/* errors: every refusal of the API.  Runs in the server's loop thread.  Texts may hold what a
 * client sent, so they go through the escaper; nothing of the inside is told but what helps the
 * caller. */
#include "api/errors.h"

#include <stdio.h>
#include <string.h>

#include "api/environment_name.h"
#include "api/text.h"
#include "api/violations.h"
#include "base/err.h"
#include "http/http.h"

#define JSON "application/json"

void error_reply(struct http_request *r, int status, const char *text, size_t len)
{
    struct buf body = {0};
    if (buf_append_str(&body, "{\"detail\":") < 0 || text_append_json(&body, text, len) < 0 ||
        buf_append_str(&body, "}") < 0)
        buf_finish(&body);
    http_reply(r, status, JSON, &body);
}

void error_reply_str(struct http_request *r, int status, const char *text)
{
    error_reply(r, status, text, strlen(text));
}

void error_reply_violations(struct http_request *r, struct buf *body)
{
    http_reply(r, 422, JSON, body);
}

/* Takes over what the violation holds. */
static void reply_violation(struct http_request *r, struct violations *v)
{
    struct buf body = {0};
    int result = violations_write(v, &body);
    violations_finish(v);
    if (result == 0) {
        error_reply_violations(r, &body);
        return;
    }
    buf_finish(&body);
    error_reply_memory(r);
}

void error_reply_query(struct http_request *r, const char *name, const char *type,
                       const char *words)
{
    struct violations v = {0};
    const char *value = http_query(r, name);
    json_t *input = value ? json_string(value) : NULL;
    violation_add(&v, type, PLACE_QUERY(name), input, NULL, "%s", words);
    json_decref(input);
    reply_violation(r, &v);
}

void error_reply_member(struct http_request *r, const char *name, const char *words)
{
    struct violations v = {0};
    violation_add(&v, "value_error", PLACE(name), NULL, json_pack("{s:{}}", "error"),
                  "Value error, %s", words);
    reply_violation(r, &v);
}

void error_reply_no_environment(struct http_request *r, const char *name)
{
    _cleanup_buf_ struct buf text = {0};
    if (environment_append_unknown(&text, name, strlen(name)) < 0)
        error_reply_memory(r);
    else
        error_reply(r, 404, text.data, text.len);
}

static int status_of(const struct err *e)
{
    switch (e->code) {
    case ERR_INVALID:
        return 400;
    case ERR_NOT_FOUND:
        return 404;
    case ERR_EXISTS:
    case ERR_LIMIT:
        return 409;
    case ERR_UNAVAILABLE:
        return 503;
    default:
        return 500;
    }
}

void error_reply_failure(struct http_request *r, const char *prefix, const struct err *e)
{
    char text[sizeof e->text + 80];
    int status = status_of(e);
    snprintf(text, sizeof text, "%s%s", status < 409 ? "" : prefix, e->text);
    if (status == 503)
        http_add_header(r, "Retry-After", "30");
    error_reply_str(r, status, text);
}

void error_reply_unauthorized(struct http_request *r)
{
    http_add_header(r, "WWW-Authenticate", "Bearer");
    error_reply_str(
        r, 401,
        "API 密钥缺失或无效 (missing or invalid API key: send Authorization: Bearer KEY "
        "or X-Api-Key: KEY)");
}

void error_reply_turned_away(struct http_request *r, const struct err *e, unsigned retry_after_s)
{
    if (e->code == ERR_LIMIT)
        error_reply_str(r, 422, e->text);
    else
        error_reply_busy(r, e->text, retry_after_s);
}

void error_reply_busy(struct http_request *r, const char *why, unsigned retry_after_s)
{
    char text[sizeof((struct err *)0)->text + 160], seconds[16];
    snprintf(seconds, sizeof seconds, "%u", retry_after_s);
    snprintf(text, sizeof text, "服务繁忙，请在 %s 秒后重试 (server busy: %s; try again in %s s)",
             seconds, why, seconds);
    http_add_header(r, "Retry-After", seconds);
    error_reply_str(r, 503, text);
}

void error_reply_sandbox(struct http_request *r, const char *message)
{
    char text[400];
    snprintf(text, sizeof text, "沙箱不可用 (the sandbox failed, the code was not judged: %.240s)",
             message ? message : "no reason given");
    http_add_header(r, "Retry-After", "1");
    error_reply_str(r, 503, text);
}

void error_reply_memory(struct http_request *r)
{
    http_add_header(r, "Retry-After", "1");
    error_reply_str(r, 503, "内存不足 (the server is out of memory)");
}

static const char *http_error_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } texts[] = {
        {400, "Malformed HTTP request"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request was sent too slowly"},
        {411, "Length Required"},
        {413, "请求体过大 (request body too large)"},
        {414, "URI Too Long"},
        {417, "Expectation Failed"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "服务繁忙 (server busy, try again later)"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].status == status)
            return texts[i].text;
    }
    return status < 500 ? "Bad Request" : "Internal Server Error";
}

void error_http_body(int status, struct buf *out, void *data)
{
    const char *text = http_error_text(status);
    if (buf_append_str(out, "{\"detail\":") == 0 && text_append_json_str(out, text) == 0)
        buf_append_str(out, "}");
}

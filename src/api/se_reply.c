/* se_reply: writes answers for the predecessor's clients.  Runs in the server's loop thread.  Texts
 * from a client or a sandbox are escaped. */
#include "api/se_reply.h"

#include <errno.h>
#include <string.h>

#include "api/errors.h"
#include "api/se_path.h"
#include "api/session_reply.h"
#include "api/text.h"
#include "base/err.h"
#include "engine/file_call.h"
#include "http/http.h"

#define JSON          "application/json"
#define RETRY_SECONDS "1"

int se_append_answer(struct buf *out, const struct buf *value, const char *result)
{
    /* {"a":1} becomes {"a":1,"result":{"a":1},"full_result":{"a":1}} */
    if (buf_append(out, value->data, value->len - 1) < 0 ||
        buf_append_str(out, ",\"result\":") < 0 ||
        (result ? buf_append_str(out, result) : buf_append(out, value->data, value->len)) < 0 ||
        buf_append_str(out, ",\"full_result\":") < 0 ||
        buf_append(out, value->data, value->len) < 0)
        return -1;
    return buf_append_str(out, "}");
}

void se_reply(struct http_request *r, struct buf *value, const char *result, int failed)
{
    struct buf body = {0};
    if (failed == 0)
        failed = se_append_answer(&body, value, result);
    buf_finish(value);
    if (failed == 0) {
        http_reply(r, 200, JSON, &body);
        return;
    }
    buf_finish(&body);
    error_reply_memory(r);
}

int se_append_error(struct buf *out, const char *message, const char *detail)
{
    _cleanup_buf_ struct buf words = {0}, reason = {0};
    if (text_append_json_str(&words, message) < 0 || text_append_json_str(&reason, detail) < 0)
        return -1;
    return buf_printf(out,
                      "{\"detail\":%.*s,\"type\":\"SandboxError\",\"message\":%.*s,"
                      "\"error\":{\"type\":\"SandboxError\",\"message\":%.*s,\"detail\":%.*s}}",
                      (int)reason.len, reason.data, (int)words.len, words.data, (int)words.len,
                      words.data, (int)reason.len, reason.data);
}

void se_reply_error(struct http_request *r, int status, const char *message, const char *detail)
{
    struct buf body = {0};
    if (se_append_error(&body, message, detail) < 0) {
        buf_finish(&body);
        error_reply_memory(r);
        return;
    }
    if (status == 429 || status == 503)
        http_add_header(r, "Retry-After", RETRY_SECONDS);
    http_reply(r, status, JSON, &body);
}

void se_reply_err(struct http_request *r, const char *message, const struct err *e)
{
    se_reply_error(r, session_status_of_err(e), message, e->text);
}

void se_reply_file_error(struct http_request *r, const char *message, const struct file_end *end,
                         const char *text)
{
    int error = end->error;
    if (error == EXDEV)
        se_reply_error(r, 400, "Invalid file path", SE_PATH_ESCAPES);
    else
        se_reply_error(r, session_status_of_errno(error), message, *text ? text : strerror(error));
}

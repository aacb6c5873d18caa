/* json_body_http: from a request to its JSON object, and from what is wrong with that to an answer.
 * Runs in the server's loop thread. */
#include "api/errors.h"
#include "api/internal.h"
#include "api/json_body.h"
#include "http/http.h"

bool json_body_open(struct json_body *b, struct http_request *r, bool optional)
{
    size_t len;
    if (!content_is_json(r) && !(optional && http_body(r)->len == 0)) {
        content_refuse(r);
        return false;
    }
    char *text = buf_steal(http_body(r), &len);
    if (!text) {
        error_reply_memory(r);
        return false;
    }
    json_body_parse(b, text, len, optional);
    return true;
}

bool json_body_accept(const struct json_body *b, struct http_request *r)
{
    struct buf answer = {0};
    if (json_body_is_valid(b))
        return true;
    if (b->out_of_memory || violations_write(&b->fields.violations, &answer) < 0) {
        buf_finish(&answer);
        error_reply_memory(r);
    } else {
        error_reply_violations(r, &answer);
    }
    return false;
}

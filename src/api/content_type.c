/* content_type: what a body is, and what an answer should be.  Runs in the server's loop thread;
 * header values are hostile. */
#include <string.h>
#include <strings.h>

#include "api/errors.h"
#include "api/internal.h"
#include "api/violations.h"
#include "http/http.h"

/* Length of a media type without its parameters and the blanks around it. */
static size_t trim_type(const char **value)
{
    *value += strspn(*value, " \t");
    size_t len = strcspn(*value, ";");
    while (len > 0 && ((*value)[len - 1] == ' ' || (*value)[len - 1] == '\t'))
        len--;
    return len;
}

bool content_is_json(const struct http_request *r)
{
    static const char plain[] = "application/json", start[] = "application/", end[] = "+json";
    const char *value = http_header(r, "Content-Type");
    if (!value)
        return false;
    size_t len = trim_type(&value);
    if (len == sizeof plain - 1 && strncasecmp(value, plain, len) == 0)
        return true;
    return len >= sizeof start + sizeof end - 2 &&
           strncasecmp(value, start, sizeof start - 1) == 0 &&
           strncasecmp(value + len - (sizeof end - 1), end, sizeof end - 1) == 0;
}

void content_refuse(struct http_request *r)
{
    struct violations v = {0};
    struct buf answer = {0};
    const struct buf *body = http_body(r);
    if (body->len == 0)
        violation_add(&v, "missing", PLACE_BODY, NULL, NULL, "Field required");
    else
        violation_add_text(&v, body->data, body->len);
    int result = violations_write(&v, &answer);
    violations_finish(&v);
    if (result < 0) {
        buf_finish(&answer);
        error_reply_memory(r);
        return;
    }
    error_reply_violations(r, &answer);
}

bool content_wants_events(const struct http_request *r)
{
    static const char events[] = "text/event-stream";
    const char *value = http_header(r, "Accept");
    while (value && *value) {
        size_t item = strcspn(value, ",");
        const char *type = value;
        size_t len = trim_type(&type);
        if (len == sizeof events - 1 && strncasecmp(type, events, len) == 0)
            return true;
        value += item + (value[item] == ',');
    }
    return false;
}

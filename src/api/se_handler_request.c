/* se_handler_request: decoder of POST /workspace/se/v2/execute_code.
 *
 * Runs in the server, on the loop or on the thread pool.  The body is hostile.  It is only looked
 * at here: the run gets the bytes that the client sent, so that Python reads the event itself, long
 * integers and all. */
#include "api/se_handler_request.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/fields.h"
#include "api/text.h"

/* Milliseconds of event.__timeout. */
static uint32_t timeout_of(const struct handler_timeouts *t, double seconds)
{
    if (seconds <= 0)
        return t->usual_s * 1000;
    return seconds >= t->max_s ? t->max_s * 1000 : (uint32_t)ceil(seconds * 1000);
}

static void decode_timeout(struct fields *f, const struct handler_timeouts *t, const json_t *event,
                           struct handler_request *ret)
{
    const json_t *value = field_optional(event, "__timeout");
    double seconds = 0;
    if (value && field_real(f, PLACE_IN("event", "__timeout"), value, &seconds) < 0)
        return;
    ret->timeout_ms = timeout_of(t, seconds);
}

/* The member `name`: an object, or NULL when it is absent, null or a violation. */
static json_t *decode_dictionary(struct fields *f, const json_t *body, const char *name)
{
    json_t *value = field_optional(body, name);
    if (!value || json_is_object(value))
        return value;
    violation_add(&f->violations, "dict_type", PLACE(name), value, NULL,
                  "Input should be a valid dictionary");
    return NULL;
}

static void decode_members(struct fields *f, const struct handler_timeouts *t, const json_t *body,
                           struct handler_request *ret)
{
    const json_t *code = json_object_get(body, "handler_code");
    struct json_slice text = {0};
    if (!code)
        violation_add(&f->violations, "missing", PLACE("handler_code"), body, NULL,
                      "Field required");
    else if (field_string(f, PLACE("handler_code"), code, &text) == 0 &&
             text_is_blank(text.data, text.len))
        ret->verdict = HANDLER_BLANK;
    decode_timeout(f, t, decode_dictionary(f, body, "event"), ret);
    decode_dictionary(f, body, "context");
}

static void decode_body(struct fields *f, const struct handler_timeouts *t, char *body, size_t len,
                        struct handler_request *ret)
{
    struct json_lift lift = {0};
    f->lift = f->violations.lift = &lift;
    if (len == 0)
        violation_add(&f->violations, "missing", PLACE_BODY, NULL, NULL, "Field required");
    else if (json_lift_parse(body, len, JSON_LIFT_MIN, &lift) < 0)
        violation_add_unparsed(&f->violations, &lift);
    else if (!json_is_object(lift.root))
        violation_add(&f->violations, "model_attributes_type", PLACE_BODY, lift.root, NULL,
                      "Input should be a valid dictionary or object to extract fields from");
    else
        decode_members(f, t, lift.root, ret);
    if (violations_any(&f->violations))
        ret->verdict =
            violations_write(&f->violations, &ret->answer) < 0 ? HANDLER_FAILED : HANDLER_INVALID;
    violations_finish(&f->violations);
    json_lift_finish(&lift);
}

void handler_request_decode(struct handler_request *ret, const struct handler_timeouts *timeouts,
                            char *body, size_t len)
{
    struct fields f = {.violations.without_url = true};
    *ret =
        (struct handler_request){.verdict = HANDLER_FAILED, .timeout_ms = timeout_of(timeouts, 0)};
    ret->input = malloc(len + 1); /* decoding changes the text */
    if (ret->input) {
        memcpy(ret->input, body, len);
        ret->input_len = len;
        ret->verdict = HANDLER_RUN;
        decode_body(&f, timeouts, body, len, ret);
    }
    free(body);
}

void handler_request_finish(struct handler_request *q)
{
    free(q->input);
    buf_finish(&q->answer);
    *q = (struct handler_request){0};
}

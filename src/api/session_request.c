/* session_request: decodes what clients want of a session.  Runs in the server's loop thread; the
 * body is hostile.  What is beyond a ceiling is refused, by this or by the service, and never
 * reduced. */
#include "api/session_request.h"

#include <string.h>

#include "api/limits_decode.h"
#include "api/session_map.h"
#include "api/session_size.h"
#include "base/limits.h"

#define ID_BYTES_MAX    1024 /* what is longer than an id may be is told so by the service */
#define NAME_BYTES_MAX  255
#define SECONDS_FOREVER (100ll * 366 * 86400)

static void decode_size(struct session_request *q, const struct request_rules *rules, uint64_t *ret)
{
    struct fields *f = &q->body.fields;
    json_t *root = json_body_root(&q->body);
    const json_t *value = root ? field_optional(root, "size") : NULL;
    int64_t bytes;
    struct json_slice s;
    if (!value)
        return;
    if (!json_is_string(value)) {
        if (field_int_in(f, PLACE("size"), value, (struct int_range){1, INT64_MAX}, &bytes) == 0)
            *ret = (uint64_t)bytes;
        return;
    }
    s = json_lift_string(&q->body.lift, value, NULL);
    if (session_size_parse(s.data, s.len, rules->session_bytes_max, ret) < 0)
        violation_add(&f->violations, "string_pattern_mismatch", PLACE("size"), value,
                      json_pack("{s:s}", "pattern", SESSION_SIZE_PATTERN),
                      "String should match pattern '%s' and not be 0", SESSION_SIZE_PATTERN);
}

/* -1: never; else from 1. */
static void decode_span(struct session_request *q, const char *name, int64_t *ret)
{
    const int64_t absent = INT64_MIN;
    int64_t seconds = absent;
    json_body_int(&q->body, name, (struct int_range){-1, SECONDS_FOREVER}, &seconds);
    if (seconds == 0)
        json_body_refuse(&q->body, name, "must not be 0 (-1: never)");
    else if (seconds != absent)
        *ret = seconds;
}

/* *ret: the member as JSON, or NULL when it is absent. */
static void decode_map(struct session_request *q, const char *name, size_t max, struct buf *out,
                       const char **ret)
{
    json_t *root = json_body_root(&q->body);
    if (!root)
        return;
    if (session_map_json(&q->body.fields, root, name, max, out) < 0 ||
        (out->len > 0 && buf_append(out, "", 1) < 0))
        q->body.out_of_memory = true;
    else if (out->len > 0)
        *ret = out->data;
}

static void decode_maps(struct session_request *q, const char **env, const char **labels)
{
    decode_map(q, "env", LIMIT_SESSION_ENV, &q->env, env);
    decode_map(q, "labels", LIMIT_SESSION_LABELS, &q->labels, labels);
}

static void decode_network(struct session_request *q)
{
    json_t *root = json_body_root(&q->body);
    const json_t *value = root ? field_optional(root, "network") : NULL;
    size_t index;
    if (value && field_choice(&q->body.fields, PLACE("network"), value, network_names, &index) == 0)
        q->wanted.network = network_names[index];
}

void session_request_decode(struct session_request *q, const struct request_rules *rules)
{
    struct session_wanted *w = &q->wanted;
    json_body_text(&q->body, "id", ID_BYTES_MAX, &w->id);
    json_body_text(&q->body, "environment", NAME_BYTES_MAX, &w->environment);
    json_body_text(&q->body, "snapshot", NAME_BYTES_MAX, &w->snapshot);
    json_body_bool(&q->body, "ephemeral", &w->ephemeral);
    decode_size(q, rules, &w->bytes);
    decode_span(q, "idle_timeout", &w->idle_s);
    decode_span(q, "idle_ttl", &w->idle_ttl_s);
    decode_span(q, "ttl", &w->ttl_s);
    decode_network(q);
    decode_maps(q, &w->env, &w->labels);
    if (json_body_root(&q->body))
        limits_decode(&q->body.fields, rules, json_body_root(&q->body), false, &w->limits);
}

/* What a session cannot change any more must not seem to have been changed. */
static void refuse_fixed(struct session_request *q)
{
    static const char *const fixed[] = {"id", "environment", "ephemeral", "network", "limits"};
    json_t *root = json_body_root(&q->body);
    for (size_t i = 0; root && i < sizeof fixed / sizeof fixed[0]; i++) {
        if (json_object_get(root, fixed[i]))
            json_body_refuse(&q->body, fixed[i], "cannot be changed");
    }
}

void session_change_decode(struct session_request *q, const struct request_rules *rules)
{
    struct session_change *c = &q->change;
    refuse_fixed(q);
    decode_size(q, rules, &c->bytes);
    decode_span(q, "idle_timeout", &c->idle_s);
    decode_span(q, "idle_ttl", &c->idle_ttl_s);
    decode_span(q, "ttl", &c->ttl_s);
    decode_maps(q, &c->env, &c->labels);
}

void session_request_finish(struct session_request *q)
{
    json_body_finish(&q->body);
    buf_finish(&q->env);
    buf_finish(&q->labels);
}

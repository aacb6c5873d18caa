/* session_request: the bodies that make, fork and change sessions. */
#pragma once

#include "api/json_body.h"
#include "api/rules.h"
#include "base/buf.h"
#include "service/session.h"

struct session_request {
    struct json_body body;
    struct session_wanted wanted;
    struct session_change change;
    struct buf env, labels; /* JSON, NUL-terminated */
};

/* Reads q->body, which has been parsed, as that of POST /v1/sessions or .../fork; the parts of
 * `wanted` live as long as the request.  session_request_finish in any case. */
void session_request_decode(struct session_request *q, const struct request_rules *rules);
/* The same for PATCH. */
void session_change_decode(struct session_request *q, const struct request_rules *rules);
void session_request_finish(struct session_request *q);

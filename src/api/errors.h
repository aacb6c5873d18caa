/* errors: the only place where an error becomes a status and a body. */
#pragma once

#include <stddef.h>

#include "base/buf.h"

struct http_request;
struct err;

/* Answers {"detail": text}. */
void error_reply(struct http_request *r, int status, const char *text, size_t len);
void error_reply_str(struct http_request *r, int status, const char *text);
/* Answers with a 422 body that is ready (violations_write); takes it over. */
void error_reply_violations(struct http_request *r, struct buf *body);
/* Answers 422: the query's parameter `name` is not a `type` (pydantic's, as "bool_parsing"). */
void error_reply_query(struct http_request *r, const char *name, const char *type,
                       const char *words);
/* Answers 422: what the body says as `name` is refused, with these words. */
void error_reply_member(struct http_request *r, const char *name, const char *words);
/* 404 for an environment of this name, which is hostile. */
void error_reply_no_environment(struct http_request *r, const char *name);
/* What the service says about an environment or an image: 400 when the request is wrong, 404, 409
 * when something is in its way, 503 when later may be better, else 500; the last three with
 * `prefix`, the predecessor's words. */
void error_reply_failure(struct http_request *r, const char *prefix, const struct err *e);
/* 401, and how to do better. */
void error_reply_unauthorized(struct http_request *r);
/* The service turned the request away: 503, with Retry-After when later may be better, 422 when
 * never. */
void error_reply_turned_away(struct http_request *r, const struct err *e, unsigned retry_after_s);
/* 503: later may be better, after so many seconds; `why` says what is in the way. */
void error_reply_busy(struct http_request *r, const char *why, unsigned retry_after_s);
/* The sandbox failed; `message` has been logged and says nothing about the code. */
void error_reply_sandbox(struct http_request *r, const char *message);
/* Out of memory. */
void error_reply_memory(struct http_request *r);

/* http_error_body: the errors that the HTTP layer finds itself. */
void error_http_body(int status, struct buf *out, void *data);

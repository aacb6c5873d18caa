/* json_body: the JSON object of a request, read member by member; what is wrong with it is gathered
 * and answered together.  All but the last two may be called on the thread pool. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/fields.h"
#include "base/buf.h"

struct http_request;

struct json_body {
    struct fields fields;
    struct json_lift lift;
    char *text; /* strings of the members lie in it */
    bool out_of_memory;
};

/* Parses `text` (malloc'ed, taken over; with a NUL behind its `len` bytes).  What is no object is a
 * violation; with `optional` nothing at all is an empty one.  json_body_finish in any case. */
void json_body_parse(struct json_body *b, char *text, size_t len, bool optional);
void json_body_finish(struct json_body *b);
/* The object; NULL when there is none. */
json_t *json_body_root(const struct json_body *b);
bool json_body_is_valid(const struct json_body *b);

/* Adds the violation "missing" unless there is a member of this name that is not null. */
bool json_body_require(struct json_body *b, const char *name);
/* Adds a violation about a member (NULL: the whole) with these words. */
void json_body_refuse(struct json_body *b, const char *name, const char *words);

/* Each leaves *ret alone when the member is absent, null or (with a violation) wrong. */
/* At most `max` bytes without NUL; the string lives as long as the body. */
void json_body_text(struct json_body *b, const char *name, size_t max, const char **ret);
/* The same, of any bytes. */
void json_body_bytes(struct json_body *b, const char *name, size_t max, struct json_slice *ret);
/* Of any string of the body: NULL when it is none, is too long or holds a NUL. */
const char *json_body_text_of(const struct json_body *b, const json_t *value, size_t max);
void json_body_bool(struct json_body *b, const char *name, bool *ret);
void json_body_int(struct json_body *b, const char *name, struct int_range range, int64_t *ret);
/* Seconds, with fractions, as milliseconds: more than 0 and at most max_s. */
void json_body_seconds(struct json_body *b, const char *name, int64_t max_s, uint32_t *ret_ms);
/* A list of strings, NULL-terminated, at most `max` bytes in all; the list is the caller's to
 * free(), what it points to is the body's. */
void json_body_list(struct json_body *b, const char *name, size_t max, const char ***ret);

/* Takes the request's body.  False: it is not JSON, and has been answered.  With `optional` a
 * request may have no body at all. */
bool json_body_open(struct json_body *b, struct http_request *r, bool optional);
/* Whether it is valid; otherwise the request has been answered with what is wrong. */
bool json_body_accept(const struct json_body *b, struct http_request *r);

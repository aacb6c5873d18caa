/* session_query: parameters of queries, read strictly.  Each answers the request with 422 and
 * returns -1 when the parameter is wrong; one that is absent leaves *ret alone. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct http_request;

/* Digits only, within [min, max]. */
int session_query_number(struct http_request *r, const char *name, uint64_t min, uint64_t max,
                         uint64_t *ret);
/* Octal digits of a file's mode: "644", "0755". */
int session_query_mode(struct http_request *r, const char *name, uint32_t *ret);
int session_query_bool(struct http_request *r, const char *name, bool *ret);
/* Text, "" when absent. */
const char *session_query_text(struct http_request *r, const char *name);

/* Octal digits, at most 07777.  0 or -1. */
int session_mode_parse(const char *text, uint32_t *ret);

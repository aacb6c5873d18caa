/* se_query: parameters of the predecessor's queries.  Each answers the request with 422, as
 * FastAPI 0.115 does, and returns -1 when the parameter is wrong; one that is absent leaves *ret
 * alone. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct http_request;

int se_query_int(struct http_request *r, const char *name, int64_t *ret);
int se_query_bool(struct http_request *r, const char *name, bool *ret);
/* The parameter is there, whatever it says. */
int se_query_required(struct http_request *r, const char *name);
/* Answers 422: the form has no part `file`. */
void se_query_no_file(struct http_request *r);

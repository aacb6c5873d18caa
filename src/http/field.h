/* field: rules for header fields, those that come in and those that go out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* What the fields of one request add up to. */
struct field_count {
    size_t total;
    size_t hosts;
    size_t lengths; /* Content-Length */
    size_t codings; /* Transfer-Encoding */
};

/* Counts one field of a request. */
void field_count_add(struct field_count *count, const char *name);
/* The HTTP status to refuse such a request with: 431 for too many fields, 400 for a doubled one
 * that frames the message or names the host; 0 if it is fine. */
int field_count_judge(const struct field_count *count);

/* Reads a Content-Length: digits only, no sign, no list, no overflow.  0 or -1. */
int field_parse_length(const char *value, size_t *ret_length);

/* Whether a reply may carry this field: a token that is not one of those the HTTP layer itself
 * decides, and a value that is not empty and has no control characters except tab. */
bool field_is_sendable(const char *name, const char *value);

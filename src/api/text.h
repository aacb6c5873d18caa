/* text: small questions about UTF-8 text, and text as JSON. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Whether Python's str.strip() would leave nothing of it. */
bool text_is_blank(const char *s, size_t len);

/* A string on its way into JSON text, piece by piece. */
struct text_escaper {
    const char *at, *end;
    bool replaced; /* something was not UTF-8 and became U+FFFD */
};

/* What one character becomes at most: \u001f. */
#define TEXT_ESCAPED_MAX 6

/* Writes as much as fits into `cap` bytes (no quotes around it) and returns how much that is; with
 * at least TEXT_ESCAPED_MAX bytes it gets on.  An unfinished sequence at the end is replaced. */
size_t text_escape(struct text_escaper *t, char *out, size_t cap);

/* Appends s as a JSON string, with quotes.  0, or -1 as buf_reserve. */
int text_append_json(struct buf *b, const char *s, size_t len);
/* The same for a NUL-terminated string; NULL becomes null. */
int text_append_json_str(struct buf *b, const char *s);

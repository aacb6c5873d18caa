/* client_text: texts of a server, made fit to be shown to a person on a terminal. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Appends s without anything that a terminal would obey or that turns the direction of writing:
 * controls become \x1b or \u202e, bytes that are not UTF-8 become \xff.  With `lines`, line feeds
 * and tabs stay as they are.  0, or -1 as buf_reserve. */
int client_text_escape(struct buf *out, const char *s, size_t len, bool lines);
/* Prints s to stdout, escaped, as part of one line.  NULL prints nothing. */
void client_text_print(const char *s);
/* Prints s escaped, each line after the first behind `indent` blanks, and ends the line. */
void client_text_print_block(const char *s, int indent);

/* The unfinished end of a text that comes in pieces: a character whose other bytes are missing. */
struct client_text_tail {
    char bytes[4];
    size_t n;
};
/* As client_text_escape with lines, for the next piece of a text.  len 0: there is no more. */
int client_text_escape_piece(struct buf *out, struct client_text_tail *tail, const char *s,
                             size_t len);

/* Bytes of the longest beginning of s (valid UTF-8 without controls) that is at most `columns`
 * cells wide; *ret_columns, when given, is how wide. */
size_t client_text_fit(const char *s, size_t columns, size_t *ret_columns);

/* Reads "2026-11-20T15:37:37.123638+00:00" (RFC 3339, fraction optional) as seconds since 1970.  -1
 * when it is something else. */
int client_time_parse(const char *s, int64_t *ret);
#define CLIENT_AGE_MAX 48
/* "3 minutes ago" for a time in the past, in words; "" for one in the future. */
void client_time_age(int64_t seconds, char out[static CLIENT_AGE_MAX]);
/* Prints a time of the server: local time and age in English, as it came and age in Chinese (where
 * scripts may depend on it).  What is no time is printed as it came. */
void client_time_print(const char *s);
/* "label: text", a line of its own; nothing for NULL and "". */
void client_fact_print(const char *label, const char *text);
void client_fact_print_time(const char *label, const char *time);

#define CLIENT_SIZE_MAX 16
/* "0 B", "999 B", "1.5 MB", "12 GB": decimal units, at most three digits and a point. */
void client_size_format(uint64_t bytes, char out[static CLIENT_SIZE_MAX]);

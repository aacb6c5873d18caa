/* date: the dates of header fields (RFC 9110, 5.6.7). */
#pragma once

#include <time.h>

#define HTTP_DATE_SIZE 30 /* of the text, with its NUL */

/* Writes e.g. "Sun, 06 Nov 1994 08:49:37 GMT"; a time that no such date can tell becomes 1970. */
void http_date_format(time_t when, char out[static HTTP_DATE_SIZE]);
/* Reads that form, and the two old ones that a server has to understand.  0, or -1 for any other
 * text. */
int http_date_parse(const char *text, time_t *ret_when);

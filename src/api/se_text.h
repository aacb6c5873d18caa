/* se_text: pieces of files as text, the way the predecessor's readfile decodes them (contract B1):
 * UTF-8, and what is not that as GBK. */
#pragma once

#include <stddef.h>

#include "base/buf.h"

struct se_text;

/* Loads the decoder of GBK; before the server locks itself down.  NULL where the C library has
 * none (or no memory): then what is not UTF-8 is UTF-8 with replacements. */
struct se_text *se_text_create(void);
/* Accepts NULL. */
void se_text_destroy(struct se_text *t);

/* Bytes beyond the wanted ones that help to end a piece between two characters. */
#define SE_TEXT_AHEAD 3

/* Appends, as a JSON string, the text of the first `want` of `len` bytes (want > 0; len - want at
 * most SE_TEXT_AHEAD: what follows in the file, nothing at its end).  A character that the end of
 * the piece would cut is left to the next piece, or, if it is the only one, taken whole: *ret_used
 * tells how many bytes were taken, at least 1.  0, or -1 when out of memory. */
int se_text_append(struct se_text *t, struct buf *out, const char *bytes, size_t want, size_t len,
                   size_t *ret_used);

/* str: UTF-8 text of unknown origin. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Length of the longest prefix of s that is well-formed UTF-8 (Unicode 15, table 3-7: no surrogate,
 * no overlong form, nothing above U+10FFFF; NUL is a character).  *ret_incomplete, when given, says
 * that the rest is only a sequence whose end has not come yet, so more bytes may repair it. */
size_t utf8_valid_prefix(const char *s, size_t len, bool *ret_incomplete);

/* Appends s with every ill-formed part replaced by one U+FFFD, in the way Unicode recommends and
 * Python's errors="replace" does (one for each maximal subpart).  0, or -1 as buf_reserve; *b is
 * unchanged then. */
int utf8_append(struct buf *b, const char *s, size_t len);

/* Number of characters (code points); an ill-formed part counts as the one U+FFFD it would become.
 */
size_t utf8_count(const char *s, size_t len);

/* Decodes the character at s (len > 0).  Returns how many bytes it takes and stores the code point;
 * for an ill-formed part its length and -1. */
size_t utf8_decode(const char *s, size_t len, int32_t *ret_code);

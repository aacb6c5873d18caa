/* route: whether a path is one that the table of routes describes.  Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define ROUTE_NAMES 2 /* {...} in one pattern at most */

/* A part of a path: what stands where the pattern has {...}. */
struct route_name {
    const char *at; /* in the path; NULL: the pattern has no such part */
    size_t len;
};

/* Whether `path` (of `len` bytes, decoded) fits `pattern`: equal text, but for each {...}, which
 * stands for one segment that is not empty.  With `tree` the last part of the pattern, be it text
 * or {...}, goes on over any number of segments, and something must follow the text. */
bool route_matches(const char *pattern, bool tree, const char *path, size_t len,
                   struct route_name ret[static ROUTE_NAMES]);

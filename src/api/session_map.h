/* session_map: objects of strings in bodies: the variables and the labels of sessions. */
#pragma once

#include <stddef.h>

#include "api/fields.h"
#include "base/buf.h"

/* Reads the member `name` of the body: appends it as JSON to `out`, nothing when it is absent.  At
 * most `max` bytes of that; names have no '=' and no control character, values no NUL.  What is
 * wrong becomes a violation.  0, or -1 when out of memory. */
int session_map_json(struct fields *f, const json_t *body, const char *name, size_t max,
                     struct buf *out);
/* The same as "NAME=value" strings, each ended by NUL; *ret_n is their number. */
int session_map_env(struct fields *f, const json_t *body, const char *name, size_t max,
                    struct buf *out, size_t *ret_n);

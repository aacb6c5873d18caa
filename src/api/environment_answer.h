/* environment_answer: environments, their packages and images as JSON.  Knows no HTTP. */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "service/environment.h"

#define ENVIRONMENT_LOG_TAIL 2000 /* bytes of the log in an environment's object */

/* Appends the object: the union of the predecessor's fields (section 10, row 4), then ours.  `log`
 * is the end of the build's log, any bytes.  0, or -1 when out of memory. */
int environment_append(struct buf *out, const struct environment_view *v, const char *log,
                       size_t log_len);

/* "building", "ready", "failed". */
const char *environment_status_name(const struct environment_view *v);

/* Appends {"packages", "total", "known"} from the record's JSON text (NULL: not known), which a
 * build in a sandbox has written: what is not as it should be is left out.  0, or -1 when out of
 * memory. */
int environment_append_packages(struct buf *out, const char *packages);

/* Appends the object of an image that `environments` environments are built on. */
int environment_append_image(struct buf *out, const struct image_record *r, uint32_t environments);

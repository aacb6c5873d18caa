/* range: the part of a file that a request asks for (RFC 9110, 14). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum range_kind {
    RANGE_ALL,           /* answer 200 with everything: no range, or none that we have to heed */
    RANGE_PART,          /* answer 206 with the part */
    RANGE_UNSATISFIABLE, /* answer 416 */
};
struct range {
    uint64_t first, length; /* bytes */
};

/* Reads a Range header (NULL: absent) for a body of `size` bytes.  Several ranges, other units and
 * malformed ones count as none at all, which RFC 9110 allows.  *ret_range is set for RANGE_PART. */
enum range_kind range_parse(const char *header, uint64_t size, struct range *ret_range);

/* Whether an If-Range header (NULL: absent) lets the range be heeded: it has the strong ETag of the
 * file as it is now, or exactly its date. */
bool range_is_current(const char *if_range, const char *etag, time_t modified);

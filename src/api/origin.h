/* origin: whether a page of another site is behind a request.  Pure. */
#pragma once

#include <stdbool.h>

/* Whether Origin (NULL: no browser) names the host and port that the request was sent to (Host; may
 * be NULL). */
bool origin_is_own(const char *origin, const char *host);

/* wait: how long a client wants its request to wait for a build. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define WAIT_USUAL_MS 5000            /* for clients that expect the predecessor's answer */
#define WAIT_LONG_MS  (24 * 3600000u) /* "until it has ended": no build takes as long */

struct wait_wish {
    uint64_t ms;
    char applied[32]; /* for Preference-Applied, "" if no preference was followed */
};

/* From the query's "wait" and the header Prefer (RFC 7240), either of them NULL if absent; the
 * query is followed first.  0, or -1 when the query's value is not a boolean. */
int wait_parse(const char *query, const char *prefer, struct wait_wish *ret);

/* policy_request: the body of POST /policy/check. */
#pragma once

#include <stddef.h>

#include "api/execute_request.h"
#include "api/rules.h"

/* Decodes `body` (malloc'ed, taken over) into a run that only checks; verdicts, spec and answer are
 * those of execute_request_decode, without REQUEST_REFUSED.  Any thread. */
void policy_request_decode(struct execute_request *ret, const struct request_rules *rules,
                           char *body, size_t len);

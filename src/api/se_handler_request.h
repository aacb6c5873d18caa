/* se_handler_request: the body of POST /workspace/se/v2/execute_code (contract B6.2): a handler's
 * code, an event, a context.  Pure; it may run on the thread pool. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum handler_verdict {
    HANDLER_RUN,     /* input and timeout_ms are set */
    HANDLER_BLANK,   /* there is no code */
    HANDLER_INVALID, /* 422: answer is the whole body */
    HANDLER_FAILED,  /* out of memory */
};

struct handler_timeouts {
    uint32_t usual_s, max_s;
};

struct handler_request {
    enum handler_verdict verdict;
    char *input; /* the body as it was sent, for runtime/python/handler.py; malloc'ed */
    size_t input_len;
    uint32_t timeout_ms; /* event.__timeout: above the maximum it is that, below 0 the usual one */
    struct buf answer;
};

/* Decodes `body`, a malloc'ed block that is taken over in any case. */
void handler_request_decode(struct handler_request *ret, const struct handler_timeouts *timeouts,
                            char *body, size_t len);
void handler_request_finish(struct handler_request *q);

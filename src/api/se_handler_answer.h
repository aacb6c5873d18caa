/* se_handler_answer: what POST /workspace/se/v2/execute_code answers (contract B6.2, rulings 28 and
 * 29).  Pure; it may run on the thread pool. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "engine/run.h"

/* The file that the run leaves its result in. */
#define HANDLER_RESULT "handler-result"

struct handler_facts {
    uint32_t timeout_ms;
    uint32_t memory_mb;
};

/* Appends the answer about a run that was judged and did not time out: {"stdout", "stderr",
 * "result", "metrics", "exit_code", "error"}.  0, or -1 when out of memory. */
int handler_answer_write(struct buf *out, const struct run_result *r,
                         const struct handler_facts *facts);
/* The same where there was nothing to run; `text` goes to stderr. */
int handler_answer_write_refused(struct buf *out, const char *text,
                                 const struct handler_facts *facts);
/* Appends {"detail": {"error_code", "description", "error_detail", "solution"}} for a run that
 * reached its timeout (status 500), one for which there was no room (503) and one whose sandbox
 * failed (503); `why` is for people. */
int handler_answer_write_timeout(struct buf *out, const struct run_result *r,
                                 const struct handler_facts *facts);
int handler_answer_write_full(struct buf *out, const char *why);
int handler_answer_write_failed(struct buf *out, const char *why);

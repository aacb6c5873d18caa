/* session_outcome: how a program in a session ended, as JSON. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "api/put.h"
#include "base/err.h"
#include "service/session_process.h"

/* "SIGKILL", or "SIG35" where there is no name; NULL for 0.  Lives until the next call. */
const char *signal_name(int number);
/* The number of "TERM", "SIGTERM" or "15"; 0 for none. */
int signal_number(const char *text);

/* Whether it was not started for want of memory or descriptors; then e says so. */
bool session_outcome_refused(const struct session_process_view *v, struct err *e);

/* What a foreground call knows beside the result. */
struct session_outcome {
    struct session_process_view view; /* of an ended process */
    unsigned limits_hit;              /* RUN_HIT_* (engine/run.h) */
    bool truncated[2];                /* stdout, stderr */
};
/* The members "exit_code", "signal", ... of an answer: all that stands behind the texts. */
void put_outcome(struct writer *w, const struct session_outcome *o);
/* "exit_code", "signal", "timed_out".  The code is negative after a signal (as /execute and Python
 * have it), and 127 of what could not be started. */
void put_exit(struct writer *w, const struct process_result *result);
/* Appends the object Process.  0, or -1 as buf_reserve. */
int session_process_answer(struct buf *out, const struct session_process_view *v);

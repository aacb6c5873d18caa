/* outcome: what came of a run, in the words of the contract (A1, and section 10 rows 8 to 13). */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "engine/run.h"

/* What the texts mention beside the result. */
struct outcome_facts {
    uint32_t timeout_s;
    uint32_t memory_mb;
};

/* Appends the text of "error": nothing when the run succeeded.  For every outcome but RUN_FAILED
 * and RUN_CANCELLED, which are no answer about the code.  0, or -1 as buf_reserve. */
int outcome_append_error(struct buf *out, const struct run_result *r,
                         const struct outcome_facts *facts);

/* The exit code as Python gives it: -S after signal S.  False when there is none. */
bool outcome_exit_code(const struct run_result *r, int *ret);

/* Appends the names of RUN_HIT_* flags as a JSON array. */
int outcome_append_limits(struct buf *out, unsigned limits_hit);

/* The line of a Python traceback at the end of `text` that names the exception ("ValueError: bad"),
 * at most OUTCOME_LINE_MAX bytes of it.  Its length; 0 when text ends otherwise. */
size_t outcome_exception_line(const char *text, size_t len, const char **ret_line);
#define OUTCOME_LINE_MAX 200

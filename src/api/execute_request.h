/* execute_request: the body of POST /execute, from bytes to a run.
 *
 * Order of checks as in contract A1: model (all violations together), blank code, length, timeout,
 * environment, files. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "api/rules.h"
#include "base/buf.h"
#include "engine/run.h"

enum request_verdict {
    REQUEST_RUN,     /* spec is set */
    REQUEST_INVALID, /* 422: answer is the whole body */
    REQUEST_BAD,     /* 400: answer is the text of "detail" */
    REQUEST_REFUSED, /* 200, but nothing is run: answer is the text of "error" */
    REQUEST_FAILED,  /* out of memory */
};

struct execute_request {
    enum request_verdict verdict;
    struct run_spec *spec; /* owned */
    bool stream;           /* events were asked for in the body */
    struct buf answer;
    struct buf stderr_text;          /* REQUEST_REFUSED: the text of "stderr" */
    const struct language *language; /* REQUEST_RUN and REQUEST_REFUSED */
};

/* Decodes `body`, a malloc'ed block that is taken over in any case: long strings are decoded where
 * they stand and belong to the run from then on.  May be called on any thread. */
void execute_request_decode(struct execute_request *ret, const struct request_rules *rules,
                            char *body, size_t len);
void execute_request_finish(struct execute_request *q);

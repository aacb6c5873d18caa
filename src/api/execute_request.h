/* execute_request: the body of POST /execute and POST /execute-with-environment, from bytes to a
 * run.
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
    REQUEST_UNKNOWN, /* 404: answer is the text of "detail" */
    REQUEST_FAILED,  /* out of memory */
};

struct execute_request {
    enum request_verdict verdict;
    struct run_spec *spec; /* owned.  Timeout and limits that the client did not name are 0 */
    char *environment;     /* a valid name, owned; NULL: the built-in one */
    bool stream;           /* events were asked for in the body */
    struct buf answer;
    struct buf stderr_text;          /* REQUEST_REFUSED: the text of "stderr" */
    const struct language *language; /* REQUEST_RUN and REQUEST_REFUSED */
};

/* Decodes `body`, a malloc'ed block that is taken over in any case: long strings are decoded where
 * they stand and belong to the run from then on.  May be called on any thread. */
void execute_request_decode(struct execute_request *ret, const struct request_rules *rules,
                            char *body, size_t len);
/* The same for POST /execute-with-environment, which wants a name. */
void execute_request_decode_within(struct execute_request *ret, const struct request_rules *rules,
                                   char *body, size_t len);
/* Puts the texts for an environment that is not there, or not ready, in the place of those that are
 * in `answer` and `stderr_text`.  0, or -1 when out of memory. */
int execute_request_unknown(struct execute_request *q, const char *name, size_t len);
void execute_request_finish(struct execute_request *q);

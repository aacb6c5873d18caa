/* execute_answer: the body that answers POST /execute, written piece by piece.
 *
 * A result may hold 64 MB of files and as much output; the text of its JSON is never in memory as a
 * whole.  The six fields of the contract come first, ours behind them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/run.h"

struct language;

/* What the answer says beside the result. */
struct answer_facts {
    char id[sizeof((struct run_spec *)0)->id]; /* "": nothing was run */
    const struct language *language;
    uint32_t timeout_s;
    uint32_t memory_mb;
};

struct answer;

/* An answer about `result`, which is taken over in any case (emptied).  NULL when out of memory. */
struct answer *answer_create(const struct answer_facts *facts, struct run_result *result);
/* An answer that says success false, with the texts of "stderr" and "error": nothing was run. */
struct answer *answer_create_refused(const struct answer_facts *facts,
                                     const struct buf *stderr_text, const struct buf *error);
/* Accepts NULL.  The argument is a struct answer; so is answer_read's. */
void answer_destroy(void *answer);

/* Whether the text is surely at most ANSWER_SMALL bytes long: then it may as well be read at once.
 */
bool answer_is_small(const struct answer *a);
#define ANSWER_SMALL (64u << 10)

/* Writes the next piece, up to `cap` bytes (cap > 0); 0 at the end. */
size_t answer_read(void *answer, char *out, size_t cap);
/* Appends all that is left.  0, or -1 when out of memory. */
int answer_read_all(struct answer *a, struct buf *out);

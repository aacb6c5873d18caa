/* process_message: what init is told to start (wire/session.h).  Pure.  For src/engine only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct process_spec;

/* Appends SESSION_EXEC for it.  0; -1 and e: too long, or no program is named. */
int process_exec_message(struct buf *b, uint32_t id, const struct process_spec *spec,
                         struct err *e);
/* Whether a warm interpreter can run it: it is Python, and asks for nothing that only a new program
 * can have. */
bool process_can_be_warm(const struct process_spec *spec);
/* Appends SESSION_RUN for one that can be warm. */
int process_run_message(struct buf *b, uint32_t id, const struct process_spec *spec, struct err *e);

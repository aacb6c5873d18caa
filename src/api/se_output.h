/* se_output: what came of a program in a session, in the predecessor's words (contract B6.1). */
#pragma once

#include "base/buf.h"

struct session_heard;

/* Appends {"stdout","stderr","returncode","exit_code",...} without the closing brace.  The code is
 * as a shell tells it: 128 + S after signal S, 124 after the timeout, 127 for what could not be
 * started.  0, or -1 when out of memory. */
int se_append_output(struct buf *out, const struct session_heard *heard);

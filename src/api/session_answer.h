/* session_answer: sessions and their snapshots as JSON. */
#pragma once

#include "base/buf.h"
#include "service/session.h"

/* Appends an object Session (the view of `session`).  0, or -1 as buf_reserve. */
int session_append(struct buf *out, const struct session_view *v);
int session_append_snapshot(struct buf *out, const struct snapshot_view *v);
extern const char *const session_state_names[]; /* by enum session_state, NULL-terminated */

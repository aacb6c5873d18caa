/* session_limits: which limit a program has run into. */
#pragma once

#include "service/session_process.h"

struct session;
struct session_limits;

/* RUN_HIT_* by what `v`, an ended process, says; what only the session's groups know is asked when
 * the end looks like it, and the session (NULL: it is gone) is still awake.  `done` is called once,
 * later, or before this returns. */
typedef void session_limits_known(void *data, unsigned limits_hit);
/* NULL: `done` has been called. */
struct session_limits *session_limits_ask(struct session *session,
                                          const struct session_process_view *v,
                                          session_limits_known *done, void *data);
void session_limits_cancel(struct session_limits *l);

/* session_launch: a program in a session: wakes the session and starts it there.  Knows no HTTP. */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "engine/process.h"

struct session;
struct session_launch;
struct session_process;

/* What to start.  All it points to must live until `done` is called. */
struct session_program {
    struct process_spec spec; /* without id and env */
    const char *const *env;   /* "NAME=value" beside the session's own, NULL-terminated, or NULL */
    const char *name;         /* the command, for people */
    uint32_t keep;            /* bytes of each stream that are held for who listens later */
};

/* Once, never before session_launch returns.  The process runs, or will at once; or NULL and e.
 * Listen to it now: what it says before is dropped, but for `keep` bytes. */
typedef void session_launched(void *data, struct session *session, struct session_process *process,
                              const struct err *e);
/* NULL and e: out of memory. */
struct session_launch *session_launch(struct session *session,
                                      const struct session_program *program, session_launched *done,
                                      void *data, struct err *e);
/* Before `done`: nothing is started. */
void session_launch_cancel(struct session_launch *l);

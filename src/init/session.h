/* session: what pid 1 of a session's sandbox does: serves wire/session.h until it is over. */
#pragma once

#include "init/control.h"
#include "init/job.h"

/* Takes the frame's descriptors out of `c`.  Ends the process: the kernel then takes the sandbox
 * apart. */
_Noreturn void session_serve(struct control *c, const struct job_start *start,
                             const struct frame_session *head);

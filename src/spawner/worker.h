/* worker: a process beside the spawner for what may wait for the disk. */
#pragma once

#include "spawner/spawner.h"

/* Makes the worker's group; once. */
int worker_prepare(struct spawner *s, struct err *e);

/* Starts a process for `w`; EVENT_WORKER follows. */
int worker_start(struct spawner *s, const struct work *w, struct err *e);

/* After EVENT_WORKER: what came of it.  The process is gone. */
void worker_finish(struct spawner *s, struct work_result *ret);

/* Ends it, whatever it is doing. */
void worker_stop(struct spawner *s);

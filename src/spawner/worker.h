/* worker: processes beside the spawner, one for each lane, for what may wait for the disk. */
#pragma once

#include "spawner/spawner.h"

/* Makes the workers' group; once. */
int worker_prepare(struct spawner *s, struct err *e);

/* Starts a process for `w`, which is the first of a lane that is at rest; EVENT_WORKER follows. */
int worker_start(struct spawner *s, enum lane lane, const struct work *w, struct err *e);

/* After EVENT_WORKER: what came of it.  The process is gone. */
void worker_finish(struct spawner *s, enum lane lane, struct work_result *ret);

/* Ends those of all lanes, whatever they are doing. */
void worker_stop(struct spawner *s);

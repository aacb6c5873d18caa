/* supervise: starts a job's main process, waits for its end or its deadline, ends everything. */
#pragma once

#include "init/job_state.h"

/* Hands the job to the waiting warm child, or forks and executes a cold one. */
int supervise_start(struct job_state *job, struct err *e);

/* Returns when every process of the sandbox but the caller is dead; the verdict is in *job.
 * Ends the process if the server (`control`) goes away. */
int supervise_wait(struct job_state *job, int control, struct err *e);

/* job: what pid 1 of a sandbox does: take one job, run it, watch it, report. */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

#include "init/control.h"
#include "init/program.h"
#include "wire/nest.h"

struct job_start {
    int job;         /* our end of the socket to the interpreter that runs the job */
    int job_peer;    /* the other end, kept for a cold start; -1 when the zygote has it */
    int patience_ms; /* warm: how long the zygote may take to give the child */
    int status;   /* warm: pipe on which the run's parent reports its end; -1 in a cold sandbox */
    int out, err; /* cold: what becomes the run's stdout and stderr; -1 when warm */
    const struct program *run;
    const char *work_dir;
    bool root; /* the job is root of its sandbox: a build */
};

/* Who owns the job's files, inside the sandbox. */
static inline uint32_t job_owner(bool root)
{
    return root ? SANDBOX_UID_INIT : SANDBOX_UID_RUN;
}

/* Serves exactly one job and ends the process: the kernel then takes the sandbox apart. */
_Noreturn void job_serve(struct control *c, struct job_start *start);

/* job_state: everything that init knows about its one job. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "init/files.h"
#include "init/job.h"
#include "wire/frame.h"

#define REFUSAL_MAX 2048 /* bytes of the static policy's words */

struct job_state {
    const struct job_start *start;
    struct frame_job head;
    size_t payload_len;
    int stdin_fd; /* -1: stdin is empty */
    struct files files;

    pid_t pid; /* cold: the main process; 0 when warm */
    bool ended;
    bool timed_out;
    int wait_status;
    uint64_t started_us, wall_us;
    size_t refusal_len;

    char refusal[REFUSAL_MAX];
    char payload[FRAME_PAYLOAD_MAX]; /* of FRAME_JOB: the fixed part and the strings */
};

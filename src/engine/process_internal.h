/* process_internal: one program in a session, as its parts see it.  For src/engine only. */
#pragma once

#include "base/buf.h"
#include "engine/live_internal.h"
#include "engine/process.h"

#define INPUT_HELD_MAX (32u << 20) /* bytes, for all programs of a sandbox together */

struct process {
    struct live *live;
    struct process *next, **prev; /* in the live sandbox's list */
    struct process *waiting_next; /* for a spare interpreter */
    struct process_events events;
    uint32_t id, wire_id;  /* as its owner and as init know it; 0: init does not */
    struct stream *in;     /* stdin of a pipe */
    struct stream *out[2]; /* of a terminal only the first, both ways */
    struct buf input;      /* that has not been taken */
    size_t input_at;
    size_t given;            /* bytes of its stdin that it got as a file: ours until it ends */
    size_t due[2];           /* bytes that are still read, on the last call */
    struct buf cold, warm;   /* what init is told to start it, until it is told */
    int stdin_fd, script_fd; /* that go along, or -1 */
    uv_timer_t timer;        /* its deadline; then the grace of its outputs */
    uint32_t pid;            /* inside the sandbox, 0: not known */
    uint64_t begun_us;
    uint32_t timeout_ms;
    bool is_heard;   /* somebody listens */
    bool is_waiting; /* for a spare */
    bool is_terminal, is_paused, timed_out, was_killed, has_started, has_ended;
    bool is_announced;
    bool takes_input, closes_input;
    bool is_last_call; /* what is in its pipes now is the end of its output */
    bool is_over;
    struct process_result result;
    char error[240];
};

/* Watches the program's output; takes the descriptors over.  `err` -1: a terminal. */
int process_hear(struct process *p, int out, int err, struct err *e);
/* Takes the writing end of its stdin over. */
int process_feed(struct process *p, int fd, struct err *e);
/* Bytes of input that are held for all programs of a sandbox. */
size_t process_input_held(const struct live *live);
/* It ends before it began: from the loop. */
void process_fail(struct process *p, const struct err *e);
/* Its deadline begins. */
void process_arm(struct process *p);

/* -- start, told by spare.c */
void process_run_cold(struct process *p);
/* In the interpreter that init knows by this id and that writes to these. */
void process_run_warm(struct process *p, uint32_t wire_id, uint32_t pid, int *out, int *err);

/* nest_test_support: a real engine, and a spawner and sandboxes that do what the test wants. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "engine/engine.h"
#include "engine/nest.h"
#include "wire/frame.h"

enum { RUNS_MAX = 8, SANDBOXES_MAX = 16, TURNS = 400 };

/* What the test holds of one sandbox. */
struct box {
    int control, out, err;
};

struct fixture {
    uv_loop_t loop;
    struct engine *engine;
    int spawner;                     /* the other end */
    struct spawn_request req;        /* the last one heard */
    int fd;                          /* that came with it, or -1 */
    struct box boxes[SANDBOXES_MAX]; /* by slot */
    uint32_t nboxes;
    struct started {
        struct fixture *x;
        struct run *run; /* NULL: done */
    } started[RUNS_MAX];
    size_t noutput; /* bytes of stdout of all */
    int nstarted, nresults, nfailed, nclosed, nlayers;
    enum run_outcome outcomes[RUNS_MAX];
    char messages[RUNS_MAX][240];
    char network[16];
    bool warm;
    struct err failure, closed; /* as the owner was told; code 0: no error */
    uint64_t bytes, value;
};

int setup(void **state);
int teardown(void **state);
/* Lets the loop do what there is to do. */
void turn(struct fixture *x);

/* -- the spawner */
/* The next request; it must be `op`, and if it names a nest, this one. */
void hear(struct fixture *x, enum spawn_op op, uint32_t nest);
void hear_nothing(struct fixture *x);
void reply(struct fixture *x, const struct spawn_reply *r);
/* Answers the last request, which was about a nest. */
void reply_nest(struct fixture *x, int error, const char *text);
/* Answers SPAWN_OPEN with a sandbox that the test plays; its slot. */
uint32_t reply_open(struct fixture *x);
/* Hears SPAWN_START for this slot and answers it. */
void reply_start(struct fixture *x, uint32_t slot);

/* -- sandboxes */
/* Makes the one that is being asked for; its slot. */
uint32_t make_box(struct fixture *x, uint32_t nest, enum spawn_kind kind);
bool has_job(struct fixture *x, uint32_t slot);
/* Its run ends well, and the slot is given back. */
void end_run(struct fixture *x, uint32_t slot);

/* -- the owner */
/* Starts a run; code of its own when the spec has no program.  nest NULL: the built-in one. */
void start(struct fixture *x, struct run_spec *spec, struct nest *nest);
struct nest *open_nest(struct fixture *x, bool warm, uint32_t pool_min);
/* The same, and the spawner makes it. */
struct nest *open_up(struct fixture *x, bool warm, uint32_t pool_min);
void on_closed(void *data, uint64_t bytes, const struct err *e);

/* spare: a warm interpreter in a session's sandbox, ready before somebody runs Python there.  For
 * src/engine only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct live;
struct process;
struct session_message;

/* Ids of spares are of a range that owners of processes do not use. */
#define SPARE_ID (UINT32_C(1) << 31)

enum spare_state {
    SPARE_NONE,
    SPARE_ASKED,   /* init shall admit it */
    SPARE_JOINING, /* the spawner has a child of the zygote join */
    SPARE_COMING,  /* init waits for it */
    SPARE_READY,
    SPARE_DYING, /* nobody wants it any more */
};

struct spare {
    enum spare_state state;
    uint32_t id, last_id; /* of this one; the last that was given */
    uint32_t pid;         /* inside the sandbox, when it is ready */
    int out, err;         /* what it writes to, or -1 */
    uint32_t failures;    /* in a row */
    bool is_wanted;       /* this session runs Python: one is kept */
    struct process *waiting, **waiting_tail;
};

void spare_init(struct live *live);
/* Whether one can be had in this session at all. */
bool spare_is_possible(const struct live *live);
/* `p` waits for one: process_run_warm() or process_run_cold() follows, maybe at once. */
void spare_await(struct live *live, struct process *p);
/* It does not wait any more. */
void spare_leave(struct live *live, struct process *p);
/* Init says something about the spare of this id.  False: there is none of that id, or it may not
 * be said now. */
bool spare_on_message(struct live *live, const struct session_message *m);
/* A program that ran warm has ended: a good moment for the next one. */
void spare_make_ahead(struct live *live);
/* The session is short of memory: none is kept until Python runs again. */
void spare_give_up(struct live *live);
/* The sandbox is no more. */
void spare_finish(struct live *live);

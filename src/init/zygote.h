/* zygote: the builder's view of its warm interpreter: started, watched, replaced. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct nest;

struct zygote {
    pid_t pid;         /* 0 while there is none */
    bool ready;        /* it has said that its modules are imported */
    uint32_t failures; /* deaths in a row before it became ready */
    uint64_t retry_us; /* monotonic time of the next start, 0: none planned */
};

/* Starts the interpreter, locked in as confine_zygote() says; nest->zygote_sock is our end of its
 * socket. */
int zygote_start(struct zygote *z, struct nest *nest, struct err *e);

/* The process died: plans the next start, later after each failure. */
void zygote_died(struct zygote *z, struct nest *nest);

/* It does not answer: ends it (zygote_died follows when it is reaped). */
void zygote_kill(struct zygote *z);

/* Reads what the zygote said ("ready", or a complaint to be logged).  */
void zygote_read(struct zygote *z, struct nest *nest);

/* admission: who may run now, who waits, who is turned away.  Pure logic: no clock, no I/O.
 *
 * The rules:
 *  1. At most `slots` runs at once, and the memory promised to them is at most `memory_mb`.
 *  2. Who cannot start waits in a queue of at most `queue_max`.  Clients take turns (round robin);
 *     the requests of one client keep their order.
 *  3. Memory: when it is a client's turn and its first request does not fit in the memory that is
 *     free, it is passed over for the next client whose first request fits.  A request that has
 *     been passed over ADMISSION_PATIENCE times is next for sure: nobody is admitted before it.
 *     It fits at the latest when the runs then in progress have ended, because requests above the
 *     whole budget are refused at the door; so it neither starves nor blocks others for longer than
 *     the longest run in progress.
 *
 * The caller embeds a ticket in its own object, enters it, and then takes admitted tickets with
 * admission_next() until there is none, after each enter and each leave. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define ADMISSION_PATIENCE   8  /* times a waiting request may be passed over */
#define ADMISSION_CLIENT_KEY 64 /* bytes of a client key, NUL included; longer ones are cut */

struct admission;
struct admission_client;

struct admission_ticket {
    uint32_t memory_mb;
    struct admission_client *client; /* while it waits */
    struct admission_ticket *prev, *next;
    unsigned passed_over;
    enum { TICKET_OUT, TICKET_WAITING, TICKET_ADMITTED } state;
};

struct admission_config {
    uint32_t slots;
    uint32_t queue_max;
    uint64_t memory_mb;
    uint32_t hash_seed; /* random: client keys are chosen by clients */
};

/* NULL when out of memory. */
struct admission *admission_create(const struct admission_config *config);
/* Tickets still inside must not be used any more.  Accepts NULL. */
void admission_destroy(struct admission *a);

/* Puts `t` (zeroed but for memory_mb) into the queue of `client`.  -1 with ERR_UNAVAILABLE when the
 * queue is full and the ticket cannot start at once, ERR_LIMIT when it could never be admitted. */
int admission_enter(struct admission *a, const char *client, struct admission_ticket *t,
                    struct err *e);
/* The next ticket that may start now, admitted by this call; NULL if none may. */
struct admission_ticket *admission_next(struct admission *a);
/* Takes a waiting or admitted ticket out, in constant time. */
void admission_leave(struct admission *a, struct admission_ticket *t);

/* Tells how long a run took, for the estimate below. */
void admission_note_duration(struct admission *a, uint64_t run_us);
/* Seconds after which a refused client should try again, 1 to 30: the time the present queue needs
 * at the pace of the recent runs. */
unsigned admission_retry_after(const struct admission *a);

uint32_t admission_waiting(const struct admission *a);
uint32_t admission_running(const struct admission *a);

/* zygote: the builder's view of its warm interpreters: started, watched, renewed, replaced. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct nest;

/* One interpreter.  A zeroed one is none. */
struct zygote {
    pid_t pid;           /* 0 while there is none */
    int sock;            /* our end of its socket; valid while pid != 0 and not closing */
    bool ready;          /* it has said that its modules are imported */
    uint32_t forks;      /* children that it was asked for */
    uint64_t since_us;   /* monotonic, when it was started, then when it became ready */
    uint64_t overdue_us; /* when it is ended if it has not moved on by then, 0: never */
};

/* All of a nest's.  A worn one serves until its successor is ready, and ends when it has answered
 * what it was still asked. */
struct zygotes {
    struct zygote current, next, old;
    uint32_t failures; /* deaths in a row of one that was not ready */
    uint64_t retry_us; /* monotonic time before which none is started */
};

enum { ZYGOTES_SOCKETS = 2 };

/* Starts, replaces and ends what is due.  Returns the milliseconds until it is to be called again
 * at the latest, -1: when something happens. */
int zygotes_keep(struct nest *nest);

/* The sockets to be polled for input, -1 for none; zygotes_read() follows when one has any. */
void zygotes_sockets(const struct zygotes *all, int ret_fds[static ZYGOTES_SOCKETS]);
void zygotes_read(struct zygotes *all);

/* A child of ours died: false if it was no zygote. */
bool zygotes_died(struct zygotes *all, pid_t pid);

/* The one that sandboxes use does not answer: ends it. */
void zygotes_stuck(struct zygotes *all);

/* 0 if warm sandboxes can be had, EAGAIN if they may be soon, ENOENT if this tree has no
 * interpreter that can serve (it is tried again now and then all the same). */
int zygotes_state(const struct nest *nest);

/* The socket of the one to be asked for a child, and counts that; -1 if there is none. */
int zygotes_take(struct zygotes *all);

/* In a child of the builder: closes all of its sockets but `keep` (-1: all), which it inherited. */
void zygotes_close(struct zygotes *all, int keep);

/* live_test_support: plays the init of a session's sandbox. */
#pragma once

#include "engine/file_call.h"
#include "engine/live.h"
#include "engine/nest_test_support.h"
#include "engine/process.h"
#include "wire/session.h"

enum { HEARD_MAX = 4096 };

/* A session under test and all that its owner was told. */
struct played {
    struct fixture *x;
    struct live *live;
    uint32_t slot;
    int init;              /* the socket that init was given */
    int mount;             /* that came with it, or -1 */
    char heard[HEARD_MAX]; /* the last message to init */
    size_t len;
    int fds[SESSION_FDS_MAX];
    size_t nfds;
    int nup, nlost, nclosed;
    struct err lost;
    uint64_t bytes;
    /* of its programs */
    int nstarts, nends, nwritable;
    uint32_t pid;
    struct process_result result;
    char error[240];
    char out[HEARD_MAX], err[HEARD_MAX];
    /* of its calls on files */
    int nframes, ncalls_ended;
    struct file_end end;
    char text[240], bytes_read[HEARD_MAX];
    struct file_message last;
};

int setup_played(void **state);
int teardown_played(void **state);

/* Asks for it; the built-in environment unless `config` says otherwise. */
void open_live(struct played *s, struct live_config config);
/* Its sandbox is made and told that it is a session's. */
void greet_live(struct played *s);
/* All of that, in memory, and init says that it is up. */
void bring_up(struct played *s);
/* Closes it and plays what follows: the slot is given back. */
void close_live(struct played *s);

/* The next message to init; it must be `op`. */
struct session_head hear_op(struct played *s, uint32_t op);
void hear_no_op(struct played *s);
/* Init says something; `text` may be NULL. */
void say_op(struct played *s, uint32_t op, uint32_t id, const void *fixed, size_t len,
            const char *text);
void say_ended(struct played *s, uint32_t id, int wait_status);
/* Init is gone, and its sandbox with it. */
void end_init(struct played *s);

/* A program of `sh -c true`, changed by whoever asks. */
struct process_spec a_program(uint32_t id);
struct process *start_process(struct played *s, const struct process_spec *spec);
struct file_call *start_call(struct played *s, uint32_t op);

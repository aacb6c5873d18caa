/* live_internal: a live sandbox as its processes, its calls on files and its spare interpreter see
 * it.  For src/engine only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "engine/internal.h"
#include "engine/live.h"
#include "engine/spare.h"
#include "engine/stream.h"
#include "wire/session.h"

struct file_call;
struct live_message;
struct live_question;
struct process;

enum live_state {
    LIVE_MAKING,  /* sandbox, workspace, limits */
    LIVE_GREETED, /* init was told that it is a session's */
    LIVE_UP,
    LIVE_DYING,    /* the sandbox has ended; its counters say why */
    LIVE_STOPPING, /* init ends everything and writes it down */
    LIVE_GONE,     /* no sandbox any more */
};

enum live_workspace { WORKSPACE_CLOSED, WORKSPACE_ASKED, WORKSPACE_OPEN, WORKSPACE_CLOSING };

struct live {
    struct engine *engine;
    struct live *next, **prev; /* in the engine's list */
    struct live_config config;
    struct taker taker;
    bool is_image; /* not the built-in environment */
    struct sandbox *sandbox;
    struct stream *session;      /* its socket */
    struct live_message *unsent; /* the socket was full */
    struct live_message **unsent_tail;
    size_t unsent_bytes;
    uv_timer_t timer;    /* of the step in progress: its deadline, or the next attempt */
    uv_timer_t tell;     /* owners are told from the loop only */
    uv_timer_t patience; /* of spare.c */
    unsigned handles;
    enum live_state state;
    enum live_workspace workspace;
    uint64_t asked_us; /* for the workspace, the first time */
    uint32_t attempts; /* sandboxes that were lost before anything was in them */
    int mount;         /* of the workspace for this sandbox, or -1 */
    bool waits_for_start, waits_for_mount;
    bool is_lost, is_told, closing;
    struct err error;
    struct process *processes;
    struct file_call *calls;
    uint32_t nprocesses, ncalls;
    struct live_question *questions;
    struct spare spare;
    void (*closed)(void *data, uint64_t bytes);
    void *closed_data;
    uint64_t bytes;
};

/* Says something to init, now or once it listens; takes the descriptors over, also when it fails.
 * -1 and e: this could not be said. */
int live_send(struct live *live, const void *data, size_t len, int *fds, size_t nfds,
              struct err *e);
/* The sandbox is of no use any more.  Owners are told later, from the loop. */
void live_lose(struct live *live, const struct err *e);
struct live *live_of_sandbox(const struct sandbox *sb);
/* Owners are told what there is to tell, from the loop. */
void live_tell_later(struct live *live);
/* Init has broken the protocol. */
void live_distrust(struct live *live, const char *what);
/* The sandbox ended, or does not hear us: another one before it is the session's, else the end. */
void live_sandbox_ended(struct live *live, const struct err *e);
/* Init says that everything has ended and is written down. */
void live_stopped(struct live *live);
/* The socket that it is spoken to over; taken over. */
int live_session_open(struct live *live, int fd, struct err *e);
void live_session_close(struct live *live);
/* Questions that get no answer any more. */
void live_questions_finish(struct live *live, bool tell);

/* -- process */
/* The one that init knows by this id; NULL: none. */
struct process *process_next(const struct process *p);
struct process *process_find(const struct live *live, uint32_t wire_id);
void process_on_started(struct process *p, const struct session_started *started);
void process_on_ended(struct process *p, const struct session_message *m);
/* Its owner is told that it runs, if it does and he was not. */
void process_announce(struct process *p);
/* Its sandbox is no more: its end is told. */
void process_lost(struct process *p);
/* Without telling anybody. */
void process_drop(struct process *p);
/* The id that its owner gave it. */
uint32_t process_owner_id(const struct process *p);

/* -- file_call */
void file_call_lost(struct file_call *c);
void file_call_drop(struct file_call *c);

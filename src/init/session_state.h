/* session_state: everything that the init of a session knows, and what its parts do for each other.
 *
 * All in static memory, of which only the touched pages cost. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/limits.h"
#include "init/job.h"
#include "wire/session.h"

/* What clients start, and warm children that wait for their program. */
#define SESSION_PROCESSES (LIMIT_SESSION_PROCESSES + 4)
#define TERMINAL_BYTES    8192 /* on their way through a terminal, in each direction */
#define PROCESS_TEXT      160  /* bytes of why one could not be started */

enum process_state {
    PROCESS_FREE,
    PROCESS_STARTING, /* until exec(2) has succeeded or failed */
    PROCESS_QUEUED,   /* a warm child shall join: not yet, since another is about to */
    PROCESS_ADMITTED, /* it may join now */
    PROCESS_JOINING,  /* it is known by its descriptors */
    PROCESS_READY,    /* it waits for its program */
    PROCESS_RUNNING,
    PROCESS_ENDING, /* its main process is dead, and what that left behind is being killed */
};

struct process {
    enum process_state state;
    uint32_t id, flags;
    pid_t pid;                   /* the main process; 0 while it is not known */
    int pidfd;                   /* of it, or -1 */
    pid_t keeper;                /* its parent, a child of ours; 0 of a warm one */
    int status;                  /* where its parent speaks, or -1 */
    int job;                     /* warm: the socket to the interpreter, or -1 */
    struct session_signal early; /* told while it was starting; signal 0: none */
    uint64_t from_us;            /* start of its state ADMITTED, STARTING or RUNNING, or ENDING */
    struct session_ended ended;
    char text[PROCESS_TEXT];
    char script[LIMIT_FILE_PATH + 1]; /* SESSION_TEMPORARY: goes at the end; else "" */
};

/* The parent of one process.  A session makes one ahead, which waits for what to start. */
struct keeper {
    pid_t pid; /* a child of ours; 0: none */
    int sock;  /* takes the message of SESSION_EXEC, says struct keeper_word */
};

/* Between a pseudo-terminal's master and the server. */
struct terminal {
    uint32_t id; /* of its process; 0: free */
    int master, stream;
    bool is_silent;            /* nobody has the process's side open now */
    bool is_over;              /* its process has ended: others may still use it */
    size_t out_start, out_end; /* what is read of the master and not yet written */
    size_t in_start, in_end;   /* what is read of the stream and not yet written */
    char out[TERMINAL_BYTES], in[TERMINAL_BYTES];
};

struct session {
    const struct job_start *start;
    int sock;      /* to the server */
    int signals;   /* signalfd of SIGCHLD */
    int proc;      /* a /proc that hides nobody, mounted nowhere */
    int root;      /* the workspace */
    bool dumpable; /* for one that joins */
    bool stopping;
    bool wants_keeper; /* one shall be made ahead: something has ended */
    struct keeper spare;
    uint64_t stop_us; /* when SIGTERM turns into SIGKILL */
    struct process processes[SESSION_PROCESSES];
    struct terminal terminals[LIMIT_SESSION_TERMINALS];
    pid_t calls[LIMIT_SESSION_CALLS]; /* children that serve a call on files; 0: none */
};

/* A message of the server's, cut into its parts. */
struct session_request {
    struct session_head head;
    const char *data; /* behind the head */
    size_t len;
    int fds[SESSION_FDS_MAX]; /* those that are taken become -1 */
    size_t nfds;
};

/* -- session.c --------------------------------------------------------------------------------- */

/* Says a message.  Ends the process when the server is gone. */
void session_say(const struct session *s, enum session_op op, uint32_t id, const void *fixed,
                 size_t len, const char *text);
/* Says SESSION_FAILED and ends the process, and the kernel the sandbox. */
_Noreturn void session_fail(const struct session *s, const char *text);

/* -- session_process.c ------------------------------------------------------------------------- */

/* The process `id` that has not ended; NULL: none. */
struct process *process_find(struct session *s, uint32_t id);
/* A place for a new one; NULL when there are too many: its end has been told then. */
struct process *process_new(struct session *s, uint32_t id, enum process_state state);
/* Why it could not be started; process_finish() then tells. */
void process_refuse(struct process *p, int error, const char *words);
/* Tells its end and forgets it. */
void process_finish(struct session *s, struct process *p);
/* Its main process is dead: what it left behind goes too, or not. */
void process_over(struct session *s, struct process *p, bool left_some);

void process_exec(struct session *s, struct session_request *r);
void process_signal(struct session *s, const struct session_request *r);
/* Its keeper says something. */
void process_hear(struct session *s, struct process *p);
/* Goes on ending those that are to end.  Milliseconds until it wants to be called again, or -1. */
int process_keep(struct session *s);

/* -- session_keeper.c -------------------------------------------------------------------------- */

/* What to execute: a SESSION_EXEC, cut into its parts. */
struct keeper_job {
    struct session_exec exec;
    const char *cwd;    /* relative to the workspace; "": the workspace */
    const char *script; /* path to write to first, NULL: none */
    char **argv, **envp;
};

struct keeper_word {
    bool is_end;
    bool left_some;      /* END: descendants are alive */
    int32_t wait_status; /* END */
    int32_t error;       /* END: errno of a start that failed */
    uint32_t pid;        /* not END; its pidfd comes along */
    uint64_t cpu_us, memory_peak;
    char text[PROCESS_TEXT];
};

/* Cuts `data`, what is behind the head of a SESSION_EXEC.  False: it has not the parts of one.  The
 * lists are static: one job at a time. */
bool keeper_parse(const char *data, size_t len, struct keeper_job *ret);
/* Forks a keeper, which locks itself in and waits.  -1 with errno. */
int keeper_make(const struct session *s, struct keeper *ret);
/* Tells the one that waits, or else a new one, what to start: the message and its descriptors, for
 * a terminal the process's side of it three times.  0, then *ret is the process's, or -1 with
 * errno. */
int keeper_start(struct session *s, const struct session_request *r, struct keeper *ret);
/* Makes one ahead where one is wanted, and lets it go. */
void keeper_prepare(struct session *s);
void keeper_dismiss(struct session *s);

/* session: what the server and the init of a session's sandbox say to each other.
 *
 * A cold sandbox becomes a session's by FRAME_SESSION (wire/frame.h) instead of FRAME_JOB; with
 * that frame's first byte come one or two descriptors: a SEQPACKET socket and, for a durable
 * session, the detached mount of its workspace.  Everything after that is said over that socket,
 * one message each: struct session_head, the fixed part of its op, strings.  What init sends is
 * hostile input to the server (session_parse).  Ids are the server's, never reused in one session.
 *
 * A process is started, may be signalled, and ends: SESSION_ENDED is the last that is said of it,
 * and comes for each id exactly once.  Its output goes through descriptors that the server made. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SESSION_WORK_DIR    "/workspace"
#define SESSION_MESSAGE_MAX (96u << 10) /* argv + env (64 KiB) and the fixed parts fit */
#define SESSION_FDS_MAX     4

enum session_op {
    /* server to init; in brackets the descriptors that come along */
    SESSION_EXEC =
        1,          /* session_exec; strings: cwd, script, argv..., env...  [stdin, stdout, stderr]
                       or, with SESSION_TERMINAL, [terminal: a stream socket, raw bytes both ways];
                       with SESSION_SCRIPT one more at the end: [a file with the script] */
    SESSION_ADMIT,  /* a warm interpreter shall join as process id: answered by SESSION_ADMITTED */
    SESSION_CHILD,  /* the one that joins: [job, status].  Answered by SESSION_READY or _ENDED */
    SESSION_RUN,    /* to a READY one: session_run, strings: script, then the payload of FRAME_JOB
                       (struct frame_job and its strings).  [stdin], with SESSION_SCRIPT [.., script].
                       READY has told its pid: no SESSION_STARTED follows */
    SESSION_SIGNAL, /* session_signal.  To one that starts: once it has; to one that joins: it ends
                     */
    SESSION_RESIZE, /* session_size: of a terminal */
    SESSION_FILE,   /* a call on files: session_file (wire/session_file.h), strings: path, other.
                       [stream socket]: what is said over it is told there */
    SESSION_STOP,   /* end everything, write everything down, say SESSION_STOPPED and end */
    /* init to server */
    SESSION_UP = 32, /* the sandbox is the session's now */
    SESSION_STARTED, /* session_started */
    SESSION_ADMITTED,
    SESSION_READY, /* session_started: the warm child waits for SESSION_RUN */
    SESSION_ENDED, /* session_ended; text: why it could not be started ("" otherwise) */
    SESSION_STOPPED,
    SESSION_FAILED, /* text: the sandbox is of no use any more; the end */
};

struct session_head {
    uint32_t op;
    uint32_t id;
};

/* Flags of session_exec and session_run. */
#define SESSION_TERMINAL (1u << 0) /* a PTY of its own is its stdin, stdout and stderr */
#define SESSION_SCRIPT                                                                             \
    (1u << 1) /* `script` is written first: absolute, beneath /tmp or the workspace */
#define SESSION_TEMPORARY  (1u << 2) /* and removed, with its directory, when the process ends */
#define SESSION_FOREGROUND (1u << 3) /* what it leaves behind ends with it */

struct session_exec {
    uint32_t flags;
    uint32_t nargv; /* at least 1; argv[0] without a slash is looked for on the PATH of env */
    uint32_t nenv;
    uint16_t rows, columns; /* SESSION_TERMINAL */
};
#define SESSION_EXEC_FIXED_STRINGS 2

struct session_run {
    uint32_t flags;
};

enum session_scope {
    SCOPE_PROCESS, /* the one that was started */
    SCOPE_GROUP,   /* its session (setsid(2)) and all descendants */
    SCOPE_ALL,     /* every process of the sandbox but init; id does not matter */
};

struct session_signal {
    uint32_t signal;
    uint32_t scope; /* enum session_scope */
};

struct session_size {
    uint16_t rows, columns;
};

struct session_started {
    uint32_t pid; /* inside the sandbox */
    uint32_t reserved;
};

struct session_ended {
    int32_t wait_status;  /* of the main process, as wait(2) gives it */
    int32_t error;        /* errno of a start that failed, else 0 */
    uint64_t cpu_us;      /* of it and its waited-for children */
    uint64_t memory_peak; /* bytes, of the largest of them; 0: unknown */
    uint64_t wall_us;
};

/* A message that init sent.  `text` points into the message and is not terminated. */
struct session_message {
    struct session_head head;
    union {
        struct session_started started;
        struct session_ended ended;
    };
    const char *text;
    size_t text_len;
};

/* 0, or -1 and e: not a message of init's (unknown op, impossible length). */
int session_parse(const char *data, size_t len, struct session_message *ret, struct err *e);

/* Splits NUL-terminated strings that fill `data` to its end.  Their number, or -1 if the last one
 * is not terminated or there are more than max. */
int session_strings(const char *data, size_t len, const char **ret, size_t max);

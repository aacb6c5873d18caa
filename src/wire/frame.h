/* frame: what the server and a sandbox's init say to each other over the control socket.
 *
 * A byte stream of frames {type, length, payload}, little-endian as the machine is.  FRAME_FILE,
 * FRAME_STDIN and FRAME_OUTPUT are followed by `size` raw bytes that belong to no frame.  What init
 * sends is hostile input to the server: frame_parse() checks every length before anything is
 * believed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define FRAME_HEADER      8
#define FRAME_PAYLOAD_MAX (96u << 10) /* args + env (64 KiB) and the fixed parts fit */

enum frame_type {
    /* server to init */
    FRAME_JOB = 1, /* struct frame_job, then `strings` NUL-terminated strings */
    FRAME_FILE,    /* struct frame_blob, then the name without NUL; raw bytes follow */
    FRAME_STDIN,   /* struct frame_blob; raw bytes follow */
    FRAME_GO,      /* empty: start */
    FRAME_SESSION, /* struct frame_session, instead of a job: see wire/session.h */
    /* init to server */
    FRAME_READY = 16, /* empty: the sandbox waits for its job */
    FRAME_FAILED,     /* text: the sandbox could not be built or failed; the end */
    FRAME_BAD_FILE, /* struct frame_errno, then the name: an input could not be written; the end */
    FRAME_REFUSED,  /* text: the static policy refused the code */
    FRAME_EXIT,     /* struct frame_exit: everything in the sandbox is dead */
    FRAME_OUTPUT,   /* struct frame_blob, then the name; raw bytes follow */
    FRAME_SKIPPED,  /* struct frame_skipped, then the name */
    FRAME_DONE,     /* empty: the last frame */
    FRAME_MODULES,  /* text: names of the modules that a run has imported, separated by commas; may
                       come once, after the job and before FRAME_DONE.  Only a hint */
};

#define FRAME_MODULES_MAX 1024 /* bytes of the text of FRAME_MODULES; a longer one is dropped */

#define FRAME_JOB_CHECK   (1u << 0) /* evaluate the policy only */
#define FRAME_JOB_CHANGED (1u << 1) /* return new and modified files, nested ones too */
#define FRAME_JOB_RUNNER  (1u << 2) /* cold: argv is our runner, which takes the job on fd 3 */

struct frame_job {
    uint32_t flags;
    uint32_t timeout_ms;
    uint32_t workspace_mb; /* 0: leave as built */
    uint32_t nargv;        /* cold start: strings of argv, the program first; warm: ignored */
    uint32_t nargs;        /* the client's arguments */
    uint32_t nenv;
    uint64_t max_file_size;
};
/* Strings of FRAME_JOB, in this order: main file, policy level, allowed modules, argv..., args...,
 * env...  A cold job executes argv, main file, args; a main file of "" is no argument (a job of our
 * own), and argv[0] without a slash is looked for on the PATH of env. */
#define FRAME_JOB_FIXED_STRINGS 3

struct frame_blob {
    uint64_t size;
};

struct frame_session {
    uint32_t workspace_mb; /* size of the storage in memory; 0: leave as built */
    uint32_t is_durable;   /* 1: a mount of the workspace comes along */
};

struct frame_errno {
    int32_t errnum;
    uint32_t reserved;
};

#define FRAME_EXIT_TIMEOUT   (1u << 0) /* the deadline ended it */
#define FRAME_EXIT_WORKSPACE (1u << 1) /* the writable storage was full at the end */

struct frame_exit {
    int32_t wait_status; /* of the main process, as wait(2) gives it */
    uint32_t flags;
    uint64_t wall_us; /* from start to the death of everything */
};

enum frame_skip_reason {
    SKIP_SYMLINK = 1,
    SKIP_DIRECTORY,
    SKIP_SPECIAL, /* FIFO, socket, device */
    SKIP_TOO_LARGE,
    SKIP_TOO_MANY,
    SKIP_TOTAL, /* the answer would become too large */
    SKIP_NAME,  /* not UTF-8 */
    SKIP_UNREADABLE,
    SKIP_TOO_DEEP,
};

struct frame_skipped {
    uint32_t reason; /* enum frame_skip_reason */
    uint32_t reserved;
};

/* "symlink", "directory", ...; NULL for an unknown number. */
const char *frame_skip_text(uint32_t reason);

struct frame {
    enum frame_type type;
    const char *payload; /* points into the input */
    size_t len;
    union { /* the fixed part, copied out; which one follows from type */
        struct frame_job job;
        struct frame_blob blob;
        struct frame_errno errnum;
        struct frame_exit exit;
        struct frame_skipped skipped;
        struct frame_session session;
    };
    const char *rest; /* what follows the fixed part in the payload: text or name */
    size_t rest_len;
};

/* Reads one frame from data.  Returns the number of bytes it took, 0 if more input is needed, -1
 * and e if the input is not a frame (unknown type, impossible length, missing fixed part). */
long frame_parse(const char *data, size_t len, struct frame *ret, struct err *e);

/* Fills a header for a payload of `len` bytes. */
void frame_header(char out[static FRAME_HEADER], enum frame_type type, size_t len);

/* Splits the strings of a FRAME_JOB.  Stores up to `max` pointers into the payload; returns their
 * number, or -1 if the last string is not terminated, there are more than max, or their number is
 * not FRAME_JOB_FIXED_STRINGS + nargv + nargs + nenv. */
int frame_job_strings(const struct frame *f, const char **ret_strings, size_t max);

/* process: one program in a session's sandbox (live.h): started, fed, heard, signalled, ended. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct live;
struct process;

/* What to start.  Everything is copied by process_start. */
struct process_spec {
    uint32_t id;             /* not 0, never used before in this live */
    const char *const *argv; /* NULL-terminated; argv[0] without a slash is looked for on PATH */
    const char *const *env;  /* "NAME=value", NULL-terminated: all of it (process_environment) */
    const char *cwd;         /* absolute or relative to the workspace; NULL: the workspace */
    const char *script;      /* absolute path that the script is written to first; NULL: none */
    const char *script_data;
    size_t script_len;
    bool temporary;  /* script and its directory go with the process */
    bool is_python;  /* argv is "python3", the script, arguments: may be run warm */
    bool background; /* what it leaves behind goes on */
    bool terminal;   /* a PTY; then rows and columns */
    uint16_t rows, columns;
    bool stdin_open; /* process_write will be called; else stdin is stdin_data, or empty.  To a
                        terminal, which is always open, stdin_data is typed */
    const char *stdin_data;
    size_t stdin_len;
    uint32_t timeout_ms; /* 0: none.  At its end it and all it started are killed */
};

struct process_result {
    const char *error; /* it could not be started: why; NULL when it was */
    bool refused;  /* for want of memory or descriptors of the server's: it may be asked again */
    int exit_code; /* when signal == 0 */
    int signal;    /* that ended it */
    bool timed_out;
    bool lost; /* the sandbox ended beneath it (delete, sleep, out of memory, a crash): SIGKILL */
    bool warm;
    uint64_t wall_us, cpu_us, memory_peak;
};

struct process_events {
    void (*on_start)(void *data, uint32_t pid); /* pid inside the sandbox */
    /* stream 1 or 2; of a terminal always 1.  Not while it is paused. */
    void (*on_output)(void *data, int stream, const char *bytes, size_t len);
    /* Once, last: its main process has ended and its outputs have been read, up to what processes
     * that it left behind may still hold open (then they are not waited for). */
    void (*on_end)(void *data, const struct process_result *result);
    void (*on_writable)(void *data); /* what process_write queued has been taken; may be NULL */
    void *data;
};

/* NULL and e: out of memory, ERR_INVALID: strings too long.  Never calls back before it returns. */
struct process *process_start(struct live *live, const struct process_spec *spec,
                              const struct process_events *events, struct err *e);
/* Nobody listens any more: no event comes after this, and the handle is gone.  The process goes on
 * (its output is read and dropped) unless `kill`.  Not after on_end. */
void process_leave(struct process *p, bool kill);

/* Queues input (copied); returns the bytes that are still queued, or -1 when there was no room for
 * these: then none of them is.  Without effect on one that has ended or takes none. */
ssize_t process_write(struct process *p, const char *bytes, size_t len);
/* Queues the last input, which may be empty; a terminal gets the key that says so.  0, or -1 when
 * there was no room: then nothing is queued, and the input is as open as it was. */
int process_write_last(struct process *p, const char *bytes, size_t len);
/* Whether so much waits for it, or for all in its sandbox, that no more shall be written now. */
bool process_is_full(const struct process *p);
/* Whether what is written may still reach it. */
bool process_takes_input(const struct process *p);
/* `group`: its session and all descendants, else only itself. */
void process_signal(struct process *p, int signal, bool group);
void process_resize(struct process *p, uint16_t rows, uint16_t columns);
/* Stops reading its output: it waits once its pipe is full. */
void process_pause(struct process *p, bool paused);

/* PATH, HOME=/workspace, LANG, PYTHONPATH, PYTHONUNBUFFERED, and TERM for a terminal; then those of
 * `first` and of `second` ("NAME=value", NULL-terminated, either may be NULL), the last one of a
 * name counts.  One block to free(); NULL: out of memory. */
char **process_environment(const struct live *live, bool terminal, const char *const *first,
                           const char *const *second);

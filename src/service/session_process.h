/* session_process: programs in sessions that outlive the request that started them: their last
 * output is kept, and any number may listen, from any point of it that is still there.
 *
 * On the loop.  A record of a process is kept for PROCESS_KEPT_S after its end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/process.h"

struct session;
struct session_process;
struct session_visit;

#define PROCESS_KEPT_S 600

/* Starts it in the visited session and takes the visit over: it ends with the process, which keeps
 * the session awake while somebody listens to it.  After an error the visit is still the caller's.
 * The spec's id is set here.  `keep` bytes of each stream's output are held (at most
 * LIMIT_PROCESS_OUTPUT).  ERR_LIMIT: too many processes in this session; ERR_UNAVAILABLE: the
 * sandbox has ended. */
struct session_process *session_process_start(struct session_visit *v, struct process_spec *spec,
                                              const char *name, uint32_t keep, struct err *e);
/* NULL: none of that id. */
struct session_process *session_process_find(struct session *session, uint32_t id);
/* Where it was started; NULL once the session is gone, or the process forgotten. */
struct session *session_process_session(const struct session_process *p);
struct session_process *session_process_next(struct session *session,
                                             const struct session_process *after);

struct session_process_view {
    uint32_t id, pid; /* pid: 0 until it has started */
    const char *name; /* the command, for people */
    bool ended, terminal, background;
    struct process_result result; /* when ended */
    int64_t started_ms, ended_ms; /* since 1970 */
    uint64_t offset[2];           /* bytes that stdout and stderr have given so far */
    uint64_t first[2];            /* of which those from here on are kept */
    uint16_t rows, columns;
    uint32_t listeners;
};
void session_process_view(const struct session_process *p, struct session_process_view *ret);

/* -- listening */
struct listener_events {
    /* There is more to read, or the process has ended: read with listener_read until it says 0. */
    void (*on_more)(void *data);
    void (*on_writable)(void *data); /* what session_process_write queued is taken; may be NULL */
    void *data;
};
/* From `offset` bytes of each stream on (0: from the first that is kept; UINT64_MAX: only what
 * comes). `holds`: while this one is LIMIT_STREAM_LAG behind, the process waits (a foreground
 * call); else what it misses is counted in `lost`.  Never calls back before it returns.  NULL: out
 * of memory. */
struct listener *session_process_listen(struct session_process *p, uint64_t offset_out,
                                        uint64_t offset_err, bool holds,
                                        const struct listener_events *events);
struct listener_piece {
    int stream;        /* 1 or 2 */
    const char *bytes; /* until the next call, or the caller returns to the loop */
    size_t len;
    uint64_t offset; /* of the first byte, in its stream */
    uint64_t lost;   /* bytes between the last piece of this stream and this one; of who `holds`:
                      * there was no memory for them */
};
/* The next piece, in the order in which both streams were written.  1; 0: nothing more at present;
 * -1: the process has ended and everything was read. */
int listener_read(struct listener *l, struct listener_piece *ret);
void listener_close(struct listener *l);

/* Without effect once it has ended, as the next five. */
void session_process_kill(struct session_process *p, int signal, bool group);
/* As process_write and process_write_last. */
ssize_t session_process_write(struct session_process *p, const char *bytes, size_t len);
int session_process_write_last(struct session_process *p, const char *bytes, size_t len);
bool session_process_is_full(const struct session_process *p);
bool session_process_takes_input(const struct session_process *p);
void session_process_resize(struct session_process *p, uint16_t rows, uint16_t columns);
/* Forgets one that has ended, before its time. */
void session_process_forget(struct session_process *p);

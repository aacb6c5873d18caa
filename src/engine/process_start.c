/* process_start: the beginning of a program in a session: its descriptors, and what init is told.
 *
 * Runs in the server's loop.  Trusts its owner for the spec.  Everything that the program gets is
 * made here, by the server: pipes, files in memory, a pair of sockets for a terminal. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "engine/process_internal.h"
#include "engine/process_message.h"

/* Who writes holds back at LIMIT_PROCESS_INPUT, then adds LIMIT_STDIN at most; up to half of what
 * is held has been taken already. */
#define INPUT_MAX (LIMIT_STDIN + 2 * LIMIT_PROCESS_INPUT)

/* The other ends, which go to init. */
static int make_outputs(struct process *p, int *ret_out, int *ret_err, struct err *e)
{
    int out = -1, err = -1;

    if (p->is_terminal) {
        if (stream_pair(SOCK_STREAM, &out, ret_out, e) < 0)
            return -1;
    } else if (stream_pipe(false, &out, ret_out, e) < 0 ||
               stream_pipe(false, &err, ret_err, e) < 0) {
        fd_close(&out);
        return -1;
    }
    return process_hear(p, out, err, e);
}

void process_run_cold(struct process *p)
{
    int fds[SESSION_FDS_MAX] = {-1, -1, -1, -1}, out = -1, err = -1;
    size_t n = 0;
    struct err e = {0};

    p->is_waiting = false;
    p->wire_id = p->id;
    if (make_outputs(p, &out, &err, &e) == 0) {
        if (!p->is_terminal)
            fds[n++] = fd_steal(&p->stdin_fd);
        fds[n++] = fd_steal(&out);
        if (!p->is_terminal)
            fds[n++] = fd_steal(&err);
        if (p->script_fd >= 0)
            fds[n++] = fd_steal(&p->script_fd);
        live_send(p->live, p->cold.data, p->cold.len, fds, n, &e);
    }
    fd_close(&out);
    fd_close(&err);
    buf_finish(&p->cold);
    buf_finish(&p->warm);
    if (e.code != ERR_NONE) {
        p->wire_id = 0;
        process_fail(p, &e);
    }
}

/* init reads the id in the message's head. */
static void set_id(struct buf *message, uint32_t id)
{
    struct session_head head;

    memcpy(&head, message->data, sizeof head);
    head.id = id;
    memcpy(message->data, &head, sizeof head);
}

void process_run_warm(struct process *p, uint32_t wire_id, uint32_t pid, int *out, int *err)
{
    int fds[2] = {fd_steal(&p->stdin_fd), fd_steal(&p->script_fd)};
    struct err e = {0};

    p->is_waiting = false;
    p->wire_id = wire_id;
    p->pid = pid;
    p->result.warm = true;
    set_id(&p->warm, wire_id);
    if (process_hear(p, fd_steal(out), fd_steal(err), &e) == 0)
        live_send(p->live, p->warm.data, p->warm.len, fds, fds[1] >= 0 ? 2 : 1, &e);
    live_tell_later(p->live);
    fd_close(&fds[0]);
    fd_close(&fds[1]);
    buf_finish(&p->cold);
    buf_finish(&p->warm);
    if (e.code != ERR_NONE) {
        p->wire_id = 0;
        process_fail(p, &e);
    }
}

static int write_first(struct process *p, const struct process_spec *spec, struct err *e)
{
    if (process_write(p, spec->stdin_data, spec->stdin_len) < 0)
        return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
    return 0;
}

static int make_input(struct process *p, const struct process_spec *spec, struct err *e)
{
    int near = -1;

    if (spec->script != NULL &&
        (p->script_fd = stream_memory("script", spec->script_data, spec->script_len, e)) < 0)
        return -1;
    if (p->is_terminal)
        return write_first(p, spec, e);
    if (!spec->stdin_open) {
        p->stdin_fd = stream_memory("stdin", spec->stdin_data, spec->stdin_len, e);
        p->given = spec->stdin_len;
        return p->stdin_fd < 0 ? -1 : 0;
    }
    if (stream_pipe(true, &near, &p->stdin_fd, e) < 0 || process_feed(p, near, e) < 0)
        return -1;
    return write_first(p, spec, e);
}

static struct process *create(struct live *live, const struct process_spec *spec,
                              const struct process_events *events)
{
    struct process *p = calloc(1, sizeof *p);

    if (p == NULL)
        return NULL;
    *p = (struct process){.live = live,
                          .next = live->processes,
                          .prev = &live->processes,
                          .events = *events,
                          .id = spec->id,
                          .stdin_fd = -1,
                          .script_fd = -1,
                          .begun_us = clock_now_us(),
                          .timeout_ms = spec->timeout_ms,
                          .is_heard = true,
                          .is_terminal = spec->terminal};
    buf_init(&p->input, INPUT_MAX);
    if (live->processes != NULL)
        live->processes->prev = &p->next;
    live->processes = p;
    live->nprocesses++;
    uv_timer_init(live->engine->loop, &p->timer);
    p->timer.data = p;
    return p;
}

struct process *process_start(struct live *live, const struct process_spec *spec,
                              const struct process_events *events, struct err *e)
{
    bool is_warm = process_can_be_warm(spec) && spare_is_possible(live);
    struct process *p;

    assert(spec->id != 0 && spec->id < SPARE_ID);
    if (!live_is_up(live)) {
        err_set(e, ERR_UNAVAILABLE, 0, "the session is not up");
        return NULL;
    }
    if (live->nprocesses >= LIMIT_SESSION_PROCESSES) {
        err_set(e, ERR_LIMIT, 0, "%d processes are in progress in this session",
                LIMIT_SESSION_PROCESSES);
        return NULL;
    }
    if (spec->stdin_len > 0 && process_input_held(live) + spec->stdin_len > INPUT_HELD_MAX) {
        err_set(e, ERR_LIMIT, 0, "%u MiB of input wait in this session: its processes do not read",
                INPUT_HELD_MAX >> 20);
        return NULL;
    }
    p = create(live, spec, events);
    if (p == NULL) {
        err_set(e, ERR_INTERNAL, 0, "out of memory");
        return NULL;
    }
    if (process_exec_message(&p->cold, spec->id, spec, e) < 0 ||
        (is_warm && process_run_message(&p->warm, spec->id, spec, e) < 0) ||
        make_input(p, spec, e) < 0) {
        process_drop(p);
        return NULL;
    }
    process_arm(p);
    if (is_warm)
        spare_await(live, p);
    else
        process_run_cold(p);
    return p;
}

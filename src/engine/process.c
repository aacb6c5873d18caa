/* process: one program in a session's sandbox.
 *
 * Runs in the server's loop.  Trusts its owner for the spec.  What the program writes is copied to
 * its owner and never looked at; what init says of it comes from live_session.c and is believed of
 * this one program only. */
#include "engine/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "engine/process_internal.h"

#define GRACE_MS     100    /* for outputs that are still held when the program has ended */
#define KILL_MS      10000  /* for init to end what it was told to kill, with a processor */
#define KILL_MAX_MS  120000 /* the same with the smallest share of one */
#define END_OF_INPUT "\x04" /* as a terminal's user says it */

/* -- the end ----------------------------------------------------------------------------------- */

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void close_input(struct process *p)
{
    buf_finish(&p->input);
    p->input_at = 0;
    stream_close(&p->in);
}

static void take_apart(struct process *p)
{
    struct live *live = p->live;

    p->is_over = true;
    spare_leave(live, p);
    *p->prev = p->next;
    if (p->next != NULL)
        p->next->prev = p->prev;
    live->nprocesses--;
    close_input(p);
    stream_close(&p->out[0]);
    stream_close(&p->out[1]);
    buf_finish(&p->cold);
    buf_finish(&p->warm);
    fd_close(&p->stdin_fd);
    fd_close(&p->script_fd);
    uv_close((uv_handle_t *)&p->timer, on_timer_closed);
}

void process_drop(struct process *p)
{
    take_apart(p);
}

static void finish(struct process *p)
{
    bool is_heard = p->is_heard;

    if (p->is_over)
        return;
    process_announce(p);
    p->result.timed_out = p->timed_out;
    take_apart(p);
    if (is_heard)
        p->events.on_end(p->events.data, &p->result);
}

void process_lost(struct process *p)
{
    if (!p->has_ended) {
        p->result.lost = true;
        p->result.signal = SIGKILL; /* as everything in a sandbox that ends */
        p->result.wall_us = clock_now_us() - p->begun_us;
    }
    finish(p);
}

static void finish_if_done(struct process *p)
{
    if (p->has_ended && p->out[0] == NULL && p->out[1] == NULL)
        finish(p);
}

/* -- output ------------------------------------------------------------------------------------ */

static void watch(struct process *p)
{
    int input = p->input.len > p->input_at ? UV_WRITABLE : 0;

    for (int i = 0; i < 2; i++) {
        if (p->out[i] != NULL)
            stream_watch(p->out[i],
                         (p->is_paused ? 0 : UV_READABLE) | (p->is_terminal ? input : 0));
    }
    if (p->in != NULL)
        stream_watch(p->in, input);
}

static void end_output(struct process *p, int which)
{
    if (p->is_terminal)
        close_input(p);
    stream_close(&p->out[which]);
    finish_if_done(p);
}

static void read_output(struct process *p, int which)
{
    struct engine *en = p->live->engine;
    size_t cap = sizeof en->input;
    ssize_t n;

    if (p->is_last_call && p->due[which] < cap)
        cap = p->due[which];
    n = read(stream_fd(p->out[which]), en->input, cap);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    process_announce(p);
    if (n > 0 && p->is_heard)
        p->events.on_output(p->events.data, which + 1, en->input, (size_t)n);
    if (p->is_over || p->out[which] == NULL)
        return;
    if (n > 0 && p->is_last_call)
        p->due[which] -= (size_t)n;
    if (n <= 0 || (p->is_last_call && p->due[which] == 0))
        end_output(p, which);
}

static void on_writable(struct process *p);

static void on_ready_out(void *data, int events)
{
    struct process *p = data;

    if ((events & UV_WRITABLE) != 0)
        on_writable(p);
    if ((events & UV_READABLE) != 0 && !p->is_over && p->out[0] != NULL)
        read_output(p, 0);
}

static void on_ready_err(void *data, int events)
{
    read_output(data, 1);
}

/* What the program left behind still holds its outputs: what they contain now is all that is waited
 * for. */
static void on_grace(uv_timer_t *timer)
{
    struct process *p = timer->data;

    p->is_last_call = true;
    for (int i = 0; i < 2; i++) {
        int n = 0;

        if (p->out[i] == NULL)
            continue;
        if (ioctl(stream_fd(p->out[i]), FIONREAD, &n) < 0 || n <= 0)
            stream_close(&p->out[i]);
        else
            p->due[i] = (size_t)n;
    }
    finish_if_done(p);
}

/* -- input ------------------------------------------------------------------------------------- */

static ssize_t put(const struct process *p, const char *bytes, size_t len)
{
    if (p->is_terminal)
        return send(stream_fd(p->out[0]), bytes, len, MSG_NOSIGNAL);
    return write(stream_fd(p->in), bytes, len);
}

static bool has_input(const struct process *p)
{
    return !p->has_ended && !p->is_over && (p->is_terminal ? p->out[0] : p->in) != NULL;
}

/* Whoever closed its input does not want what is left.  For any other reason (the kernel has no
 * memory) it must not take the half that it got for the whole. */
static void give_up_input(struct process *p, int error)
{
    p->input_at = p->input.len;
    if (error != EPIPE && error != ECONNRESET)
        process_signal(p, SIGKILL, true);
}

/* Writes what the descriptor takes.  True when that was the last of what had been queued. */
static bool write_input(struct process *p)
{
    bool had = p->input.len > 0;

    while (has_input(p) && p->input_at < p->input.len) {
        ssize_t n = put(p, p->input.data + p->input_at, p->input.len - p->input_at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0)
            give_up_input(p, errno);
        else
            p->input_at += (size_t)n;
    }
    if (p->input_at == p->input.len) {
        buf_finish(&p->input);
        p->input_at = 0;
        if (p->closes_input)
            stream_close(&p->in);
    } else if (p->input_at > p->input.len / 2) {
        buf_consume(&p->input, p->input_at);
        p->input_at = 0;
    }
    watch(p);
    return had && p->input.len == 0 && !p->is_over;
}

static void on_writable(struct process *p)
{
    if (write_input(p) && p->is_heard && p->events.on_writable != NULL)
        p->events.on_writable(p->events.data);
}

static void on_ready_in(void *data, int events)
{
    on_writable(data);
}

bool process_takes_input(const struct process *p)
{
    return !p->has_ended && !p->closes_input && (p->is_terminal || p->takes_input);
}

size_t process_input_held(const struct live *live)
{
    size_t held = 0;

    for (const struct process *p = live->processes; p != NULL; p = p->next)
        held += p->given + p->input.len - p->input_at;
    return held;
}

bool process_is_full(const struct process *p)
{
    return p->input.len - p->input_at > LIMIT_PROCESS_INPUT ||
           process_input_held(p->live) > INPUT_HELD_MAX;
}

/* These bytes and this end behind them: both, or neither. */
static int queue_input(struct process *p, const char *bytes, size_t len, const char *end)
{
    if (buf_reserve(&p->input, len + strlen(end)) < 0) {
        p->input.torn = false; /* whoever wrote is told, so what is written next may follow */
        return -1;
    }
    return buf_append(&p->input, bytes, len) < 0 ? -1 : buf_append_str(&p->input, end);
}

ssize_t process_write(struct process *p, const char *bytes, size_t len)
{
    if (!process_takes_input(p))
        return 0;
    if (queue_input(p, bytes, len, "") < 0)
        return -1;
    if (!p->is_waiting)
        write_input(p);
    return (ssize_t)(p->input.len - p->input_at);
}

int process_write_last(struct process *p, const char *bytes, size_t len)
{
    if (process_takes_input(p) &&
        queue_input(p, bytes, len, p->is_terminal ? END_OF_INPUT : "") < 0)
        return -1;
    p->closes_input |= !p->is_terminal;
    write_input(p);
    return 0;
}

/* -- what init says ---------------------------------------------------------------------------- */

void process_announce(struct process *p)
{
    if (p->is_announced || p->pid == 0 || p->is_over)
        return;
    p->is_announced = true;
    if (p->is_heard && p->events.on_start != NULL)
        p->events.on_start(p->events.data, p->pid);
}

void process_on_started(struct process *p, const struct session_started *started)
{
    if (p->has_started || p->has_ended) {
        live_distrust(p->live, "a second start of a process");
        return;
    }
    p->has_started = true;
    p->pid = started->pid;
    process_announce(p);
}

static void keep_error(struct process *p, const char *text, size_t len)
{
    snprintf(p->error, sizeof p->error, "%.*s", (int)strnlen(text, len), text);
    for (char *at = p->error; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || (unsigned char)*at > '~')
            *at = '?';
    }
    if (p->error[0] == '\0')
        snprintf(p->error, sizeof p->error, "it could not be started");
    p->result.error = p->error;
}

void process_on_ended(struct process *p, const struct session_message *m)
{
    const struct session_ended *ended = &m->ended;
    uint64_t wall_us = clock_now_us() - p->begun_us;
    struct process_result *r = &p->result;

    if (p->has_ended) {
        live_distrust(p->live, "a second end of a process");
        return;
    }
    p->has_ended = true;
    if (ended->error != 0)
        keep_error(p, m->text, m->text_len);
    else if (WIFSIGNALED(ended->wait_status))
        r->signal = WTERMSIG(ended->wait_status);
    else
        r->exit_code = WEXITSTATUS(ended->wait_status);
    r->cpu_us = ended->cpu_us;
    r->memory_peak = ended->memory_peak;
    r->wall_us = ended->wall_us < wall_us ? ended->wall_us : wall_us;
    if (r->signal == SIGKILL && !p->was_killed)
        spare_give_up(p->live); /* perhaps for want of memory */
    if (p->result.warm)
        spare_make_ahead(p->live);
    close_input(p);
    watch(p);
    uv_timer_start(&p->timer, on_grace, GRACE_MS, 0);
    finish_if_done(p);
}

/* -- the deadline ------------------------------------------------------------------------------ */

static void on_still_there(uv_timer_t *timer)
{
    struct process *p = timer->data;
    struct err e = {0};

    err_set(&e, ERR_UNAVAILABLE, 0, "the session did not end what it was told to");
    live_lose(p->live, &e);
}

/* The kernel takes memory and files away from the dead in their own time, which is what the limit
 * gives them: gigabytes at a hundredth of a processor take tens of seconds. */
static uint64_t kill_patience_ms(const struct live *live)
{
    uint32_t milli = live->config.limits.cpu_milli != 0 ? live->config.limits.cpu_milli
                                                        : live->engine->config.limits.cpu_milli;
    uint64_t ms = milli == 0 ? KILL_MS : UINT64_C(1000) * KILL_MS / milli;

    return ms < KILL_MS ? KILL_MS : ms > KILL_MAX_MS ? KILL_MAX_MS : ms;
}

static void on_deadline(uv_timer_t *timer)
{
    struct process *p = timer->data;

    p->timed_out = true;
    process_signal(p, SIGKILL, true);
    if (!p->is_over && !p->has_ended && p->wire_id != 0)
        uv_timer_start(&p->timer, on_still_there, kill_patience_ms(p->live), 0);
}

void process_arm(struct process *p)
{
    if (p->timeout_ms != 0)
        uv_timer_start(&p->timer, on_deadline, p->timeout_ms, 0);
}

static void on_failed(uv_timer_t *timer)
{
    finish(timer->data);
}

void process_fail(struct process *p, const struct err *e)
{
    p->has_ended = true;
    p->result.refused = true;
    keep_error(p, e->text, strlen(e->text));
    uv_timer_start(&p->timer, on_failed, 0, 0);
}

/* -- from outside ------------------------------------------------------------------------------ */

int process_hear(struct process *p, int out, int err, struct err *e)
{
    p->out[0] = stream_create(p->live->engine->loop, out, on_ready_out, p, e);
    if (err >= 0)
        p->out[1] = stream_create(p->live->engine->loop, err, on_ready_err, p, e);
    if (p->out[0] == NULL || (err >= 0 && p->out[1] == NULL))
        return -1;
    watch(p);
    return 0;
}

int process_feed(struct process *p, int fd, struct err *e)
{
    p->in = stream_create(p->live->engine->loop, fd, on_ready_in, p, e);
    p->takes_input = p->in != NULL;
    return p->in != NULL ? 0 : -1;
}

void process_signal(struct process *p, int signal, bool group)
{
    struct {
        struct session_head head;
        struct session_signal signal;
    } m = {{SESSION_SIGNAL, p->wire_id}, {(uint32_t)signal, group ? SCOPE_GROUP : SCOPE_PROCESS}};

    if (p->has_ended)
        return;
    p->was_killed = p->was_killed || signal == SIGKILL;
    if (p->wire_id != 0) {
        live_send(p->live, &m, sizeof m, NULL, 0, NULL);
        return;
    }
    /* It has not begun, and does not. */
    spare_leave(p->live, p);
    p->has_ended = true;
    p->result.signal = signal;
    uv_timer_start(&p->timer, on_failed, 0, 0);
}

void process_resize(struct process *p, uint16_t rows, uint16_t columns)
{
    struct {
        struct session_head head;
        struct session_size size;
    } m = {{SESSION_RESIZE, p->wire_id}, {rows, columns}};

    if (p->is_terminal && !p->has_ended)
        live_send(p->live, &m, sizeof m, NULL, 0, NULL);
}

void process_pause(struct process *p, bool paused)
{
    p->is_paused = paused;
    watch(p);
}

void process_leave(struct process *p, bool kill)
{
    p->is_heard = false;
    process_pause(p, false);
    if (kill)
        process_signal(p, SIGKILL, true);
}

struct process *process_next(const struct process *p)
{
    return p->next;
}

struct process *process_find(const struct live *live, uint32_t wire_id)
{
    for (struct process *p = live->processes; p != NULL; p = p->next) {
        if (p->wire_id == wire_id && wire_id != 0)
            return p;
    }
    return NULL;
}

uint32_t process_owner_id(const struct process *p)
{
    return p->id;
}

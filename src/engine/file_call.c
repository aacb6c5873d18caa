/* file_call: one call on the files of a session.
 *
 * Runs in the server's loop.  What comes over the call's socket is said by a child of init, about
 * files that hostile code made, and may be said by that code itself: file_reader.c judges it, and a
 * call that breaks off or stands still costs only itself.  Nothing is gathered here: bytes go from
 * the socket to the owner, or wait in the socket. */
#include "engine/file_call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "engine/file_reader.h"
#include "engine/live_internal.h"

#define IDLE_US  60000000 /* without progress */
#define IDLE_MS  (IDLE_US / 1000)
#define READ_MAX (64u << 10)
#define LAST_MS  1000 /* for the end of a call that takes nothing more */

struct file_call {
    struct live *live;
    struct file_call *next, **prev; /* in the live sandbox's list */
    struct file_call_events events;
    struct stream *stream;
    struct file_reader reader;
    struct buf input; /* that came but was not taken */
    uv_timer_t timer; /* the deadline, or what waits in `input` is looked at again */
    uint64_t progress_us;
    bool is_watch, is_paused, wants_room;
    int write_error; /* why what is written goes nowhere, or 0; a call that ended early says it */
    bool is_over;
};

static void on_timer(uv_timer_t *timer);

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void file_call_drop(struct file_call *c)
{
    c->is_over = true;
    *c->prev = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    c->live->ncalls--;
    stream_close(&c->stream);
    buf_finish(&c->input);
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}

void file_call_cancel(struct file_call *c)
{
    if (!c->is_over)
        file_call_drop(c);
}

static void end(struct file_call *c, const struct file_end *how, const char *text)
{
    if (c->is_over)
        return;
    file_call_drop(c);
    c->events.on_end(c->events.data, how, text);
}

static void break_off(struct file_call *c, int errnum, const char *text)
{
    struct file_end how = {.error = errnum};

    end(c, &how, text);
}

void file_call_lost(struct file_call *c)
{
    break_off(c, EIO, "the session ended");
}

static void watch(struct file_call *c)
{
    if (!c->is_over)
        stream_watch(c->stream, (c->is_paused ? 0 : UV_READABLE) |
                                    (c->wants_room && c->write_error == 0 ? UV_WRITABLE : 0));
}

/* -- hearing ----------------------------------------------------------------------------------- */

static void on_end(struct file_call *c, const struct file_message *m)
{
    char text[240];
    size_t n = m->text_len < sizeof text ? m->text_len : sizeof text - 1;

    for (size_t i = 0; i < n; i++)
        text[i] =
            (unsigned char)m->text[i] < ' ' || (unsigned char)m->text[i] > '~' ? '?' : m->text[i];
    text[n] = '\0';
    end(c, &m->end, text);
}

/* Ids of processes as their owners know them; the spare interpreter is nobody's. */
static bool translate(const struct live *live, struct file_message *m)
{
    const struct process *p;

    if (m->type != FILE_PROCESS || m->process.id == 0)
        return true;
    if (live->spare.state != SPARE_NONE && m->process.id == live->spare.id)
        return false;
    p = process_find(live, m->process.id);
    m->process.id = p != NULL ? process_owner_id(p) : 0;
    return true;
}

/* Hands pieces on while its owner takes them.  Returns how many bytes they took. */
static size_t serve(struct file_call *c, const char *data, size_t len)
{
    size_t used = 0;

    while (!c->is_paused && !c->is_over) {
        struct file_piece piece;
        struct err e = {0};
        long n = file_reader_next(&c->reader, data + used, len - used, &piece, &e);

        if (n < 0)
            break_off(c, EIO, e.text);
        if (n <= 0)
            break;
        used += (size_t)n;
        if (piece.is_frame && piece.message.type == FILE_END)
            on_end(c, &piece.message);
        else if (piece.is_frame && translate(c->live, &piece.message))
            c->events.on_frame(c->events.data, &piece.message);
        else if (piece.len > 0)
            c->events.on_bytes(c->events.data, piece.bytes, piece.len);
    }
    return used;
}

/* What is left of the input is kept until more of it has come, or its owner takes it. */
static void serve_input(struct file_call *c)
{
    size_t used = serve(c, c->input.data, c->input.len);

    if (c->is_over)
        return;
    buf_consume(&c->input, used);
    if (c->input.len == 0)
        buf_finish(&c->input);
}

static void serve_fresh(struct file_call *c, const char *data, size_t len)
{
    size_t used = serve(c, data, len);

    if (!c->is_over && used < len && buf_append(&c->input, data + used, len - used) < 0)
        break_off(c, EIO, "out of memory");
}

static void on_readable(struct file_call *c)
{
    struct engine *en = c->live->engine;
    ssize_t n = read(stream_fd(c->stream), en->input, READ_MAX);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        break_off(c, EIO, "the call broke off");
        return;
    }
    c->progress_us = clock_now_us();
    if (c->input.len == 0) {
        serve_fresh(c, en->input, (size_t)n);
    } else if (buf_append(&c->input, en->input, (size_t)n) < 0) {
        break_off(c, EIO, "a message that is too long");
    } else {
        serve_input(c);
    }
}

static void on_ready(void *data, int events)
{
    struct file_call *c = data;

    if ((events & UV_WRITABLE) != 0 && c->wants_room) {
        c->wants_room = false;
        watch(c);
        if (c->events.on_writable != NULL)
            c->events.on_writable(c->events.data);
    }
    if ((events & UV_READABLE) != 0 && !c->is_over && !c->is_paused)
        on_readable(c);
}

static void on_timer(uv_timer_t *timer)
{
    struct file_call *c = timer->data;
    uint64_t idle_us;

    if (!c->is_paused && c->input.len > 0)
        serve_input(c);
    if (c->is_over)
        return;
    if (c->write_error != 0) {
        break_off(c, c->write_error == ENOBUFS || c->write_error == ENOMEM ? ENOMEM : EIO,
                  "what was written could not be passed on");
        return;
    }
    idle_us = clock_now_us() - c->progress_us;
    if (!c->is_watch && idle_us >= IDLE_US)
        break_off(c, ETIMEDOUT, "the call stood still");
    else
        uv_timer_start(&c->timer, on_timer, IDLE_MS - idle_us % IDLE_US / 1000, 0);
}

void file_call_pause(struct file_call *c, int paused)
{
    if (c->is_over)
        return;
    c->is_paused = paused != 0;
    watch(c);
    if (!c->is_paused && c->input.len > 0)
        uv_timer_start(&c->timer, on_timer, 0, 0);
}

/* -- saying ------------------------------------------------------------------------------------ */

size_t file_call_write(struct file_call *c, const char *bytes, size_t len)
{
    size_t taken = 0;

    while (taken < len && c->write_error == 0 && !c->is_over) {
        ssize_t n = send(stream_fd(c->stream), bytes + taken, len - taken, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            c->wants_room = true;
            break;
        }
        if (n < 0) { /* it has ended early, and said why; or the kernel has no memory for it */
            c->write_error = errno;
            uv_timer_start(&c->timer, on_timer, errno == EPIPE || errno == ECONNRESET ? LAST_MS : 0,
                           0);
        } else {
            taken += (size_t)n;
        }
    }
    if (taken > 0)
        c->progress_us = clock_now_us();
    watch(c);
    return c->write_error != 0 ? len : taken;
}

void file_call_finish(struct file_call *c)
{
    if (!c->is_over && c->write_error == 0) /* a part must not pass for the whole */
        shutdown(stream_fd(c->stream), SHUT_WR);
}

/* -- the start --------------------------------------------------------------------------------- */

static int say(struct live *live, const struct session_file *what, const char *path,
               const char *other, int fd, struct err *e)
{
    struct session_head head = {.op = SESSION_FILE};
    _cleanup_buf_ struct buf m = {0};
    int r;

    buf_init(&m, SESSION_MESSAGE_MAX);
    r = buf_append(&m, &head, sizeof head) | buf_append(&m, what, sizeof *what);
    r |= buf_append(&m, path, strlen(path) + 1);
    r |= other != NULL ? buf_append(&m, other, strlen(other) + 1) : buf_append(&m, "", 1);
    if (r != 0) {
        fd_close(&fd);
        return m.torn ? err_set(e, ERR_UNAVAILABLE, 0, "out of memory")
                      : err_set(e, ERR_INVALID, 0, "the path is too long");
    }
    return live_send(live, m.data, m.len, &fd, 1, e);
}

static struct file_call *create(struct live *live, const struct session_file *what,
                                const struct file_call_events *events)
{
    struct file_call *c = calloc(1, sizeof *c);

    if (c == NULL)
        return NULL;
    *c = (struct file_call){.live = live,
                            .next = live->calls,
                            .prev = &live->calls,
                            .events = *events,
                            .is_watch = what->op == FILE_WATCH,
                            .progress_us = clock_now_us()};
    buf_init(&c->input, FILE_READER_INPUT + READ_MAX);
    if (live->calls != NULL)
        live->calls->prev = &c->next;
    live->calls = c;
    live->ncalls++;
    uv_timer_init(live->engine->loop, &c->timer);
    c->timer.data = c;
    uv_timer_start(&c->timer, on_timer, IDLE_MS, 0);
    return c;
}

struct file_call *file_call_start(struct live *live, const struct session_file *what,
                                  const char *path, const char *other,
                                  const struct file_call_events *events, struct err *e)
{
    struct file_call *c;
    int near = -1, far = -1;

    if (!live_is_up(live)) {
        err_set(e, ERR_UNAVAILABLE, 0, "the session is not up");
        return NULL;
    }
    if (live->ncalls >= LIMIT_SESSION_CALLS) {
        err_set(e, ERR_LIMIT, 0, "%d calls are in progress in this session", LIMIT_SESSION_CALLS);
        return NULL;
    }
    c = create(live, what, events);
    if (c == NULL) {
        err_set(e, ERR_INTERNAL, 0, "out of memory");
        return NULL;
    }
    if (stream_pair(SOCK_STREAM, &near, &far, e) == 0) {
        c->stream = stream_create(live->engine->loop, near, on_ready, c, e);
        if (c->stream == NULL)
            fd_close(&far);
        else if (say(live, what, path, other, far, e) == 0) {
            watch(c);
            return c;
        }
    }
    file_call_drop(c);
    return NULL;
}

/* live_session: what is said between the server and the init of a session's sandbox.
 *
 * Runs in the server's loop.  All that init says is hostile: it may speak of what was started, once
 * of each thing, in order.  Anything else ends the session, so it cannot flood us either. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "engine/live_internal.h"

#define MESSAGES_AT_ONCE 32           /* then the loop serves others */
#define UNSENT_MAX       (16ul << 20) /* bytes that an init may leave untaken */

/* One message that waits for room. */
struct live_message {
    struct live_message *next;
    int fds[SESSION_FDS_MAX];
    size_t nfds, len;
    char data[];
};

/* -- to init ----------------------------------------------------------------------------------- */

static void close_all(int *fds, size_t nfds)
{
    for (size_t i = 0; i < nfds; i++)
        fd_close(&fds[i]);
}

static void free_message(struct live_message *m)
{
    close_all(m->fds, m->nfds);
    free(m);
}

static int queue_message(struct live *live, const void *data, size_t len, int *fds, size_t nfds,
                         struct err *e)
{
    struct live_message *m = NULL;

    if (live->unsent_bytes + len <= UNSENT_MAX)
        m = malloc(sizeof *m + len);
    if (m == NULL)
        return err_set(e, ERR_UNAVAILABLE, 0, "the session does not take what it is told");
    *m = (struct live_message){.nfds = nfds, .len = len};
    memcpy(m->data, data, len);
    for (size_t i = 0; i < nfds; i++)
        m->fds[i] = fd_steal(&fds[i]);
    *live->unsent_tail = m;
    live->unsent_tail = &m->next;
    live->unsent_bytes += len;
    stream_watch(live->session, UV_READABLE | UV_WRITABLE);
    return 0;
}

int live_send(struct live *live, const void *data, size_t len, int *fds, size_t nfds, struct err *e)
{
    struct err why = {0};
    int r = -1;

    if (live->session == NULL || live->state != LIVE_UP)
        err_set(&why, ERR_UNAVAILABLE, 0, "the session is not up");
    else if (live->unsent != NULL)
        r = queue_message(live, data, len, fds, nfds, &why);
    else if ((r = fd_send(stream_fd(live->session), data, len, fds, nfds, &why)) < 0 &&
             why.errnum == EAGAIN)
        r = queue_message(live, data, len, fds, nfds, &why);
    close_all(fds, nfds);
    if (r < 0 && e != NULL)
        *e = why;
    return r;
}

/* Sends what waited.  `live` may be lost afterwards. */
static void flush(struct live *live)
{
    struct live_message *m;
    struct err e = {0};

    while ((m = live->unsent) != NULL) {
        int r = fd_send(stream_fd(live->session), m->data, m->len, m->fds, m->nfds, &e);

        if (r < 0 && e.errnum == EAGAIN)
            return;
        if (r < 0) {
            live_sandbox_ended(live, &e);
            return;
        }
        live->unsent = m->next;
        live->unsent_bytes -= m->len;
        free_message(m);
    }
    live->unsent_tail = &live->unsent;
    stream_watch(live->session, UV_READABLE);
}

/* -- from init --------------------------------------------------------------------------------- */

static void on_failed(struct live *live, const struct session_message *m)
{
    struct err e = {0};

    err_set(&e, ERR_UNAVAILABLE, 0, "%.*s", (int)m->text_len, m->text);
    for (char *at = e.text; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || (unsigned char)*at > '~')
            *at = '?';
    }
    live_lose(live, &e);
}

static void on_up(struct live *live)
{
    if (live->state != LIVE_GREETED) {
        live_distrust(live, "a second beginning");
        return;
    }
    uv_timer_stop(&live->timer);
    live->state = LIVE_UP;
    live->config.on_up(live->config.data);
}

static void on_process(struct live *live, const struct session_message *m)
{
    struct process *p = process_find(live, m->head.id);

    if (p != NULL && m->head.op == SESSION_STARTED)
        process_on_started(p, &m->started);
    else if (p != NULL && m->head.op == SESSION_ENDED)
        process_on_ended(p, m);
    else if (!spare_on_message(live, m))
        live_distrust(live, "news of what it was not given");
}

static void on_message(struct live *live, const struct session_message *m)
{
    if (m->head.op == SESSION_STOPPED && live->state == LIVE_STOPPING)
        live_stopped(live);
    else if (live->closing)
        return; /* its processes have been told already */
    else if (m->head.op == SESSION_FAILED)
        on_failed(live, m);
    else if (m->head.op == SESSION_UP)
        on_up(live);
    else if (live->state != LIVE_UP || m->head.op == SESSION_STOPPED)
        live_distrust(live, "a message out of order");
    else
        on_process(live, m);
}

/* One message.  False when there is none, or no more. */
static bool read_message(struct live *live)
{
    struct engine *en = live->engine;
    char *data = en->input;
    struct session_message m;
    struct err e = {0};
    ssize_t n = recv(stream_fd(live->session), data, sizeof en->input, MSG_TRUNC);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        err_set(&e, ERR_CLOSED, 0, "the session's sandbox ended");
        stream_watch(live->session, 0);
        live_sandbox_ended(live, &e);
        return false;
    }
    if ((size_t)n > sizeof en->input || session_parse(data, (size_t)n, &m, &e) < 0)
        live_distrust(live, "something that is no message");
    else
        on_message(live, &m);
    return live->session != NULL;
}

static void on_session(void *data, int events)
{
    struct live *live = data;

    if ((events & UV_WRITABLE) != 0 && live->unsent != NULL)
        flush(live);
    if ((events & UV_READABLE) == 0)
        return;
    for (int i = 0; i < MESSAGES_AT_ONCE && live->session != NULL && read_message(live); i++)
        ;
}

int live_session_open(struct live *live, int fd, struct err *e)
{
    live->session = stream_create(live->engine->loop, fd, on_session, live, e);
    if (live->session == NULL)
        return -1;
    stream_watch(live->session, UV_READABLE);
    return 0;
}

void live_session_close(struct live *live)
{
    while (live->unsent != NULL) {
        struct live_message *m = live->unsent;

        live->unsent = m->next;
        free_message(m);
    }
    live->unsent_tail = &live->unsent;
    live->unsent_bytes = 0;
    stream_close(&live->session);
}

/* -- questions --------------------------------------------------------------------------------- */

struct live_question {
    struct live_question *next, **prev;
    struct live *live;
    void (*done)(void *data, const struct live_usage *u);
    void *data;
};

static void unlink_question(struct live_question *q)
{
    *q->prev = q->next;
    if (q->next != NULL)
        q->next->prev = q->prev;
    free(q);
}

static void on_usage(void *data, const struct spawn_reply *reply, int *fds)
{
    struct live_question asked = *(struct live_question *)data;
    struct live_usage usage = {.cpu_us = reply->cpu_us,
                               .memory_peak = reply->memory_peak,
                               .oom_kills = reply->oom_kills,
                               .process_hits = reply->pids_hits};

    unlink_question(data);
    asked.done(asked.data, reply->error == 0 ? &usage : NULL);
}

int live_usage(struct live *live, void (*done)(void *data, const struct live_usage *u), void *data,
               struct err *e)
{
    struct live_question *q;
    struct spawn_request req = {.op = SPAWN_USAGE};

    if (live->state != LIVE_UP)
        return err_set(e, ERR_UNAVAILABLE, 0, "the session is not up");
    q = calloc(1, sizeof *q);
    if (q == NULL)
        return err_set(e, ERR_INTERNAL, 0, "out of memory");
    *q = (struct live_question){.next = live->questions,
                                .prev = &live->questions,
                                .live = live,
                                .done = done,
                                .data = data};
    if (live->questions != NULL)
        live->questions->prev = &q->next;
    live->questions = q;
    req.slot = live->sandbox->slot;
    spawner_request(live->engine->spawner, &req, on_usage, q);
    return 0;
}

void live_questions_finish(struct live *live, bool tell)
{
    while (live->questions != NULL) {
        struct live_question asked = *live->questions;

        spawner_forget(live->engine->spawner, live->questions);
        unlink_question(live->questions);
        if (tell)
            asked.done(asked.data, NULL);
    }
}

int live_grow(struct live *live, uint64_t bytes, void (*done)(void *data, const struct err *e),
              void *data, struct err *e)
{
    if (live->config.workspace == 0)
        return err_set(e, ERR_INVALID, 0, "a session in memory cannot grow");
    if (live->state != LIVE_UP)
        return err_set(e, ERR_UNAVAILABLE, 0, "the session is not up");
    if (workspace_grow(live->engine, live->config.workspace, bytes, done, data) < 0)
        return err_set(e, ERR_INTERNAL, 0, "out of memory");
    return 0;
}

bool live_is_up(const struct live *live)
{
    return live->state == LIVE_UP;
}

uint32_t live_busy(const struct live *live)
{
    return live->nprocesses + live->ncalls;
}

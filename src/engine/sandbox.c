/* sandbox: one slot of the spawner as the server sees it.
 *
 * Runs in the server's loop.  Everything read here comes from inside a sandbox and is hostile; the
 * reader judges control frames, and output is only ever copied. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "engine/internal.h"

static void on_closed(uv_handle_t *handle)
{
    struct sandbox *sb = handle->data;

    if (--sb->handles == 0)
        free(sb);
}

static void end_poll(struct sandbox *sb, unsigned channel)
{
    uv_handle_t *poll = (uv_handle_t *)&sb->polls[channel];

    if (!uv_is_closing(poll))
        uv_close(poll, on_closed);
}

void sandbox_close_output(struct sandbox *sb)
{
    for (unsigned i = CHANNEL_OUT; i <= CHANNEL_ERR; i++) {
        end_poll(sb, i); /* before its number can be another's */
        fd_close(&sb->fds[i]);
    }
}

void sandbox_close(struct sandbox *sb)
{
    struct engine *en = sb->engine;
    struct spawn_request req = {.op = SPAWN_CLOSE, .slot = sb->slot};
    bool watched = sb->handles > 0;

    if (sb->state != SANDBOX_OPENING)
        spawner_request(en->spawner, &req, NULL, NULL);
    spawner_forget(en->spawner, sb);
    for (unsigned i = 0; i < sb->watched; i++)
        end_poll(sb, i);
    for (int i = 0; i < CHANNELS; i++)
        fd_close(&sb->fds[i]);
    if (!watched)
        free(sb);
}

void sandbox_fail(struct sandbox *sb, const struct err *e)
{
    struct pool *pool = sb->pool;

    if (sb->state == SANDBOX_TAKEN) {
        sb->taker->ops->lost(sb->taker, e);
        return;
    }
    pool_failed(pool, sb, e);
    sandbox_close(sb);
    nest_sandbox_failed(pool, e);
}

/* The pool was closed or turned off in the meantime. */
static void drop(struct sandbox *sb)
{
    struct pool *pool = sb->pool;

    pool_drop(pool, sb);
    sandbox_close(sb);
    nest_sandbox_dropped(pool);
}

static void on_ready(struct sandbox *sb)
{
    sb->state = SANDBOX_READY;
    pool_ready(sb->pool, sb);
}

/* Reads frames.  `sb` may be gone afterwards. */
static void read_control(struct sandbox *sb)
{
    struct engine *en = sb->engine;
    struct err e = {0};
    ssize_t n = read(sb->fds[CHANNEL_CONTROL], en->input, sizeof en->input);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n == 0 && sb->reader.phase == READER_DONE) {
        uv_poll_stop(&sb->polls[CHANNEL_CONTROL]); /* init has said all there was to say */
        return;
    }
    if (n <= 0)
        err_set(&e, ERR_CLOSED, 0, "the sandbox ended");
    else
        reader_feed(&sb->reader, en->input, (size_t)n, &e);
    if (e.code != ERR_NONE)
        sandbox_fail(sb, &e);
    else if (sb->state == SANDBOX_BUILDING && sb->reader.phase == READER_READY)
        on_ready(sb);
    else if (sb->state == SANDBOX_TAKEN)
        sb->taker->ops->control(sb->taker);
}

static void on_control(uv_poll_t *poll, int status, int events)
{
    struct sandbox *sb = poll->data;

    if (status == 0 && (events & UV_WRITABLE) != 0 && sb->state == SANDBOX_TAKEN) {
        sb->taker->ops->writable(sb->taker);
        return; /* the sandbox may be gone; what there is to read comes again */
    }
    read_control(sb);
}

static void on_output(uv_poll_t *poll, int status, int events)
{
    struct sandbox *sb = poll->data;

    sb->taker->ops->output(sb->taker, (int)(poll - sb->polls));
}

void sandbox_watch_output(struct sandbox *sb)
{
    sandbox_watch_channel(sb, CHANNEL_OUT, true);
    sandbox_watch_channel(sb, CHANNEL_ERR, true);
}

void sandbox_watch_channel(struct sandbox *sb, int channel, bool watched)
{
    if (watched)
        uv_poll_start(&sb->polls[channel], UV_READABLE, on_output);
    else
        uv_poll_stop(&sb->polls[channel]);
}

void sandbox_watch_control(struct sandbox *sb, bool writable)
{
    uv_poll_start(&sb->polls[CHANNEL_CONTROL], UV_READABLE | (writable ? UV_WRITABLE : 0),
                  on_control);
}

static int watch(struct sandbox *sb, struct err *e)
{
    for (int i = 0; i < CHANNELS; i++) {
        if (fd_set_nonblock(sb->fds[i], e) < 0)
            return -1;
        if (uv_poll_init(sb->engine->loop, &sb->polls[i], sb->fds[i]) < 0)
            return err_set(e, ERR_INTERNAL, 0, "watch a sandbox");
        sb->polls[i].data = sb;
        sb->watched++;
        sb->handles++;
    }
    sandbox_watch_control(sb, false);
    return 0;
}

static void on_opened(void *data, const struct spawn_reply *reply, int *fds)
{
    struct sandbox *sb = data;
    struct err e = {0};

    if (reply->error != 0) {
        err_set(&e, ERR_UNAVAILABLE, reply->error, "the spawner could not open a sandbox");
        sandbox_fail(sb, &e);
        return;
    }
    sb->slot = reply->slot;
    sb->state = SANDBOX_BUILDING;
    sb->built_us = clock_now_us();
    for (int i = 0; i < CHANNELS; i++)
        sb->fds[i] = fds[i];
    if (!sb->pool->enabled)
        drop(sb);
    else if (watch(sb, &e) < 0)
        sandbox_fail(sb, &e);
}

struct sandbox *sandbox_open(struct pool *p)
{
    struct engine *en = p->nest->engine;
    struct spawn_request req = {.op = SPAWN_OPEN, .kind = p->kind, .nest = p->nest->number};
    struct sandbox *sb = calloc(1, sizeof *sb);

    if (sb == NULL)
        return NULL;
    *sb = (struct sandbox){.engine = en, .pool = p, .fds = {-1, -1, -1}};
    spawner_request(en->spawner, &req, on_opened, sb);
    return sb;
}

/* live: the sandbox of a session, from the pool to its end.
 *
 * Runs in the server's loop.  Trusts the spawner.  What init says is hostile (wire/session.h): a
 * message that is none, about something that is not, or twice, costs it the session; nothing it
 * says may reach another one. */
#include "engine/live.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fd.h"
#include "engine/live_internal.h"
#include "wire/frame.h"

#define UP_MS        10000    /* for init to become a session's */
#define STOP_MS      10000    /* for init to end everything and write it down */
#define OPEN_US      5000000  /* a workspace that is still on its way out is waited for */
#define OPEN_MS      5        /* between two attempts */
#define CLOSE_US     60000000 /* one that is being copied is waited for when it shall be closed */
#define CLOSE_MS     20
#define ATTEMPTS_MAX 3 /* sandboxes that may be lost before they are the session's */
#define MIB          (UINT64_C(1) << 20)

static void proceed(struct live *live);
static void on_told(uv_timer_t *timer);

static struct live *live_of(struct taker *t)
{
    return (struct live *)((char *)t - offsetof(struct live, taker));
}

struct live *live_of_sandbox(const struct sandbox *sb)
{
    return live_of(sb->taker);
}

/* -- the end ----------------------------------------------------------------------------------- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct live *live = handle->data;

    if (--live->handles == 0)
        free(live);
}

static void destroy(struct live *live)
{
    *live->prev = live->next;
    if (live->next != NULL)
        live->next->prev = live->prev;
    uv_close((uv_handle_t *)&live->timer, on_handle_closed);
    uv_close((uv_handle_t *)&live->tell, on_handle_closed);
    uv_close((uv_handle_t *)&live->patience, on_handle_closed);
}

void live_tell_later(struct live *live)
{
    uv_timer_start(&live->tell, on_told, 0, 0);
}

/* Gives the sandbox back, or the place in the queue for one. */
static void drop_sandbox(struct live *live)
{
    if (live->state == LIVE_GONE)
        return;
    live->state = LIVE_GONE;
    uv_timer_stop(&live->timer);
    live_session_close(live);
    spare_finish(live);
    fd_close(&live->mount);
    if (live->sandbox != NULL)
        sandbox_close(live->sandbox);
    else
        pool_leave(live->taker.pool, &live->taker);
    live->sandbox = NULL;
    nest_leave(&live->taker);
}

static void finish(struct live *live)
{
    void (*closed)(void *data, uint64_t bytes) = live->closed;
    void *data = live->closed_data;
    uint64_t bytes = live->bytes;

    destroy(live);
    closed(data, bytes);
}

static void close_workspace(struct live *live);

static void on_close_again(uv_timer_t *timer)
{
    struct live *live = timer->data;

    live->workspace = WORKSPACE_OPEN;
    close_workspace(live);
}

static void on_workspace_closed(void *data, const struct spawn_reply *reply, int *fds)
{
    struct live *live = data;

    /* It is being copied. */
    if (reply->error == EAGAIN && clock_now_us() - live->asked_us < CLOSE_US) {
        uv_timer_start(&live->timer, on_close_again, CLOSE_MS, 0);
        return;
    }
    if (reply->error == 0)
        live->bytes = reply->bytes;
    live->workspace = WORKSPACE_CLOSED;
    finish(live);
}

/* Once the sandbox is gone, and nothing is asked about the workspace. */
static void close_workspace(struct live *live)
{
    struct spawn_request req = {.op = SPAWN_WORKSPACE_CLOSE, .layer = live->config.workspace};

    if (live->state != LIVE_GONE || !live->closing)
        return;
    if (live->workspace == WORKSPACE_CLOSED || live->engine->spawner_gone) {
        finish(live);
    } else if (live->workspace == WORKSPACE_OPEN) {
        live->workspace = WORKSPACE_CLOSING;
        spawner_request(live->engine->spawner, &req, on_workspace_closed, live);
    }
}

static void end_all(struct live *live)
{
    while (live->processes != NULL)
        process_lost(live->processes);
    while (live->calls != NULL)
        file_call_lost(live->calls);
    live_questions_finish(live, true);
}

static void announce_all(struct live *live)
{
    struct process *next;

    for (struct process *p = live->processes; p != NULL && live->state == LIVE_UP; p = next) {
        next = process_next(p);
        process_announce(p);
    }
}

/* From the loop: processes and calls have ended, then the owner is told. */
static void on_told(uv_timer_t *timer)
{
    struct live *live = timer->data;

    if (live->closing || live->is_lost)
        end_all(live);
    else
        announce_all(live);
    if (live->closing) {
        close_workspace(live);
    } else if (live->is_lost && !live->is_told) {
        live->is_told = true;
        live->config.on_lost(live->config.data, &live->error);
    }
}

void live_lose(struct live *live, const struct err *e)
{
    if (live->is_lost || live->state == LIVE_GONE)
        return;
    live->is_lost = true;
    live->error = *e;
    drop_sandbox(live);
    live_tell_later(live);
}

void live_distrust(struct live *live, const char *what)
{
    struct err e = {0};

    err_set(&e, ERR_UNAVAILABLE, 0, "the session's sandbox sent %s", what);
    live_lose(live, &e);
}

void live_stopped(struct live *live)
{
    drop_sandbox(live);
    live_tell_later(live);
}

static void on_stop_overdue(uv_timer_t *timer)
{
    live_stopped(timer->data);
}

void live_close(struct live *live, void (*closed)(void *data, uint64_t bytes), void *data)
{
    struct session_head stop = {.op = SESSION_STOP};

    assert(!live->closing);
    live->closing = true;
    live->asked_us = clock_now_us();
    live->closed = closed;
    live->closed_data = data;
    live_tell_later(live);
    if (live->state == LIVE_UP && live->config.workspace != 0 &&
        live_send(live, &stop, sizeof stop, NULL, 0, NULL) == 0) {
        live->state = LIVE_STOPPING;
        uv_timer_start(&live->timer, on_stop_overdue, STOP_MS, 0);
    } else {
        drop_sandbox(live);
    }
}

/* -- losing the sandbox ------------------------------------------------------------------------ */

static void on_post_mortem(void *data, const struct spawn_reply *reply, int *fds)
{
    struct sandbox *sb = data;
    struct live *live = live_of_sandbox(sb);
    struct err e = live->error;

    if (reply->error == 0 && reply->oom_kills > 0)
        err_set(&e, ERR_UNAVAILABLE, ENOMEM, "the session ran out of memory");
    live_lose(live, &e);
}

static void on_up_overdue(uv_timer_t *timer)
{
    struct err e = {0};

    err_set(&e, ERR_UNAVAILABLE, 0, "the session's sandbox was not ready in time");
    live_lose(timer->data, &e);
}

/* Nothing was in it yet: another one will do. */
static void try_another(struct live *live)
{
    if (live->state == LIVE_GREETED || live->waits_for_mount)
        uv_timer_stop(&live->timer); /* else it may be the workspace's */
    live->waits_for_mount = false;
    live_session_close(live);
    fd_close(&live->mount);
    sandbox_close(live->sandbox);
    live->sandbox = NULL;
    live->state = LIVE_MAKING;
    nest_take(&live->taker, SPAWN_COLD, live->config.network);
}

void live_sandbox_ended(struct live *live, const struct err *e)
{
    struct spawn_request req = {.op = SPAWN_USAGE, .slot = live->sandbox->slot};

    uv_poll_stop(&live->sandbox->polls[CHANNEL_CONTROL]);
    if (live->state == LIVE_STOPPING) {
        live_stopped(live);
    } else if (live->state < LIVE_UP && ++live->attempts < ATTEMPTS_MAX) {
        try_another(live);
    } else if (live->state <= LIVE_UP) {
        /* Perhaps the kernel took init for want of memory: the counters know. */
        live->state = LIVE_DYING;
        live->error = *e;
        live_session_close(live);
        uv_timer_start(&live->timer, on_up_overdue, UP_MS, 0);
        spawner_request(live->engine->spawner, &req, on_post_mortem, live->sandbox);
    }
}

static void on_lost(struct taker *t, const struct err *e)
{
    live_sandbox_ended(live_of(t), e);
}

static void on_unserved(struct taker *t, const char *why)
{
    struct live *live = live_of(t);
    struct err e = {0};

    err_set(&e, t->pool->errnum == EAGAIN ? ERR_LIMIT : ERR_UNAVAILABLE, 0, "%s",
            why[0] != '\0' ? why : "no sandbox could be made in time");
    live_lose(live, &e);
}

static void on_cancel(struct taker *t)
{
    struct live *live = live_of(t);
    struct err e = {0};

    err_set(&e, ERR_UNAVAILABLE, 0, "the session's environment was closed");
    if (live->closing)
        live_stopped(live);
    live_lose(live, &e);
}

/* After FRAME_SESSION init has nothing to say but that it ends. */
static void on_control(struct taker *t)
{
}

static void on_output(struct taker *t, int channel)
{
}

/* -- the workspace ----------------------------------------------------------------------------- */

static void ask_workspace(struct live *live);

static void on_retry(uv_timer_t *timer)
{
    ask_workspace(timer->data);
}

static void on_workspace(void *data, const struct spawn_reply *reply, int *fds)
{
    struct live *live = data;
    struct err e = {0};

    live->workspace = reply->error == 0 ? WORKSPACE_OPEN : WORKSPACE_CLOSED;
    if (live->state == LIVE_GONE) {
        close_workspace(live);
    } else if (reply->error == EAGAIN && clock_now_us() - live->asked_us < OPEN_US) {
        uv_timer_start(&live->timer, on_retry, OPEN_MS, 0);
    } else if (reply->error != 0) {
        spawner_reply_error(&e, reply, "open the workspace");
        if (reply->error == ENOENT)
            e.code = ERR_NOT_FOUND;
        else if (reply->error == EEXIST)
            e.code = ERR_EXISTS;
        live_lose(live, &e);
    } else {
        proceed(live);
    }
}

static void ask_workspace(struct live *live)
{
    struct spawn_request req = {.op = live->config.is_new ? SPAWN_WORKSPACE_MAKE
                                                          : SPAWN_WORKSPACE_OPEN,
                                .layer = live->config.workspace,
                                .bytes = live->config.bytes};

    live->workspace = WORKSPACE_ASKED;
    spawner_request(live->engine->spawner, &req, on_workspace, live);
}

/* -- the start --------------------------------------------------------------------------------- */

/* MiB of the storage in memory; 0: the default. */
static uint32_t storage_mb(const struct live *live)
{
    uint64_t mb = (live->config.bytes + MIB - 1) / MIB;

    if (live->config.workspace != 0)
        return live->config.limits.workspace_mb;
    return mb > UINT32_MAX ? UINT32_MAX : (uint32_t)mb;
}

static void on_start(void *data, const struct spawn_reply *reply, int *fds)
{
    struct sandbox *sb = data;
    struct live *live = live_of_sandbox(sb);
    bool has_network = live->config.network != SPAWN_NETWORK_NONE;
    struct err e = {0};

    if (reply->error != 0) {
        spawner_reply_error(&e, reply, has_network ? "attach it" : "put the limits in force");
        if (has_network)
            err_prefix(&e, "network");
        live_lose(live, &e);
    } else if (live->waits_for_start) {
        live->waits_for_start = false;
        proceed(live);
    }
}

static bool differs(uint32_t wanted, uint32_t built)
{
    return wanted != 0 && wanted != built;
}

/* Puts the limits in force and starts the counters. */
static void ask_start(struct live *live)
{
    const struct run_limits *l = &live->config.limits, *d = &live->engine->config.limits;
    struct spawn_request req = {
        .op = SPAWN_START,
        .slot = live->sandbox->slot,
        .network = live->config.network,
        .limits = {l->memory_mb, l->cpu_milli, l->processes, storage_mb(live)}};

    /* The defaults are in force already. */
    live->waits_for_start =
        live->config.network != SPAWN_NETWORK_NONE || differs(l->memory_mb, d->memory_mb) ||
        differs(l->cpu_milli, d->cpu_milli) || differs(l->processes, d->processes);
    spawner_request(live->engine->spawner, &req, on_start, live->sandbox);
}

static void attach(struct live *live);

static void on_attach_again(uv_timer_t *timer)
{
    attach(timer->data);
}

static void on_attached(void *data, const struct spawn_reply *reply, int *fds)
{
    struct sandbox *sb = data;
    struct live *live = live_of_sandbox(sb);
    struct err e = {0};

    if (reply->error == EAGAIN && clock_now_us() - live->asked_us < OPEN_US) {
        /* Its init may be ready before the nest has told the spawner. */
        uv_timer_start(&live->timer, on_attach_again, OPEN_MS, 0);
        return;
    }
    live->waits_for_mount = false;
    if (reply->error == ESRCH) {
        err_set(&e, ERR_CLOSED, 0, "the sandbox ended");
        live_sandbox_ended(live, &e);
        return;
    }
    if (reply->error != 0) {
        spawner_reply_error(&e, reply, "attach the workspace");
        live_lose(live, &e);
        return;
    }
    live->mount = fds[0];
    proceed(live);
}

static void attach(struct live *live)
{
    struct spawn_request req = {
        .op = SPAWN_WORKSPACE_ATTACH, .slot = live->sandbox->slot, .layer = live->config.workspace};

    spawner_request(live->engine->spawner, &req, on_attached, live->sandbox);
}

static int greet(struct live *live, struct err *e)
{
    uint32_t mb = storage_mb(live);
    struct frame_session session = {.is_durable = live->config.workspace != 0};
    char frame[FRAME_HEADER + sizeof session];
    int near = -1, fds[2] = {-1, live->mount};
    int r;

    if (differs(mb, live->engine->config.limits.workspace_mb))
        session.workspace_mb = mb;
    if (stream_pair(SOCK_SEQPACKET, &near, &fds[0], e) < 0)
        return -1;
    frame_header(frame, FRAME_SESSION, sizeof session);
    memcpy(frame + FRAME_HEADER, &session, sizeof session);
    r = fd_send(live->sandbox->fds[CHANNEL_CONTROL], frame, sizeof frame, fds,
                live->mount >= 0 ? 2 : 1, e);
    fd_close(&fds[0]);
    fd_close(&live->mount);
    if (live_session_open(live, near, e) < 0)
        return -1;
    return r;
}

/* Whatever can be done next on the way up. */
static void proceed(struct live *live)
{
    struct err e = {0};

    if (live->state != LIVE_MAKING || live->sandbox == NULL || live->waits_for_start ||
        live->waits_for_mount)
        return;
    if (live->config.workspace != 0 && live->workspace != WORKSPACE_OPEN)
        return;
    if (live->config.workspace != 0 && live->mount < 0) {
        live->waits_for_mount = true;
        live->asked_us = clock_now_us();
        attach(live);
        return;
    }
    live->state = LIVE_GREETED;
    uv_timer_start(&live->timer, on_up_overdue, UP_MS, 0);
    if (greet(live, &e) < 0)
        live_sandbox_ended(live, &e);
}

static void on_begin(struct taker *t, struct sandbox *sb)
{
    struct live *live = live_of(t);

    sb->state = SANDBOX_TAKEN;
    sb->taker = t;
    live->sandbox = sb;
    live->waits_for_mount = false;
    sandbox_close_output(sb);
    ask_start(live);
    proceed(live);
}

static const struct taker_ops ops = {.begin = on_begin,
                                     .unserved = on_unserved,
                                     .cancel = on_cancel,
                                     .control = on_control,
                                     .writable = on_control,
                                     .output = on_output,
                                     .lost = on_lost};

static struct live *create(struct engine *en, const struct live_config *config)
{
    struct live *live = calloc(1, sizeof *live);

    if (live == NULL)
        return NULL;
    *live = (struct live){.engine = en,
                          .config = *config,
                          .next = en->lives,
                          .prev = &en->lives,
                          .taker = {.ops = &ops},
                          .mount = -1,
                          .handles = 3};
    live->unsent_tail = &live->unsent;
    if (en->lives != NULL)
        en->lives->prev = &live->next;
    en->lives = live;
    uv_timer_init(en->loop, &live->timer);
    uv_timer_init(en->loop, &live->tell);
    uv_timer_init(en->loop, &live->patience);
    live->timer.data = live->tell.data = live->patience.data = live;
    spare_init(live);
    return live;
}

struct live *live_open(struct engine *en, const struct live_config *config, struct err *e)
{
    struct nest *nest = config->nest != NULL ? config->nest : en->nests[0];
    struct live *live;
    struct err gone = {0};

    if (config->network > nest_highest_network(nest)) {
        err_set(e, ERR_INVALID, 0, "network: more than this environment may have");
        return NULL;
    }
    live = create(en, config);
    if (live == NULL) {
        err_set(e, ERR_INTERNAL, 0, "out of memory");
        return NULL;
    }
    live->is_image = nest->number != 0;
    live->asked_us = clock_now_us();
    live->taker.pool = &nest->pools[SPAWN_COLD];
    nest_enter(nest, &live->taker);
    if (en->spawner_gone) {
        err_set(&gone, ERR_UNAVAILABLE, 0, "the spawner is gone");
        live_lose(live, &gone);
        return live;
    }
    if (config->workspace != 0)
        ask_workspace(live);
    nest_take(&live->taker, SPAWN_COLD, config->network);
    return live;
}

/* -- the engine's end -------------------------------------------------------------------------- */

void lives_spawner_gone(struct engine *en)
{
    struct err e = {0};
    struct live *next;

    err_set(&e, ERR_UNAVAILABLE, 0, "the spawner is gone");
    for (struct live *live = en->lives; live != NULL; live = next) {
        next = live->next;
        if (live->closing)
            drop_sandbox(live);
        live_lose(live, &e);
        live_tell_later(live);
    }
}

void lives_finish(struct engine *en)
{
    while (en->lives != NULL) {
        struct live *live = en->lives;

        drop_sandbox(live);
        while (live->processes != NULL)
            process_drop(live->processes);
        while (live->calls != NULL)
            file_call_drop(live->calls);
        live_questions_finish(live, false);
        spawner_forget(en->spawner, live);
        destroy(live);
    }
}

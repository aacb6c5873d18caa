/* running: one run from its sandbox to its result.
 *
 * Runs in the server's loop.  The verdict comes from init's frames and the spawner's counters; the
 * run's own output is copied, bounded, and never interpreted here (R48, R54). */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "engine/internal.h"
#include "engine/language.h"

#define FEED_MS       10000 /* for handing a job over */
#define GRACE_MS      400   /* init ends a run at its deadline; this much later we do */
#define SAMPLE_MAX_US 5000  /* counters this much older than the verdict still tell the truth */
#define OVERDUE_MS    200   /* for the counters of a run whose init is silent */
#define COLLECT_MS    10000 /* for the files of a run that has ended */
#define JOB_OUTPUT    8192 /* bytes read at once from a job of ours, which may be all short lines */
#define DISCARD_MAX   (64ull << 20) /* output beyond its limit that a run may still waste */
#define BOTH_OUTPUTS  (1u << CHANNEL_OUT | 1u << CHANNEL_ERR)
#define ATTEMPTS_MAX  3 /* sandboxes that may be lost before the job was handed over */
#define NAMESPACES    "user,pid,mount,net,ipc,uts,cgroup"

static void on_timer_closed(uv_handle_t *handle)
{
    struct run *run = handle->data;

    run_spec_destroy(run->spec);
    feed_finish(&run->feed);
    free(run);
}

/* Tells the result.  Only from a timer, so that no caller of ours is told while it calls us. */
static void tell(uv_timer_t *timer)
{
    struct run *run = timer->data;

    run->events.on_done(run->events.data, &run->result);
    uv_close((uv_handle_t *)&run->timer, on_timer_closed);
}

static void set_failed(struct run *run, const char *why)
{
    run->result.outcome = RUN_FAILED;
    free(run->result.message);
    run->result.message = strdup(why);
}

/* The end, whatever it was: the sandbox goes, the result is told. */
static void finish(struct run *run)
{
    if (run->finished)
        return;
    run->finished = true;
    if (run->is_spoilt)
        set_failed(run, "output was lost: the server is out of memory");
    if (run->sandbox != NULL) {
        run->result.wall_us = clock_now_us() - run->taken_us;
        spawner_forget(run->engine->spawner, run);
        sandbox_close(run->sandbox);
        run->sandbox = NULL;
    }
    run->engine->busy--;
    uv_timer_stop(&run->timer);
    engine_refill_soon(run->engine);
    nest_leave(&run->taker);
    tell(&run->timer);
}

static void on_deferred(uv_timer_t *timer)
{
    finish(timer->data);
}

static struct run *run_of(struct taker *t)
{
    return (struct run *)((char *)t - offsetof(struct run, taker));
}

static void on_unserved(struct taker *t, const char *why)
{
    struct run *run = run_of(t);

    set_failed(run, why[0] != '\0' ? why : "no sandbox could be made in time");
    uv_timer_start(&run->timer, on_deferred, 0, 0);
}

/* -- output ------------------------------------------------------------------------------------ */

/* Keeps what the limit allows.  Returns how much was kept. */
static size_t keep_output(struct run *run, int channel, const char *data, size_t len)
{
    struct buf *b = channel == CHANNEL_OUT ? &run->result.out : &run->result.err;
    bool *truncated =
        channel == CHANNEL_OUT ? &run->result.out_truncated : &run->result.err_truncated;
    size_t room = run->output_max - b->len;
    size_t n = len < room ? len : room;

    if (buf_append(b, data, n) < 0) {
        run->is_spoilt = true;
        return 0;
    }
    if (n < len) {
        *truncated = true;
        run->result.limits_hit |= RUN_HIT_OUTPUT;
        run->discarded += len - n;
    }
    return n;
}

static void sample_usage(struct run *run);
static void on_overdue(uv_timer_t *timer);

/* A program that ends closes its output just before its memory is taken down. */
static void on_closed_output(struct run *run, int channel)
{
    sandbox_watch_channel(run->sandbox, channel, false);
    run->closed_outputs |= 1u << channel;
    if (run->closed_outputs == BOTH_OUTPUTS && run->sandbox->reader.phase < READER_ENDED)
        sample_usage(run);
}

/* Reads once; false when there is nothing (more) to read. */
static bool read_output(struct run *run, int channel)
{
    struct engine *en = run->engine;
    const struct run_spec *spec = run->spec;
    size_t cap = spec->program != NULL && !spec->is_stream ? JOB_OUTPUT : sizeof en->input, kept;
    ssize_t n = read(run->sandbox->fds[channel], en->input, cap);

    if (n < 0 && errno == EINTR)
        return true;
    if (n <= 0) {
        run->is_spoilt |= n < 0 && errno != EAGAIN;
        if (n == 0)
            on_closed_output(run, channel);
        return false;
    }
    /* What a job of ours prints is for whoever started it, as it comes, and nothing of it is kept.
     */
    if (spec->program != NULL)
        kept = (size_t)n;
    else
        kept = keep_output(run, channel, en->input, (size_t)n);
    if (spec->program != NULL && !spec->is_stream)
        run->discarded += kept;
    if (kept > 0 && run->events.on_output != NULL)
        run->events.on_output(run->events.data, channel, en->input, kept);
    return (size_t)n == cap;
}

static void end_flood(struct run *run)
{
    run->result.outcome = RUN_SIGNALED;
    run->result.signal = SIGKILL;
    run->result.limits_hit |= RUN_HIT_OUTPUT;
    finish(run);
}

static void on_output(struct taker *t, int channel)
{
    struct run *run = run_of(t);

    if (read_output(run, channel) && run->spec->program == NULL)
        read_output(run, channel); /* twice 64 KiB, the size of the pipe, then others */
    if (run->discarded > DISCARD_MAX && run->sandbox->reader.phase < READER_ENDED)
        end_flood(run);
}

/* -- the verdict ------------------------------------------------------------------------------- */

static void keep_usage(struct run *run, const struct spawn_reply *reply)
{
    run->result.cpu_us = reply->cpu_us;
    run->result.memory_peak = reply->memory_peak;
    if (reply->oom_kills > 0)
        run->result.limits_hit |= RUN_HIT_MEMORY;
    if (reply->pids_hits > 0)
        run->result.limits_hit |= RUN_HIT_PROCESSES;
}

static void conclude(struct run *run);

static void on_usage(void *data, const struct spawn_reply *reply, int *fds)
{
    struct run *run = data;

    keep_usage(run, reply);
    run->usage_known = true;
    conclude(run);
}

static void on_sample(void *data, const struct spawn_reply *reply, int *fds)
{
    struct run *run = data;

    if (!run->usage_known && !run->usage_asked && reply->error == 0) {
        keep_usage(run, reply);
        run->sampled_us = clock_now_us();
    }
}

static void request_usage(struct run *run, spawner_answer *answer)
{
    struct spawn_request req = {.op = SPAWN_USAGE, .slot = run->sandbox->slot};

    spawner_request(run->engine->spawner, &req, answer, run);
}

/* Init did not do its part in time: stopped, starved, or taken over.  The counters are read once
 * more, then the spawner ends it. */
static void on_overdue_usage(void *data, const struct spawn_reply *reply, int *fds)
{
    struct run *run = data;

    keep_usage(run, reply);
    for (int channel = CHANNEL_OUT; channel <= CHANNEL_ERR; channel++)
        read_output(run, channel); /* once: somebody may still be writing */
    finish(run);
}

static bool is_handed_over(const struct run *run)
{
    return run->feed.niov > 0 && run->feed.at == run->feed.niov;
}

static void on_overdue(uv_timer_t *timer)
{
    struct run *run = timer->data;

    log_event(LOG_WARNING, "run.overdue", LOG_STR("id", run->spec->id));
    if (!is_handed_over(run)) { /* it was never started, so no limit of its own was reached */
        set_failed(run, "the sandbox did not take its job in time");
        finish(run);
        return;
    }
    if (run->sandbox->reader.phase >= READER_ENDED || run->usage_asked) {
        reader_cut(&run->sandbox->reader);
        finish(run);
        return;
    }
    run->result.outcome = RUN_TIMEOUT;
    run->result.signal = SIGKILL;
    run->result.limits_hit |= RUN_HIT_TIME;
    run->usage_asked = true;
    uv_timer_start(&run->timer, on_overdue, OVERDUE_MS, 0);
    request_usage(run, on_overdue_usage);
}

/* The counters of a run that seems to be ending, so that its verdict need not wait for them. */
static void sample_usage(struct run *run)
{
    request_usage(run, on_sample);
}

/* Whether a sample is as good as asking again: the run has ended by itself, and at once. */
static bool sample_counts(const struct run *run)
{
    return run->sampled_us != 0 && run->result.outcome == RUN_EXITED &&
           clock_now_us() - run->sampled_us < SAMPLE_MAX_US;
}

static void ask_usage(struct run *run)
{
    if (run->usage_asked)
        return;
    run->usage_asked = true;
    uv_timer_start(&run->timer, on_overdue, COLLECT_MS, 0);
    if (sample_counts(run))
        run->usage_known = true;
    else
        request_usage(run, on_usage);
}

/* Everybody who could write is dead: what the pipes hold is all there will be. */
static void drain_output(struct run *run)
{
    for (int channel = CHANNEL_OUT; channel <= CHANNEL_ERR; channel++) {
        while (read_output(run, channel))
            ;
    }
}

/* What the verdict still lacks is asked for; then the end. */
static void conclude(struct run *run)
{
    enum reader_phase phase = run->sandbox->reader.phase;

    if (phase < READER_ENDED)
        return;
    if (!run->usage_known && run->result.outcome != RUN_BAD_FILE) {
        ask_usage(run);
        if (!run->usage_known)
            return;
    }
    if (phase != READER_DONE)
        return;
    drain_output(run);
    finish(run);
}

static void on_control(struct taker *t)
{
    conclude(run_of(t));
}

/* -- losing a sandbox -------------------------------------------------------------------------- */

static void on_post_mortem(void *data, const struct spawn_reply *reply, int *fds)
{
    struct run *run = data;

    reader_cut(&run->sandbox->reader);
    run->result.cpu_us = reply->cpu_us;
    run->result.memory_peak = reply->memory_peak;
    if (reply->error == 0 && reply->oom_kills > 0) {
        run->result.outcome = RUN_SIGNALED;
        run->result.signal = SIGKILL;
        run->result.limits_hit |= RUN_HIT_MEMORY;
    }
    drain_output(run);
    finish(run);
}

static bool wants_warm(const struct run_spec *spec)
{
    return spec->program == NULL && !spec->fresh && spec->language->warm;
}

static void take(struct run *run)
{
    nest_take(&run->taker, wants_warm(run->spec) ? SPAWN_WARM : SPAWN_COLD, run->spec->network);
}

static void try_another(struct run *run)
{
    struct sandbox *sb = run->sandbox;

    spawner_forget(run->engine->spawner, run);
    uv_timer_stop(&run->timer);
    feed_finish(&run->feed);
    run->sandbox = NULL;
    run->usage_asked = false;
    run->sampled_us = 0;
    run->closed_outputs = 0;
    sandbox_close(sb);
    take(run);
}

static void lose(struct run *run, const struct err *e)
{
    struct spawn_request req = {.op = SPAWN_USAGE, .slot = run->sandbox->slot};

    if (run->finished)
        return;
    for (int i = 0; i < CHANNELS; i++)
        uv_poll_stop(&run->sandbox->polls[i]);
    if (!is_handed_over(run) && !run->cancelled && ++run->attempts < ATTEMPTS_MAX) {
        try_another(run);
        return;
    }
    /* Perhaps the kernel took init for want of memory: the counters know. */
    set_failed(run, e->text);
    spawner_forget(run->engine->spawner, run);
    spawner_request(run->engine->spawner, &req, on_post_mortem, run);
}

static void on_lost(struct taker *t, const struct err *e)
{
    lose(run_of(t), e);
}

/* -- the start --------------------------------------------------------------------------------- */

/* What has been handed over need not be held for the length of the run. */
static void release_inputs(struct run *run)
{
    struct run_spec *spec = run->spec;

    struct run_file code = {.data = spec->code}, input = {.data = spec->stdin_data};

    for (size_t i = 0; i < spec->nfiles; i++)
        run_spec_free_file(spec, &spec->files[i]);
    run_spec_free_file(spec, &code);
    run_spec_free_file(spec, &input);
    free(spec->arena);
    spec->nfiles = 0;
    spec->code = spec->stdin_data = spec->arena = NULL;
}

static void feed(struct run *run)
{
    struct err e = {0};
    int r = feed_write(&run->feed, run->sandbox->fds[CHANNEL_CONTROL], &e);

    if (r < 0) {
        /* Init may have said why before it went: what it sent is still there to be read. */
        sandbox_watch_control(run->sandbox, false);
        return;
    }
    sandbox_watch_control(run->sandbox, r == 0);
    if (r == 0)
        return;
    release_inputs(run);
    uv_timer_start(&run->timer, on_overdue, (uint64_t)run->spec->timeout_ms + GRACE_MS, 0);
    if (run->events.on_start != NULL)
        run->events.on_start(run->events.data);
}

static void on_writable(struct taker *t)
{
    feed(run_of(t));
}

static void on_start(void *data, const struct spawn_reply *reply, int *fds)
{
    struct run *run = data;
    bool has_network = run->spec->network != SPAWN_NETWORK_NONE;
    struct err e = {0};

    if (reply->error != 0) {
        spawner_reply_error(&e, reply, has_network ? "attach it" : "put the limits in force");
        if (has_network)
            err_prefix(&e, "network");
        run->attempts = ATTEMPTS_MAX;
        lose(run, &e);
    } else if (run->waits_for_start) {
        run->waits_for_start = false;
        feed(run);
    }
}

/* The defaults are in force already; anything else must be before the run starts. */
static bool needs_start(const struct run *run)
{
    const struct run_limits *l = &run->spec->limits;
    const struct run_limits *d = &run->engine->config.limits;

    return run->spec->network != SPAWN_NETWORK_NONE ||
           (l->memory_mb != 0 && l->memory_mb != d->memory_mb) ||
           (l->cpu_milli != 0 && l->cpu_milli != d->cpu_milli) ||
           (l->processes != 0 && l->processes != d->processes);
}

/* Puts the limits in force, gives the run its share of the CPU and its network, and starts its
 * counters. */
static void ask_start(struct run *run)
{
    const struct run_limits *l = &run->spec->limits;
    struct spawn_request req = {
        .op = SPAWN_START,
        .slot = run->sandbox->slot,
        .network = run->spec->network,
        .limits = {l->memory_mb, l->cpu_milli, l->processes, l->workspace_mb}};

    spawner_request(run->engine->spawner, &req, on_start, run);
}

static void describe_isolation(struct run *run)
{
    struct engine *en = run->engine;

    run->result.isolation = (struct run_isolation){
        .cgroup = spawner_cgroup_version(en->spawner) == 2 ? "v2" : "v1",
        .landlock_abi = en->config.landlock_abi,
        .warm = run->sandbox->pool->kind == SPAWN_WARM,
        .network = network_name(run->spec->network),
        .namespaces = NAMESPACES,
        .seccomp = run->taker.nest->kind == SPAWN_NEST_RUN ? "default" : "build",
    };
}

static void on_begin(struct taker *t, struct sandbox *sb)
{
    struct run *run = run_of(t);
    struct feed_config config = {.work_dir = run->engine->config.work_dir,
                                 .warm = sb->pool->kind == SPAWN_WARM,
                                 .is_image = run->taker.nest->number != 0,
                                 .workspace_mb = run->engine->config.limits.workspace_mb};
    struct err e = {0};

    sb->state = SANDBOX_TAKEN;
    sb->taker = t;
    sb->reader.result = &run->result;
    sb->reader.max_file_size = run->spec->max_file_size;
    run->sandbox = sb;
    run->taken_us = clock_now_us();
    describe_isolation(run);
    if (feed_init(&run->feed, run->spec, &config, &e) < 0) {
        set_failed(run, e.text);
        uv_timer_start(&run->timer, on_deferred, 0, 0);
        return;
    }
    uv_timer_start(&run->timer, on_overdue, FEED_MS, 0);
    sandbox_watch_output(sb);
    /* Asked first in any case: the counters must start before the run does. */
    run->waits_for_start = needs_start(run);
    ask_start(run);
    if (!run->waits_for_start)
        feed(run);
}

static void on_cancel(struct taker *t)
{
    run_cancel(run_of(t));
}

static const struct taker_ops run_ops = {.begin = on_begin,
                                         .unserved = on_unserved,
                                         .cancel = on_cancel,
                                         .control = on_control,
                                         .writable = on_writable,
                                         .output = on_output,
                                         .lost = on_lost};

/* -- from outside ------------------------------------------------------------------------------ */

struct run *engine_run(struct engine *en, struct run_spec *spec, const struct run_events *events,
                       struct err *e)
{
    struct nest *nest = spec->nest != NULL ? spec->nest : en->nests[0];
    uint32_t kb =
        spec->limits.output_kb != 0 ? spec->limits.output_kb : en->config.limits.output_kb;
    struct run *run = calloc(1, sizeof *run);

    if (run == NULL) {
        run_spec_destroy(spec);
        err_set(e, ERR_INTERNAL, 0, "out of memory");
        return NULL;
    }
    *run = (struct run){.engine = en, .spec = spec, .events = *events};
    run->output_max = (size_t)kb << 10;
    buf_init(&run->result.out, run->output_max);
    buf_init(&run->result.err, run->output_max);
    uv_timer_init(en->loop, &run->timer);
    run->timer.data = run;
    en->busy++;
    run->taker.ops = &run_ops;
    nest_enter(nest, &run->taker);
    if (en->spawner_gone)
        on_unserved(&run->taker, "the spawner is gone");
    else
        take(run);
    return run;
}

void run_cancel(struct run *run)
{
    run->cancelled = true;
    run->result.outcome = RUN_CANCELLED;
    if (run->sandbox == NULL && run->taker.pool != NULL)
        pool_leave(run->taker.pool, &run->taker);
    uv_timer_start(&run->timer, on_deferred, 0, 0);
}

void run_pause(struct run *run, bool paused)
{
    if (run->finished || run->sandbox == NULL || run->is_paused == paused)
        return;
    run->is_paused = paused;
    if ((run->closed_outputs & 1u << CHANNEL_OUT) == 0)
        sandbox_watch_channel(run->sandbox, CHANNEL_OUT, !paused);
}

/* build: one build, from the queue to the record.
 *
 *   queued -> base (resolve, make what is missing) -> setup (an equal layer, or the script) ->
 * ready
 *
 * Runs in the server, on the loop.  A step that fails fails the build with words for its owner; the
 * layer that was begun is removed; whatever the script did stays in its sandbox. */
#include "service/build.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "service/build_log.h"
#include "service/build_task.h"
#include "service/environment_internal.h"
#include "service/image_job.h"
#include "service/script_lint.h"

#define SETUP    "/opt/dunlin/build/setup"
#define SCRIPT   "setup.sh"
#define HOW_TO   "bring an image yourself with: dunlin image import FILE NAME"
#define TROUBLES 4000 /* bytes of what is said about bases that cannot be had */

struct build {
    struct environment_service *service;
    struct environment *environment; /* NULL: deleted */
    struct build *next;
    bool fresh, started;
    struct resolve_answer plan;
    size_t candidate; /* that is being tried */
    struct buf troubles;
    struct image_base base; /* pinned when layer is not 0 */
    struct image_wait *wait;
    struct build_task *task;
    uint64_t target; /* the layer that is being made, 0: none */
    struct build_log log;
    uint64_t started_us;
    char *reason; /* of the failure, while what was begun is being removed */
};

/* -- the end ----------------------------------------------------------------------------------- */

static void unlink_build(struct build *b)
{
    struct build **at = &b->service->builds;

    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
}

__attribute__((format(printf, 2, 3))) static void note(struct build *b, const char *format, ...)
{
    char text[500];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    build_log_note(&b->log, "%s", text);
    environment_tell_followers(b->environment, false);
}

/* Nothing of it is left but what the record says. */
static void end(struct build *b)
{
    struct environment_service *s = b->service;
    struct environment *env = b->environment;

    build_log_close(&b->log);
    unlink_build(b);
    if (b->started)
        s->working--;
    layer_unpin(s, b->base.layer);
    if (env != NULL) {
        env->build = NULL;
        environment_tell_waiters(env);
        environment_tell_followers(env, true);
    }
    buf_finish(&b->troubles);
    free(b->reason);
    free(b);
    environment_soon(s);
}

static void record_failure(struct build *b, const char *words)
{
    struct environment *env = b->environment;
    struct environment_record *r = &env->record;
    struct err e = {0};

    r->status = r->layer != 0 ? ENVIRONMENT_READY : ENVIRONMENT_FAILED;
    r->build_seconds = (double)(clock_now_us() - b->started_us) / 1e6;
    environment_set_text(&r->error, words, NULL);
    if (store_environment_update(b->service->store, r, &e) < 0)
        log_event(LOG_ERROR, "environment.not_saved", LOG_STR("name", r->name),
                  LOG_STR("reason", e.text));
    log_event(LOG_WARNING, "build.failed", LOG_STR("name", r->name),
              LOG_REAL("seconds", r->build_seconds));
}

/* What the record says: the reason, and of a script the last lines. */
static void tell_failure(struct build *b)
{
    const char *reason = b->reason != NULL ? b->reason : "out of memory";
    const char *last = build_log_last(&b->log);
    _cleanup_buf_ struct buf words;
    int r = 0;

    buf_init(&words, 0);
    if (b->environment->record.layer != 0)
        r |= buf_append_str(&words, "the rebuild failed, the former state serves: ");
    r |= buf_append_str(&words, reason);
    if (last[0] != '\0')
        r |= buf_append_str(&words, "\n") | buf_append_str(&words, last);
    r |= buf_append(&words, "", 1);
    note(b, "failed: %s", reason);
    record_failure(b, r == 0 ? words.data : reason);
}

static void finish_failure(void *data)
{
    struct build *b = data;

    if (b->environment != NULL)
        tell_failure(b);
    end(b);
}

/* The build has failed.  It is told when the room that it took is free again, so that whoever
 * hears of it can start the next. */
static void fail(struct build *b, const char *reason)
{
    uint64_t target = b->target;

    b->reason = strdup(reason);
    b->target = 0;
    if (target == 0 || !layer_discard(b->service, target, finish_failure, b))
        finish_failure(b);
}

static void fail_err(struct build *b, const struct err *e)
{
    fail(b, e->text);
}

/* What the record becomes when there is a layer. */
struct outcome {
    uint64_t layer, bytes;
    const char *packages, *python;
};

static int fill_record(const struct build *b, const struct outcome *o, struct environment_record *r,
                       struct err *e)
{
    char now[32];

    clock_format_utc(clock_wall_us(), now);
    r->status = ENVIRONMENT_READY;
    r->layer = o->layer;
    r->base_layer = b->base.layer;
    r->bytes = o->bytes;
    r->build_seconds = (double)(clock_now_us() - b->started_us) / 1e6;
    return environment_set_text(&r->error, "", e) < 0 ||
                   environment_set_text(&r->base, b->base.text, e) < 0 ||
                   environment_set_text(&r->digest, b->base.digest, e) < 0 ||
                   environment_set_text(&r->packages, o->packages, e) < 0 ||
                   environment_set_text(&r->actual_python, o->python, e) < 0 ||
                   environment_set_text(&r->built_at, now, e) < 0
               ? -1
               : 0;
}

/* Writes the record, and the layer's if it is a new one, at one go. */
static int record_success(struct build *b, const struct outcome *o, struct err *e)
{
    struct environment *env = b->environment;
    struct environment_record changed = {0};
    struct store *store = b->service->store;

    if (environment_record_copy(&changed, &env->record, e) < 0 ||
        fill_record(b, o, &changed, e) < 0 ||
        (b->target != 0 ? store_environment_built(store, &changed, e)
                        : store_environment_update(store, &changed, e)) < 0) {
        environment_record_finish(&changed);
        return -1;
    }
    environment_record_finish(&env->record);
    env->record = changed;
    return 0;
}

static void succeed(struct build *b, const struct outcome *o)
{
    struct environment *env = b->environment;
    struct err e = {0};

    if (record_success(b, o, &e) < 0) {
        fail_err(b, &e);
        return;
    }
    b->target = 0;
    if (env->nest != NULL) /* of the former layer */
        environment_nest_retire(env->nest);
    note(b, "ready: %llu bytes, %.2f s", (unsigned long long)o->bytes, env->record.build_seconds);
    log_event(LOG_INFO, "build.ready", LOG_STR("name", env->record.name),
              LOG_STR("base", b->base.text), LOG_INT("layer", (int64_t)o->layer),
              LOG_INT("bytes", (int64_t)o->bytes), LOG_REAL("seconds", env->record.build_seconds));
    end(b);
}

/* -- setup ------------------------------------------------------------------------------------- */

static void on_line(void *data, int stream, const char *line, size_t len)
{
    struct build *b = data;

    if (b->environment != NULL)
        build_log_output(&b->log, line, len);
}

static void on_pause(void *data)
{
    struct build *b = data;

    if (b->environment == NULL)
        return;
    build_log_flush(&b->log);
    environment_tell_followers(b->environment, false);
}

static void on_task_done(void *data, struct build_task_result *r)
{
    struct build *b = data;

    b->task = NULL;
    if (!r->ok || b->environment == NULL) {
        fail(b, r->reason);
        return;
    }
    if (r->facts.python[0] != '\0')
        note(b, "Python %s, %zu packages", r->facts.python, r->facts.npackages);
    succeed(b, &(struct outcome){.layer = b->target,
                                 .bytes = r->bytes,
                                 .packages = r->facts.packages,
                                 .python = r->facts.python});
}

static enum spawn_network build_network(const struct build *b)
{
    enum spawn_network network = SPAWN_NETWORK_NONE;

    environment_network(b->environment->record.build_network, &network);
    return network < b->service->rules.max_network ? network : b->service->rules.max_network;
}

static int start_script(struct build *b, const char *key, struct err *e)
{
    static const char *const program[] = {SETUP};
    struct environment_service *s = b->service;
    const struct environment_record *r = &b->environment->record;
    struct build_task_config c = {
        .make = {.kind = SPAWN_NEST_BUILD,
                 .network = build_network(b),
                 .nlayers = 1,
                 .layers = {b->base.layer}},
        .program = program,
        .nprogram = 1,
        .file_name = SCRIPT,
        .file_data = r->setup_script,
        .what = "the setup script",
        .on_line = on_line,
        .on_pause = on_pause,
        .on_done = on_task_done,
        .data = b,
    };

    if (store_layer_add(s->store, LAYER_ENVIRONMENT, key, b->base.layer, &b->target, e) < 0)
        return -1;
    c.make.target = b->target;
    b->task = build_task_start(s, &c, e);
    return b->task != NULL ? 0 : -1;
}

static void note_script(struct build *b)
{
    const struct environment_record *r = &b->environment->record;
    const char *found = script_lint(r->setup_script);

    note(b, "base: %s", b->base.text);
    if (found != NULL)
        note(b, "warning: " SCRIPT_LINT_WORDS "%s", found);
    if (r->python_version[0] != '\0' && b->base.python[0] != '\0' &&
        strncmp(b->base.python, r->python_version, strlen(r->python_version)) != 0)
        note(b, "note: the base has Python %s (python_version %s)", b->base.python,
             r->python_version);
}

/* The base is there. */
static void set_up(struct build *b)
{
    static const char *const networks[] = {"none", "bridge"};
    struct layer_record equal = {0};
    char key[BUILD_KEY];
    struct err e = {0};

    build_log_forget_last(&b->log); /* what is said from here on is the script's */
    note_script(b);
    if (build_key(b->base.key, b->environment->record.setup_script, networks[build_network(b)], key,
                  &e) < 0 ||
        (!b->fresh && store_layer_find(b->service->store, key, &equal, &e) < 0)) {
        fail_err(b, &e);
        return;
    }
    if (equal.id != 0) {
        note(b, "the same script has run on the same base: its layer is reused");
        succeed(b, &(struct outcome){.layer = equal.id,
                                     .bytes = equal.bytes,
                                     .packages = equal.packages,
                                     .python = equal.python});
    } else if (start_script(b, key, &e) < 0) {
        fail_err(b, &e);
    } else {
        note(b, "running the setup script (network: %s)", networks[build_network(b)]);
    }
    layer_record_finish(&equal);
}

/* -- base -------------------------------------------------------------------------------------- */

static void try_bases(struct build *b);

static const char *describe(const struct base_candidate *c)
{
    static const char *const verbs[] = {"", "image ", "pull ", "make "};

    return c->kind == BASE_HOST ? "this host" : verbs[c->kind];
}

static void note_trouble(struct build *b, const char *reason)
{
    const struct base_candidate *c = &b->plan.candidates[b->candidate];
    size_t len = strlen(c->name);

    /* The tools begin with the name, too. */
    if (len > 0 && strncmp(reason, c->name, len) == 0 && strncmp(reason + len, ": ", 2) == 0)
        reason += len + 2;
    note(b, "%s%s: %s", describe(c), c->name, reason);
    buf_printf(&b->troubles, "; %s%s: %s", describe(c), c->name, reason);
    b->candidate++;
}

static void on_base(void *data, const char *reason)
{
    struct build *b = data;

    b->wait = NULL;
    if (reason != NULL)
        note_trouble(b, reason);
    try_bases(b);
}

/* Starts to make what is missing. */
static int want_base(struct build *b, const struct base_candidate *c, struct err *e)
{
    static const enum image_job_kind kinds[] = {[BASE_HOST] = IMAGE_JOB_HOST,
                                                [BASE_PULL] = IMAGE_JOB_PULL,
                                                [BASE_DEBOOTSTRAP] = IMAGE_JOB_DEBOOTSTRAP};
    const struct image_wanted_job wanted = {.kind = kinds[c->kind],
                                            .name = c->name,
                                            .on_line = on_line,
                                            .on_pause = on_pause,
                                            .on_done = on_base,
                                            .data = b};

    if (c->kind == BASE_IMAGE)
        return err_set(e, ERR_NOT_FOUND, 0, "it was removed");
    note(b, "%s%s: not here yet, it is being made", describe(c), c->name);
    b->wait = image_job_want(b->service, &wanted, e);
    return b->wait != NULL ? 0 : -1;
}

/* True when it is there, or being waited for. */
static bool try_base(struct build *b, const struct base_candidate *c, struct err *e)
{
    if (image_base_find(b->service, c->name, &b->base, e) < 0)
        return false;
    if (b->base.layer == 0)
        return want_base(b, c, e) == 0;
    if (layer_pin(b->service, b->base.layer, e) < 0) {
        b->base.layer = 0;
        return false;
    }
    return true;
}

static void fail_without_base(struct build *b)
{
    _cleanup_buf_ struct buf words;
    int r;

    buf_init(&words, TROUBLES + sizeof b->plan.looked + 256);
    r = buf_append_str(&words, "no base could be had: ");
    r |= buf_append_str(&words, b->plan.looked);
    if (b->troubles.len > 0) /* begins with "; " */
        r |= buf_append(&words, b->troubles.data + (b->plan.looked[0] == '\0' ? 2 : 0),
                        b->troubles.len - (b->plan.looked[0] == '\0' ? 2 : 0));
    r |= buf_append_str(&words, "; " HOW_TO);
    r |= buf_append(&words, "", 1);
    build_log_forget_last(&b->log); /* the tools' words are in it */
    fail(b, r == 0 ? words.data : "no base could be had");
}

/* One candidate after the other. */
static void try_bases(struct build *b)
{
    while (b->candidate < b->plan.n) {
        struct err e = {0};

        if (try_base(b, &b->plan.candidates[b->candidate], &e)) {
            if (b->base.layer != 0)
                set_up(b);
            return;
        }
        note_trouble(b, e.text);
    }
    fail_without_base(b);
}

static void begin(struct build *b)
{
    const struct environment_record *r = &b->environment->record;
    const struct resolve_question q = {.base_image = r->base_image,
                                       .python_version = r->python_version,
                                       .host_python = b->service->config.host_python,
                                       .has_image = environment_has_image,
                                       .data = b->service};
    struct err e = {0};

    b->started = true;
    b->service->working++;
    b->started_us = clock_now_us();
    note(b, "build of environment %s", r->name);
    if (resolve_base(&q, &b->plan, &e) < 0)
        fail_err(b, &e);
    else
        try_bases(b);
}

/* -- the queue --------------------------------------------------------------------------------- */

int build_create(struct environment *env, bool fresh, struct err *e)
{
    struct environment_service *s = env->service;
    struct build *b = calloc(1, sizeof *b), **end_of_queue = &s->builds;

    if (b == NULL)
        return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
    *b = (struct build){.service = s, .environment = env, .fresh = fresh};
    buf_init(&b->troubles, TROUBLES);
    if (build_log_open(&b->log, (struct build_log_name){s->logs, env->record.id},
                       s->rules.build_log_bytes, e) < 0) {
        free(b);
        return -1;
    }
    while (*end_of_queue != NULL)
        end_of_queue = &(*end_of_queue)->next;
    *end_of_queue = b;
    env->build = b;
    if (s->working >= s->rules.build_concurrency)
        note(b, "queued behind %u others", build_queue_place(b) - 1 + s->working);
    environment_soon(s);
    return 0;
}

void build_abandon(struct build *b)
{
    b->environment->build = NULL;
    b->environment = NULL;
    build_log_close(&b->log);
    if (b->task != NULL) {
        build_task_cancel(b->task, NULL);
        return;
    }
    if (b->reason != NULL) /* it ends when what it had begun is removed */
        return;
    if (b->wait != NULL)
        image_wait_cancel(b->wait);
    end(b);
}

const char *build_phase(const struct build *b)
{
    if (!b->started)
        return "queued";
    if (b->reason != NULL)
        return "sealing";
    if (b->task == NULL)
        return "base";
    return build_task_is_sealing(b->task) ? "sealing" : "setup";
}

uint32_t build_queue_place(const struct build *b)
{
    uint32_t place = 1;

    if (b->started)
        return 0;
    for (const struct build *other = b->service->builds; other != b; other = other->next)
        place += !other->started;
    return place;
}

void builds_pump(struct environment_service *s)
{
    struct build *b;

    image_jobs_pump(s);
    for (;;) {
        for (b = s->builds; b != NULL && b->started; b = b->next)
            ;
        if (b == NULL || s->working >= s->rules.build_concurrency)
            return;
        begin(b); /* may end it, too */
    }
}

void builds_destroy(struct environment_service *s)
{
    struct build *next;

    for (struct build *b = s->builds; b != NULL; b = next) {
        next = b->next;
        build_log_close(&b->log);
        buf_finish(&b->troubles);
        free(b->reason);
        free(b);
    }
    s->builds = NULL;
}

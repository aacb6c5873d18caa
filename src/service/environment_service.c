/* environment_service: start, heartbeat and end of the environment service.
 *
 * Runs in the server, on the loop.  Made with the rights that the server still has at its start
 * (it reads how many CPUs there are); started when the server is locked in. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/settings.h"
#include "service/build.h"
#include "service/build_log.h"
#include "service/build_task.h"
#include "service/environment_internal.h"
#include "service/image_job.h"

#define TICK_MS     1000
#define SAVE_TICKS  5 /* last_used and learned are written at most so often */
#define PREWARM_MAX 4 /* environments that are opened at the start */

#define INTERRUPTED "interrupted: the server stopped during the build"
#define REBUILD_INTERRUPTED                                                                        \
    "the rebuild was interrupted: the server stopped; the former state serves"

char *environment_now(void)
{
    char text[32];

    clock_format_utc(clock_wall_us(), text);
    return strdup(text);
}

static void on_soon(uv_timer_t *timer)
{
    struct environment_service *s = timer->data;

    builds_pump(s);
    environment_visits_pump(s);
    layers_sweep(s, NULL, NULL);
}

void environment_soon(struct environment_service *s)
{
    uv_timer_start(&s->soon, on_soon, 0, 0);
}

static void on_tick(uv_timer_t *timer)
{
    struct environment_service *s = timer->data;

    build_tasks_watch_disk(s);
    environment_nests_tick(s);
    layers_tick(s);
    if (++s->ticks % SAVE_TICKS != 0)
        return;
    for (struct environment *env = s->first; env != NULL; env = env->next)
        environment_save(env);
}

static int fill_built_in(struct environment_service *s, struct err *e)
{
    struct environment_record *r = &s->built_in.record;

    s->built_in.service = s;
    r->status = ENVIRONMENT_READY;
    return environment_set_text(&r->name, ENVIRONMENT_BUILT_IN, e) < 0 ||
                   environment_set_text(&r->description, "the built-in environment", e) < 0 ||
                   environment_set_text(&r->base, "host", e) < 0 ||
                   environment_set_text(&r->actual_python, s->config.host_python, e) < 0 ||
                   environment_set_text(&r->network, s->config.settings->network_mode, e) < 0
               ? -1
               : 0;
}

struct environment_service *environment_service_create(const struct environment_service_config *c,
                                                       struct err *e)
{
    struct environment_service *s = calloc(1, sizeof *s);

    if (s == NULL) {
        err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
        return NULL;
    }
    s->config = *c;
    s->logs = -1;
    s->visits_end = &s->visits;
    uv_timer_init(c->loop, &s->soon);
    uv_timer_init(c->loop, &s->tick);
    s->soon.data = s->tick.data = s;
    if (environment_rules(&s->rules, c->settings, e) < 0 || fill_built_in(s, e) < 0) {
        environment_service_destroy(s);
        return NULL;
    }
    return s;
}

/* -- start ------------------------------------------------------------------------------------- */

/* Takes a copy of the record. */
static int load(void *data, const struct environment_record *r)
{
    struct environment_service *s = data;
    struct environment **end = &s->first, *env = calloc(1, sizeof *env);

    if (env == NULL || environment_record_copy(&env->record, r, NULL) < 0) {
        free(env);
        return 1;
    }
    while (*end != NULL)
        end = &(*end)->next;
    *end = env;
    env->service = s;
    environment_learn_seed(&env->learn, env->record.learned);
    s->count++;
    return 0;
}

static int count(void *data, const struct environment_record *r)
{
    ++*(size_t *)data;
    return 0;
}

static int load_all(struct environment_service *s, struct err *e)
{
    size_t total = 0;

    if (store_environments(s->store, count, &total, e) < 0 ||
        store_environments(s->store, load, s, e) < 0)
        return -1;
    return s->count == total ? 0 : err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
}

/* What a crash has cut off: a first build has failed, a rebuild has changed nothing. */
static int end_interrupted(struct environment *env, struct err *e)
{
    struct environment_record *r = &env->record;
    const char *words = r->layer != 0 ? REBUILD_INTERRUPTED : INTERRUPTED;

    if (r->status != ENVIRONMENT_BUILDING)
        return 0;
    r->status = r->layer != 0 ? ENVIRONMENT_READY : ENVIRONMENT_FAILED;
    log_event(LOG_WARNING, "environment.interrupted", LOG_STR("name", r->name));
    build_log_append((struct build_log_name){env->service->logs, r->id}, words);
    return environment_set_text(&r->error, words, e) < 0
               ? -1
               : store_environment_update(env->service->store, r, e);
}

int environment_service_start(struct environment_service *s, struct store *store, int logs,
                              struct err *e)
{
    s->store = store;
    s->logs = logs;
    if (load_all(s, e) < 0)
        return -1;
    for (struct environment *env = s->first; env != NULL; env = env->next) {
        if (end_interrupted(env, e) < 0)
            return -1;
    }
    if (store_layer_remove_unfinished(store, e) < 0)
        return -1;
    layers_walk(s);
    s->prewarm = PREWARM_MAX;
    uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS);
    environment_soon(s);
    return 0;
}

/* -- end --------------------------------------------------------------------------------------- */

static void on_tick_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_soon_closed(uv_handle_t *handle)
{
    struct environment_service *s = handle->data;

    uv_close((uv_handle_t *)&s->tick, on_tick_closed);
}

void environment_service_destroy(struct environment_service *s)
{
    struct environment *next_env;
    struct environment_nest *next_nest;
    struct layer_pin *next_pin;

    if (s == NULL)
        return;
    uv_timer_stop(&s->soon);
    uv_timer_stop(&s->tick);
    while (s->visits != NULL)
        environment_enter_cancel(s->visits);
    builds_destroy(s);
    image_jobs_destroy(s);
    build_tasks_destroy(s);
    for (struct environment *env = s->first; env != NULL; env = next_env) {
        next_env = env->next;
        while (env->waiters != NULL)
            environment_wait_cancel(env->waiters);
        while (env->followers != NULL)
            environment_log_unfollow(env->followers);
        environment_save(env);
        environment_record_finish(&env->record);
        free(env);
    }
    for (struct environment_nest *n = s->nests; n != NULL; n = next_nest) {
        next_nest = n->next;
        free(n);
    }
    for (struct layer_pin *pin = s->pins; pin != NULL; pin = next_pin) {
        next_pin = pin->next;
        free(pin);
    }
    environment_record_finish(&s->built_in.record);
    uv_close((uv_handle_t *)&s->soon, on_soon_closed);
}

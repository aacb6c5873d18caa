/* environment: the records of environments, and what clients do with them.
 *
 * Runs in the server, on the loop.  The records are all in memory; the store has the same, and is
 * written first. */
#include "service/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "service/build.h"
#include "service/build_log.h"
#include "service/environment_internal.h"

struct environment *environment_find(struct environment_service *s, const char *name)
{
    struct environment *env = s->first;

    while (env != NULL && strcmp(env->record.name, name) != 0)
        env = env->next;
    return env;
}

struct environment *environment_find_id(struct environment_service *s, int64_t id)
{
    struct environment *env = s->first;

    while (env != NULL && env->record.id != id)
        env = env->next;
    return env;
}

static bool is_built_in(const char *name)
{
    return name == NULL || name[0] == '\0' || strcmp(name, ENVIRONMENT_BUILT_IN) == 0;
}

static struct environment *find_or_say(struct environment_service *s, const char *name,
                                       struct err *e)
{
    struct environment *env = environment_find(s, name);

    if (env == NULL)
        err_set(e, ERR_NOT_FOUND, 0, "there is no environment '%.60s'", name);
    return env;
}

bool environment_is_usable(const struct environment *env)
{
    return env->record.layer != 0 && env->record.status != ENVIRONMENT_FAILED;
}

int environment_set_text(char **at, const char *text, struct err *e)
{
    char *copy = text != NULL ? strdup(text) : NULL;

    if (text != NULL && copy == NULL)
        return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
    free(*at);
    *at = copy;
    return 0;
}

/* -- looking ----------------------------------------------------------------------------------- */

/* Puts what is only in memory into the record. */
static void refresh(struct environment *env)
{
    struct environment_record *r = &env->record;
    char used[32], learned[LEARN_LIST];

    if (!env->is_dirty)
        return;
    if (env->used_us > 0) {
        clock_format_utc(env->used_us, used);
        environment_set_text(&r->last_used, used, NULL);
    }
    environment_learn_best(&env->learn, learned);
    if (strcmp(learned, r->learned) != 0)
        environment_set_text(&r->learned, learned, NULL);
}

void environment_save(struct environment *env)
{
    struct err e = {0};

    if (!env->is_dirty)
        return;
    refresh(env);
    env->is_dirty = false;
    if (store_environment_update(env->service->store, &env->record, &e) < 0)
        log_event(LOG_WARNING, "environment.not_saved", LOG_STR("name", env->record.name),
                  LOG_STR("reason", e.text));
}

static uint64_t base_bytes(const struct environment *env)
{
    struct layer_record layer;
    uint64_t bytes;

    if (env->record.base_layer == 0 ||
        store_layer_get(env->service->store, env->record.base_layer, &layer, NULL) < 0)
        return 0;
    bytes = layer.bytes;
    layer_record_finish(&layer);
    return bytes;
}

static void view(struct environment *env, struct environment_view *ret)
{
    refresh(env);
    *ret = (struct environment_view){
        .record = &env->record,
        .built_in = env == &env->service->built_in,
        .warm =
            env == &env->service->built_in || (env->nest != NULL && nest_is_up(env->nest->nest)),
        .runs = env->runs,
        .runs_total = env->runs_total,
        .shared_bytes = base_bytes(env),
        .actual_python = env->record.actual_python,
    };
    if (env->build != NULL) {
        ret->phase = build_phase(env->build);
        ret->queue_place = build_queue_place(env->build);
        ret->queued = ret->queue_place > 0;
    }
}

int environment_get(struct environment_service *s, const char *name, struct environment_view *ret,
                    struct err *e)
{
    struct environment *env = is_built_in(name) ? &s->built_in : find_or_say(s, name, e);

    if (env == NULL)
        return -1;
    view(env, ret);
    return 0;
}

int environment_each(struct environment_service *s,
                     int (*each)(void *data, const struct environment_view *v), void *data)
{
    int r = 0;

    for (struct environment *env = s->first; env != NULL && r == 0; env = env->next) {
        struct environment_view v;

        view(env, &v);
        r = each(data, &v);
    }
    return r;
}

/* -- making and changing ----------------------------------------------------------------------- */

static void append(struct environment_service *s, struct environment *env)
{
    struct environment **end = &s->first;

    while (*end != NULL)
        end = &(*end)->next;
    *end = env;
    s->count++;
}

static int may_be_made(struct environment_service *s, const char *name, struct err *e)
{
    struct environment *old = environment_find(s, name);

    if (is_built_in(name) || (old != NULL && old->record.status != ENVIRONMENT_FAILED))
        return err_set(e, ERR_EXISTS, 0, "there is an environment '%.60s' already", name);
    if (old == NULL && s->count >= s->rules.environments_max)
        return err_set(e, ERR_LIMIT, 0, "there are %zu environments already (ENVIRONMENT_LIMIT)",
                       s->count);
    return 0;
}

static void free_environment(struct environment *env)
{
    environment_record_finish(&env->record);
    free(env);
}

int environment_create(struct environment_service *s, const struct environment_wanted *w,
                       struct err *e)
{
    struct environment *env;

    if (may_be_made(s, w->name, e) < 0)
        return -1;
    env = calloc(1, sizeof *env);
    if (env == NULL)
        return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
    env->service = s;
    if (environment_wanted_record(s, w, &env->record, e) < 0) {
        free_environment(env);
        return -1;
    }
    /* A failed one is replaced. */
    if (environment_find(s, w->name) != NULL && environment_delete(s, w->name, e) < 0) {
        free_environment(env);
        return -1;
    }
    if (store_environment_add(s->store, &env->record, e) < 0) {
        free_environment(env);
        return -1;
    }
    append(s, env);
    log_event(LOG_INFO, "environment.created", LOG_STR("name", env->record.name),
              LOG_INT("id", env->record.id));
    if (build_create(env, false, e) < 0) {
        environment_delete(s, w->name, NULL);
        return -1;
    }
    return 0;
}

int environment_rebuild(struct environment_service *s, const char *name, struct err *e)
{
    struct environment *env = find_or_say(s, name, e);
    enum environment_status was;

    if (env == NULL)
        return -1;
    if (env->build != NULL)
        return err_set(e, ERR_EXISTS, 0, "environment '%.60s' is being built", name);
    was = env->record.status;
    env->record.status = ENVIRONMENT_BUILDING;
    if (store_environment_update(s->store, &env->record, e) < 0 || build_create(env, true, e) < 0) {
        env->record.status = was;
        store_environment_update(s->store, &env->record, NULL);
        return -1;
    }
    log_event(LOG_INFO, "environment.rebuild", LOG_STR("name", name));
    return 0;
}

int environment_patch(struct environment_service *s, const char *name,
                      const struct environment_wanted *w, struct err *e)
{
    struct environment *env = find_or_say(s, name, e);
    struct environment_record changed = {0};

    if (env == NULL)
        return -1;
    refresh(env);
    if (environment_record_copy(&changed, &env->record, e) < 0 ||
        environment_wanted_patch(s, w, &changed, e) < 0 ||
        store_environment_update(s->store, &changed, e) < 0) {
        environment_record_finish(&changed);
        return -1;
    }
    environment_record_finish(&env->record);
    env->record = changed;
    env->is_dirty = false;
    /* The nest was made with what the record said then. */
    if ((w->network != NULL || w->warm != NULL || w->learn) && env->nest != NULL)
        environment_nest_retire(env->nest);
    return 0;
}

int environment_delete(struct environment_service *s, const char *name, struct err *e)
{
    struct environment *env = find_or_say(s, name, e), **at;

    if (env == NULL)
        return -1;
    /* First, so that no crash leaves a log without its record. */
    build_log_remove((struct build_log_name){s->logs, env->record.id});
    if (store_environment_remove(s->store, env->record.id, e) < 0)
        return -1;
    for (at = &s->first; *at != env; at = &(*at)->next)
        ;
    *at = env->next;
    s->count--;
    if (env->build != NULL)
        build_abandon(env->build);
    environment_tell_waiters(env);
    environment_tell_followers(env, true);
    environment_visits_forget(env);
    if (env->nest != NULL)
        environment_nest_retire(env->nest);
    log_event(LOG_INFO, "environment.deleted", LOG_STR("name", name));
    free_environment(env);
    environment_soon(s);
    return 0;
}

/* -- logs -------------------------------------------------------------------------------------- */

int environment_log_size(struct environment_service *s, const char *name, uint64_t *ret,
                         struct err *e)
{
    struct environment *env = find_or_say(s, name, e);

    if (env == NULL)
        return -1;
    return build_log_size((struct build_log_name){s->logs, env->record.id}, ret, e);
}

long environment_log_read(struct environment_service *s, const char *name, uint64_t offset,
                          char *out, size_t cap, struct err *e)
{
    struct environment *env = find_or_say(s, name, e);

    if (env == NULL)
        return -1;
    return build_log_read((struct build_log_name){s->logs, env->record.id}, offset, out, cap, e);
}

size_t environment_log_tail(struct environment_service *s, const struct environment_view *v,
                            char *out, size_t cap)
{
    const struct build_log_name name = {s->logs, v->record->id};
    uint64_t size, from;
    const char *line;
    size_t cut;
    long n;

    if (v->built_in || build_log_size(name, &size, NULL) < 0)
        return 0;
    from = size > cap ? size - cap : 0;
    n = build_log_read(name, from, out, cap, NULL);
    if (n <= 0)
        return 0;
    line = from > 0 ? memchr(out, '\n', (size_t)n) : NULL;
    cut = line != NULL ? (size_t)(line + 1 - out) : 0;
    memmove(out, out + cut, (size_t)n - cut);
    return (size_t)n - cut;
}

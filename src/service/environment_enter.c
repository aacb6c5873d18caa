/* environment_enter: runs on their way into an environment.
 *
 * Runs in the server, on the loop.  A visit waits while the environment is being built and while
 * there is no room for its nest, within the run's own timeout. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "service/environment_internal.h"

struct environment_visit {
    struct environment_service *service;
    struct environment_visit *next;
    struct environment *environment; /* NULL: deleted meanwhile */
    struct run_spec *spec;
    environment_entered *done;
    void *data;
    uv_timer_t timer;
    bool is_over; /* the time is */
};

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void unlink_visit(struct environment_visit *v)
{
    struct environment_service *s = v->service;
    struct environment_visit **at = &s->visits;

    while (*at != v)
        at = &(*at)->next;
    *at = v->next;
    if (*at == NULL)
        s->visits_end = at;
}

/* -- going in ---------------------------------------------------------------------------------- */

static void set_if_open(uint32_t *limit, uint64_t value)
{
    if (*limit == 0 && value != 0)
        *limit = (uint32_t)value;
}

static void fill_limits(const struct environment_record *r, struct run_spec *spec)
{
    set_if_open(&spec->limits.memory_mb, r->memory_mb);
    set_if_open(&spec->limits.processes, r->processes);
    set_if_open(&spec->limits.workspace_mb, r->workspace_mb);
    set_if_open(&spec->limits.cpu_milli, r->cpu_milli);
    set_if_open(&spec->timeout_ms, r->timeout_s * 1000);
}

/* The network of an environment is what its runs have unless they ask for less. */
static int fill_network(const struct environment *env, struct run_spec *spec, struct err *e)
{
    static const char *const names[] = {"none", "bridge", "host"};
    enum spawn_network network = SPAWN_NETWORK_NONE;
    enum spawn_network most = env->service->rules.max_network;

    environment_network(env->record.network, &network);
    network = network < most ? network : most;
    if (!spec->network_set)
        spec->network = network;
    if (spec->network <= network)
        return 0;
    return err_set(e, ERR_INVALID, 0, "network '%s' is more than environment '%.60s' has (%s)",
                   names[spec->network <= SPAWN_NETWORK_HOST ? spec->network : SPAWN_NETWORK_HOST],
                   env->record.name, names[network]);
}

static void note_use(struct environment *env)
{
    env->runs++;
    env->runs_total++;
    env->used_us = clock_wall_us();
    env->is_dirty = env != &env->service->built_in;
}

/* What came of an attempt; WAITS: nothing yet. */
enum attempt { ENTERED, REFUSED, NOT_READY, WAITS };

static enum attempt attempt(struct environment *env, struct run_spec *spec, struct err *e)
{
    struct environment_nest *n;

    if (!environment_is_usable(env))
        return env->record.status == ENVIRONMENT_FAILED ? NOT_READY : WAITS;
    if (fill_network(env, spec, e) < 0)
        return REFUSED;
    n = environment_nest_get(env, e);
    if (n == NULL)
        return e->code == ERR_LIMIT ? WAITS : REFUSED;
    n->entered++;
    n->asked = false; /* it will not be left after all */
    spec->nest = n->nest;
    fill_limits(&env->record, spec);
    note_use(env);
    return ENTERED;
}

static const char *status_of(const struct environment *env)
{
    return env->record.status == ENVIRONMENT_FAILED     ? "failed"
           : env->record.status == ENVIRONMENT_BUILDING ? "building"
                                                        : "ready";
}

static void tell(struct environment *env, enum attempt a, environment_entered *done, void *data,
                 const struct err *e)
{
    static const enum environment_entry entries[] = {[ENTERED] = ENVIRONMENT_ENTERED,
                                                     [REFUSED] = ENVIRONMENT_REFUSED,
                                                     [NOT_READY] = ENVIRONMENT_NOT_READY};

    done(data, entries[a], status_of(env), a == ENTERED ? NULL : e);
}

/* -- waiting ----------------------------------------------------------------------------------- */

static void on_timeout(uv_timer_t *timer)
{
    struct environment_visit *v = timer->data;

    v->is_over = true;
    environment_soon(v->service);
}

/* Takes the visit away and tells what came of it. */
static void conclude(struct environment_visit *v, enum attempt a, const struct err *e)
{
    struct environment *env = v->environment;

    unlink_visit(v);
    if (env == NULL)
        v->done(v->data, ENVIRONMENT_UNKNOWN, "deleted", e);
    else
        tell(env, a, v->done, v->data, e);
    uv_close((uv_handle_t *)&v->timer, on_timer_closed);
}

/* True if it is concluded. */
static bool try_visit(struct environment_visit *v)
{
    struct err e = {0};
    enum attempt a = WAITS;

    if (v->environment == NULL)
        err_set(&e, ERR_NOT_FOUND, 0, "the environment was deleted");
    else
        a = attempt(v->environment, v->spec, &e);
    if (a == WAITS && v->environment != NULL) {
        if (!v->is_over)
            return false;
        if (e.code == ERR_NONE)
            err_set(&e, ERR_UNAVAILABLE, 0, "it is still being built");
        /* It is built, but nobody made room for it. */
        a = e.code == ERR_LIMIT ? REFUSED : NOT_READY;
    }
    conclude(v, a, &e);
    return true;
}

void environment_visits_pump(struct environment_service *s)
{
    struct environment_visit *v = s->visits;

    /* Whoever is told may come again or take others along: begin anew after each. */
    while (v != NULL)
        v = try_visit(v) ? s->visits : v->next;
}

void environment_visits_forget(struct environment *env)
{
    for (struct environment_visit *v = env->service->visits; v != NULL; v = v->next) {
        if (v->environment == env)
            v->environment = NULL;
    }
}

static struct environment_visit *wait_for(struct environment *env, struct run_spec *spec,
                                          environment_entered *done, void *data)
{
    struct environment_service *s = env->service;
    struct environment_visit *v = calloc(1, sizeof *v);
    uint64_t timeout_ms = spec->timeout_ms        ? spec->timeout_ms
                          : env->record.timeout_s ? env->record.timeout_s * 1000
                                                  : s->rules.timeout_ms;

    if (v == NULL) {
        struct err e;

        err_set(&e, ERR_UNAVAILABLE, 0, "out of memory");
        done(data, ENVIRONMENT_REFUSED, "building", &e);
        return NULL;
    }
    *v = (struct environment_visit){
        .service = s, .environment = env, .spec = spec, .done = done, .data = data};
    *s->visits_end = v;
    s->visits_end = &v->next;
    uv_timer_init(s->config.loop, &v->timer);
    v->timer.data = v;
    uv_timer_start(&v->timer, on_timeout, timeout_ms, 0);
    return v;
}

/* -- for callers ------------------------------------------------------------------------------- */

static void enter_built_in(struct environment_service *s, struct run_spec *spec,
                           environment_entered *done, void *data)
{
    struct err e = {0};

    if (fill_network(&s->built_in, spec, &e) < 0) {
        done(data, ENVIRONMENT_REFUSED, "ready", &e);
        return;
    }
    note_use(&s->built_in);
    done(data, ENVIRONMENT_ENTERED, "ready", NULL);
}

struct environment_visit *environment_enter(struct environment_service *s, const char *name,
                                            struct run_spec *spec, environment_entered *done,
                                            void *data)
{
    struct environment *env;
    struct err e = {0};
    enum attempt a;

    if (name == NULL || name[0] == '\0' || strcmp(name, ENVIRONMENT_BUILT_IN) == 0) {
        enter_built_in(s, spec, done, data);
        return NULL;
    }
    env = environment_find(s, name);
    if (env == NULL) {
        err_set(&e, ERR_NOT_FOUND, 0, "there is no environment '%.60s'", name);
        done(data, ENVIRONMENT_UNKNOWN, "unknown", &e);
        return NULL;
    }
    a = attempt(env, spec, &e);
    if (a == WAITS)
        return wait_for(env, spec, done, data);
    tell(env, a, done, data, &e);
    return NULL;
}

void environment_enter_cancel(struct environment_visit *v)
{
    unlink_visit(v);
    uv_close((uv_handle_t *)&v->timer, on_timer_closed);
}

void environment_left(struct environment_service *s, const char *name, const struct nest *nest,
                      const char *modules)
{
    struct environment_nest *n = nest != NULL ? environment_nest_find(s, nest) : NULL;
    struct environment *env = n != NULL ? environment_find_id(s, n->id) : NULL;

    if (nest == NULL)
        env = &s->built_in;
    if (env != NULL && env->runs > 0)
        env->runs--;
    if (env != NULL && env != &s->built_in && modules != NULL && modules[0] != '\0' &&
        s->rules.learn) {
        environment_learn_note(&env->learn, modules);
        env->is_dirty = true;
    }
    if (n != NULL)
        environment_nest_leave(n);
}

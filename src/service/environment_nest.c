/* environment_nest: nests of environments in use: opened on demand, closed when idle.
 *
 * Runs in the server, on the loop.  A nest holds an interpreter and namespaces, so there are at
 * most ENVIRONMENTS_WARM of them; whoever finds no room waits until one that nobody uses has gone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "service/environment_internal.h"

#define POOL_MIN    2 /* sandboxes ready in an environment that has been used */
#define MODULES_MAX 8192
#define DAY_US      (UINT64_C(86400) * 1000000)

struct environment_nest *environment_nest_find(struct environment_service *s,
                                               const struct nest *nest)
{
    struct environment_nest *n = s->nests;

    while (n != NULL && n->nest != nest)
        n = n->next;
    return n;
}

/* -- closing ----------------------------------------------------------------------------------- */

static void on_closed(void *data, uint64_t bytes, const struct err *e)
{
    struct environment_nest *n = data, **at = &n->service->nests;
    struct environment_service *s = n->service;

    if (e != NULL)
        log_event(LOG_WARNING, "nest.closed", LOG_INT("id", n->id), LOG_STR("reason", e->text));
    while (*at != n)
        at = &(*at)->next;
    *at = n->next;
    s->nnests--;
    for (size_t i = 0; i < 2; i++)
        layer_unpin(s, n->layers[i]);
    free(n);
    environment_soon(s);
}

/* Only when everybody has left: until then runs name the handle. */
static void close_if_left(struct environment_nest *n)
{
    if (n->environment != NULL || n->entered > 0 || n->closing)
        return;
    n->closing = true;
    nest_close(n->nest, false, on_closed, n);
}

void environment_nest_retire(struct environment_nest *n)
{
    if (n->environment == NULL)
        return;
    n->environment->nest = NULL;
    n->environment = NULL;
    close_if_left(n);
}

void environment_nest_leave(struct environment_nest *n)
{
    n->entered--;
    if (n->entered == 0)
        n->asked = false;
    close_if_left(n);
    environment_soon(n->service);
}

static void on_failed(struct nest *nest, const struct err *e, void *data)
{
    struct environment_nest *n = data;

    log_event(LOG_ERROR, "environment.lost", LOG_INT("id", n->id), LOG_STR("reason", e->text));
    environment_nest_retire(n);
}

/* -- room -------------------------------------------------------------------------------------- */

/* Since when nobody has used it; 0: it is in use. */
static uint64_t idle_since(const struct environment_nest *n)
{
    uint64_t used;

    if (n->environment == NULL || n->entered > 0 || nest_busy(n->nest) > 0)
        return 0;
    used = nest_used_us(n->nest);
    return used > n->opened_us ? used : n->opened_us;
}

/* The same for one that only guests are in, who could leave. */
static uint64_t unused_since(const struct environment_nest *n)
{
    const struct environment_guests *g = &n->service->guests;

    return n->environment != NULL && n->entered > 0 && g->unused_since != NULL
               ? g->unused_since(g->data, n->nest, n->entered)
               : 0;
}

static struct environment_nest *oldest(struct environment_service *s,
                                       uint64_t (*since)(const struct environment_nest *n))
{
    struct environment_nest *best = NULL;
    uint64_t least = UINT64_MAX;

    for (struct environment_nest *n = s->nests; n != NULL; n = n->next) {
        uint64_t at = since(n);

        if (at != 0 && at < least) {
            least = at;
            best = n;
        }
    }
    return best;
}

/* One that is closed, or will be idle soon.  (Without guests, what is left of their sandboxes goes
 * at once.) */
static bool is_going(const struct environment_nest *n)
{
    return n->closing || n->asked || n->entered == 0;
}

/* Lets the one go that has been idle for longest; if there is none, the guests of one that nobody
 * has used for longest; unless one is going already. */
static void make_room(struct environment_service *s)
{
    struct environment_nest *n;

    for (n = s->nests; n != NULL; n = n->next) {
        if (n->closing)
            return;
    }
    n = oldest(s, idle_since);
    if (n != NULL) {
        environment_nest_retire(n);
        return;
    }
    for (n = s->nests; n != NULL; n = n->next) {
        if (is_going(n))
            return;
    }
    n = oldest(s, unused_since);
    if (n == NULL)
        return;
    n->asked = true;
    s->guests.leave(s->guests.data, n->nest);
}

void environment_set_guests(struct environment_service *s, const struct environment_guests *g)
{
    s->guests = *g;
}

/* -- opening ----------------------------------------------------------------------------------- */

/* "a,b" -> "a\nb\n" */
static void fill_modules(const struct environment *env, char out[static MODULES_MAX])
{
    const struct environment_record *r = &env->record;
    const char *list = r->warm != NULL ? r->warm : env->service->rules.learn ? r->learned : "";
    size_t len = 0;

    out[0] = '\0';
    while (*list != '\0') {
        size_t n = strcspn(list, ",");

        if (n > 0 && len + n + 2 <= MODULES_MAX)
            len += (size_t)snprintf(out + len, MODULES_MAX - len, "%.*s\n", (int)n, list);
        list += n + (list[n] == ',');
    }
}

static enum spawn_network ceiling(const struct environment *env)
{
    enum spawn_network network = SPAWN_NETWORK_NONE;

    environment_network(env->record.network, &network);
    return network < env->service->rules.max_network ? network : env->service->rules.max_network;
}

static int pin_layers(struct environment_nest *n, const struct environment_record *r, struct err *e)
{
    if (layer_pin(n->service, r->layer, e) < 0)
        return -1;
    n->layers[0] = r->layer;
    if (layer_pin(n->service, r->base_layer, e) < 0) {
        layer_unpin(n->service, r->layer);
        return -1;
    }
    n->layers[1] = r->base_layer;
    return 0;
}

static int start(struct environment_nest *n, struct environment *env, struct err *e)
{
    char modules[MODULES_MAX];
    const struct environment_service *s = env->service;
    const struct environment_record *r = &env->record;
    struct nest_config c = {
        .make = {.kind = SPAWN_NEST_RUN,
                 .network = ceiling(env),
                 .warm = r->actual_python[0] != '\0',
                 .nlayers = 2,
                 .layers = {r->layer, r->base_layer}},
        .modules = modules,
        .pool_min = POOL_MIN < s->rules.pool_max ? POOL_MIN : s->rules.pool_max,
        .pool_max = s->rules.pool_max,
        .on_failed = on_failed,
        .data = n,
    };

    if (pin_layers(n, r, e) < 0)
        return -1;
    fill_modules(env, modules);
    n->nest = nest_open(s->config.engine, &c, e);
    if (n->nest != NULL)
        return 0;
    for (size_t i = 0; i < 2; i++)
        layer_unpin(n->service, n->layers[i]);
    return -1;
}

static struct environment_nest *open_nest(struct environment *env, struct err *e)
{
    struct environment_service *s = env->service;
    struct environment_nest *n = calloc(1, sizeof *n);

    if (n == NULL) {
        err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
        return NULL;
    }
    *n = (struct environment_nest){.service = s,
                                   .next = s->nests,
                                   .environment = env,
                                   .id = env->record.id,
                                   .opened_us = clock_now_us()};
    if (start(n, env, e) < 0) {
        free(n);
        return NULL;
    }
    s->nests = n;
    s->nnests++;
    env->nest = n;
    log_event(LOG_INFO, "environment.opened", LOG_STR("name", env->record.name),
              LOG_INT("layer", (int64_t)env->record.layer));
    return n;
}

struct environment_nest *environment_nest_get(struct environment *env, struct err *e)
{
    struct environment_service *s = env->service;

    if (env->nest != NULL)
        return env->nest;
    if (s->nnests < s->rules.nests_max) {
        struct environment_nest *n = open_nest(env, e);

        if (n != NULL || e->code != ERR_LIMIT)
            return n;
    }
    make_room(s);
    err_set(e, ERR_LIMIT, 0, "%u environments are in use already (ENVIRONMENTS_WARM)", s->nnests);
    return NULL;
}

/* -- every second ------------------------------------------------------------------------------ */

/* Microseconds since 1970 of "2026-11-20T15:35:55.744442Z", 0 if it is something else. */
static uint64_t parse_time(const char *text)
{
    struct tm tm = {0};
    time_t seconds;

    if (text == NULL || strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) == NULL)
        return 0;
    seconds = timegm(&tm);
    return seconds > 0 ? (uint64_t)seconds * 1000000 : 0;
}

/* The one that was used last, within a day, and is not open. */
static struct environment *most_recent(struct environment_service *s)
{
    struct environment *best = NULL;
    uint64_t since = clock_wall_us() - DAY_US;

    for (struct environment *env = s->first; env != NULL; env = env->next) {
        uint64_t used = parse_time(env->record.last_used);

        if (env->nest != NULL || !environment_is_usable(env) || used <= since)
            continue;
        since = used;
        best = env;
    }
    return best;
}

/* One after the other, while nothing else is going on. */
static void prewarm(struct environment_service *s)
{
    struct environment *env;
    struct err e = {0};

    for (struct environment_nest *n = s->nests; n != NULL; n = n->next) {
        if (!nest_is_up(n->nest))
            return;
    }
    env = s->nnests < s->rules.nests_max ? most_recent(s) : NULL;
    s->prewarm = env != NULL ? s->prewarm - 1 : 0;
    if (env != NULL && open_nest(env, &e) == NULL)
        log_event(LOG_WARNING, "environment.not_opened", LOG_STR("name", env->record.name),
                  LOG_STR("reason", e.text));
}

void environment_nests_tick(struct environment_service *s)
{
    uint64_t now = clock_now_us();

    for (struct environment_nest *n = s->nests; n != NULL; n = n->next) {
        uint64_t idle = idle_since(n);

        if (idle != 0 && now - idle > s->rules.idle_us)
            environment_nest_retire(n); /* it goes later: nest_close() never answers at once */
    }
    if (s->prewarm > 0)
        prewarm(s);
}

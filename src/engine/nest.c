/* nest: environments in use, each with its pools.
 *
 * Runs in the server's loop.  Trusts its owner (the environment service) for layer numbers and the
 * spawner for its answers; sandboxes of a nest are as hostile as any.  A nest is given back to the
 * spawner only when none of its slots is ours any more, so that no late request names a slot that
 * went down with it. */
#include "engine/nest.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "engine/internal.h"
#include "engine/language.h"

#define WARM_FAILURES_MAX 6 /* from the start: then this interpreter will never serve */
#define WARM_PATIENCE_US                                                                           \
    2000000 /* a run waits so long for a zygote that still imports, or is ill */
#define MODULES_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

const char *network_name(uint32_t network)
{
    static const char *const names[] = {"none", "bridge", "host"};

    return network < sizeof names / sizeof names[0] ? names[network] : "unknown";
}

static struct nest *create(struct engine *en, uint32_t number)
{
    struct nest *nest = calloc(1, sizeof *nest);

    if (nest == NULL)
        return NULL;
    *nest = (struct nest){.engine = en, .number = number, .used_us = clock_now_us()};
    uv_timer_init(en->loop, &nest->timer);
    nest->timer.data = nest;
    en->nests[number] = nest;
    return nest;
}

struct nest *nest_create_built_in(struct engine *en, struct err *e)
{
    const struct engine_config *c = &en->config;
    uint32_t cold_min = c->warm && c->pool_min > 1 ? 1 : c->pool_min;
    struct nest *nest = create(en, 0);

    if (nest == NULL) {
        err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
        return NULL;
    }
    nest->state = NEST_UP;
    nest->is_warm = c->warm;
    nest->min = c->pool_min;
    /* Most runs are warm ones: the other pool keeps one sandbox and grows when asked. */
    pool_init(&nest->pools[SPAWN_COLD], nest, SPAWN_COLD, cold_min, c->pool_max);
    pool_init(&nest->pools[SPAWN_WARM], nest, SPAWN_WARM, c->pool_min, c->pool_max);
    nest->pools[SPAWN_WARM].enabled = c->warm;
    nest->pools[c->warm ? SPAWN_WARM : SPAWN_COLD].is_proof = true;
    return nest;
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void nest_destroy(struct nest *nest)
{
    if (nest == NULL)
        return;
    for (size_t i = 0; i < 2; i++)
        pool_close(&nest->pools[i]);
    nest->engine->nests[nest->number] = NULL;
    uv_close((uv_handle_t *)&nest->timer, on_timer_closed);
}

/* -- the end ----------------------------------------------------------------------------------- */

static void tell_closed(uv_timer_t *timer)
{
    struct nest *nest = timer->data;

    nest->engine->nests[nest->number] = NULL;
    nest->on_closed(nest->closed_data, nest->bytes,
                    nest->error.code != ERR_NONE ? &nest->error : NULL);
    uv_close((uv_handle_t *)timer, on_timer_closed);
}

static void on_taken_down(void *data, const struct spawn_reply *reply, int *fds)
{
    struct nest *nest = data;

    nest->bytes = reply->bytes;
    if (reply->error != 0 && nest->error.code == ERR_NONE)
        spawner_reply_error(&nest->error, reply, "close an environment");
    uv_timer_start(&nest->timer, tell_closed, 0, 0);
}

/* Takes a nest down when its owner wants it to go and nobody uses it any more. */
static void settle(struct nest *nest)
{
    struct spawn_request req = {.op = SPAWN_NEST_CLOSE, .nest = nest->number};

    if (!nest->closing || nest->ending || nest->state == NEST_OPENING || nest->busy > 0)
        return;
    for (size_t i = 0; i < 2; i++)
        pool_drain(&nest->pools[i]);
    if (nest->pools[SPAWN_COLD].nopening + nest->pools[SPAWN_WARM].nopening > 0)
        return;
    nest->ending = true;
    if (nest->is_held)
        spawner_request(nest->engine->spawner, &req, on_taken_down, nest);
    else
        uv_timer_start(&nest->timer, tell_closed, 0, 0);
}

void nest_close(struct nest *nest, bool end_runs,
                void (*on_closed)(void *data, uint64_t bytes, const struct err *e), void *data)
{
    struct taker *next;

    assert(nest->number != 0 && !nest->closing);
    nest->closing = true;
    nest->on_closed = on_closed;
    nest->closed_data = data;
    uv_timer_stop(&nest->timer);
    for (size_t i = 0; i < 2; i++)
        nest->pools[i].min = nest->pools[i].max = nest->pools[i].target = 0;
    for (struct taker *t = nest->takers; end_runs && t != NULL; t = next) {
        next = t->nest_next;
        t->ops->cancel(t);
    }
    settle(nest);
}

/* -- failing ----------------------------------------------------------------------------------- */

static void tell_failed(uv_timer_t *timer)
{
    struct nest *nest = timer->data;

    nest->config.on_failed(nest, &nest->error, nest->config.data);
}

/* For good: whoever waits is answered, then the owner. */
static void fail(struct nest *nest, const struct err *e)
{
    if (nest->state == NEST_FAILED)
        return;
    nest->state = NEST_FAILED;
    nest->error = *e;
    for (size_t i = 0; i < 2; i++) {
        pool_drain(&nest->pools[i]);
        pool_fail_waiting(&nest->pools[i], e->text);
    }
    if (!nest->closing)
        uv_timer_start(&nest->timer, tell_failed, 0, 0);
    settle(nest);
}

/* The runs of this nest start cold from now on. */
static void turn_warm_off(struct nest *nest, const char *why)
{
    log_event(LOG_INFO, "nest.cold", LOG_INT("nest", nest->number), LOG_STR("reason", why));
    nest->is_warm = false;
    nest->pools[SPAWN_COLD].min = nest->pools[SPAWN_WARM].min;
    pool_drain(&nest->pools[SPAWN_WARM]);
    pool_hand_over(&nest->pools[SPAWN_WARM], &nest->pools[SPAWN_COLD]);
}

void nest_sandbox_failed(struct pool *p, const struct err *e)
{
    struct nest *nest = p->nest;
    struct err lost = {0};

    if (nest->number == 0)
        return;
    if (e->errnum == ESHUTDOWN) {
        err_set(&lost, ERR_UNAVAILABLE, 0, "the processes of the environment have ended");
        fail(nest, &lost);
    } else if (p->kind == SPAWN_WARM && nest->is_warm &&
               (e->errnum == ENOENT || (!p->made && p->failures >= WARM_FAILURES_MAX))) {
        turn_warm_off(nest, e->text);
    }
    settle(nest);
}

void nest_sandbox_dropped(struct pool *p)
{
    settle(p->nest);
}

/* -- opening ----------------------------------------------------------------------------------- */

static void on_up(void *data, const struct spawn_reply *reply, int *fds)
{
    struct nest *nest = data;
    struct err e = {0};

    if (reply->error != 0) {
        spawner_reply_error(&e, reply, "open an environment");
        fail(nest, &e);
        return;
    }
    nest->state = NEST_UP;
    nest->is_held = true;
    for (size_t i = 0; i < 2; i++) {
        nest->pools[i].reason[0] = '\0';
        nest->pools[i].enabled = i == SPAWN_COLD || nest->is_warm;
        pool_refill(&nest->pools[i]);
    }
    settle(nest);
}

/* The lowest free number, 0: none. */
static uint32_t free_number(const struct engine *en)
{
    for (uint32_t i = 1; i < LIMIT_NESTS; i++) {
        if (en->nests[i] == NULL)
            return i;
    }
    return 0;
}

/* The list as a file without a name that nobody can change any more. */
static int seal_modules(const char *modules, struct err *e)
{
    _cleanup_fd_ int fd = memfd_create("modules", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return err_set(e, ERR_INTERNAL, errno, "memfd_create");
    if (modules != NULL && fd_write_all(fd, modules, strlen(modules), e) < 0)
        return -1;
    if (fcntl(fd, F_ADD_SEALS, MODULES_SEALS) < 0)
        return err_set(e, ERR_INTERNAL, errno, "seal the list of modules");
    return fd_steal(&fd);
}

struct nest *nest_open(struct engine *en, const struct nest_config *config, struct err *e)
{
    struct spawn_request req = {.op = SPAWN_NEST_OPEN, .make = config->make};
    _cleanup_fd_ int modules = -1;
    struct nest *nest;

    if (config->make.network > en->config.network) {
        err_set(e, ERR_INVALID, 0, "a network of kind %s is not permitted by the settings",
                network_name(config->make.network));
        return NULL;
    }
    req.nest = free_number(en);
    if (req.nest == 0) {
        err_set(e, ERR_LIMIT, 0, "%d environments are in use at once", LIMIT_NESTS - 1);
        return NULL;
    }
    if (config->make.warm && (modules = seal_modules(config->modules, e)) < 0)
        return NULL;
    nest = create(en, req.nest);
    if (nest == NULL) {
        err_set(e, ERR_INTERNAL, 0, "out of memory");
        return NULL;
    }
    nest->config = *config;
    nest->config.modules = NULL;
    nest->kind = config->make.kind;
    nest->is_warm = config->make.warm;
    nest->min = config->pool_min;
    for (enum spawn_kind kind = SPAWN_COLD; kind <= SPAWN_WARM; kind++) {
        pool_init(&nest->pools[kind], nest, kind, 0, config->pool_max);
        nest->pools[kind].enabled = false;
        snprintf(nest->pools[kind].reason, sizeof nest->pools[kind].reason,
                 "the environment is still being started");
    }
    spawner_request_fd(en->spawner, &req, fd_steal(&modules), on_up, nest);
    return nest;
}

/* -- who uses it
 * -------------------------------------------------------------------------------------- */

void nest_enter(struct nest *nest, struct taker *t)
{
    assert(!nest->closing);
    t->nest = nest;
    t->nest_prev = &nest->takers;
    t->nest_next = nest->takers;
    if (nest->takers != NULL)
        nest->takers->nest_prev = &t->nest_next;
    nest->takers = t;
    nest->busy++;
}

void nest_leave(struct taker *t)
{
    struct nest *nest = t->nest;

    *t->nest_prev = t->nest_next;
    if (t->nest_next != NULL)
        t->nest_next->nest_prev = t->nest_prev;
    t->nest = NULL;
    nest->busy--;
    nest->used_us = clock_now_us();
    settle(nest);
}

uint32_t nest_highest_network(const struct nest *nest)
{
    if (nest->number != 0)
        return nest->config.make.network;
    return nest->engine->config.network != SPAWN_NETWORK_NONE ? SPAWN_NETWORK_BRIDGE
                                                              : SPAWN_NETWORK_NONE;
}

void nest_take(struct taker *t, enum spawn_kind kind, uint32_t network)
{
    struct nest *nest = t->nest;

    t->pool = &nest->pools[nest->is_warm ? kind : SPAWN_COLD];
    if (nest->state == NEST_FAILED) {
        t->ops->unserved(t, nest->error.text);
        return;
    }
    if (network > nest_highest_network(nest)) {
        t->ops->unserved(t, "network: more than this environment may have");
        return;
    }
    if (!nest->closing && nest->number != 0)
        nest->pools[nest->is_warm ? SPAWN_WARM : SPAWN_COLD].min = nest->min;
    pool_take(t->pool, t);
}

/* Runs of an opened nest rather start cold than wait for an interpreter that may never come. */
static bool is_impatient(const struct nest *nest)
{
    const struct pool *warm = &nest->pools[SPAWN_WARM];

    return nest->number != 0 && nest->state == NEST_UP && (!warm->made || warm->failures > 0) &&
           warm->waiting != NULL &&
           clock_now_us() - warm->waiting->waiting_since_us > WARM_PATIENCE_US;
}

void nest_tick(struct nest *nest)
{
    struct pool *warm = &nest->pools[SPAWN_WARM], *cold = &nest->pools[SPAWN_COLD];

    if (is_impatient(nest))
        pool_hand_over(warm, cold);
    pool_tick(cold);
    pool_tick(warm);
}

bool nest_is_up(const struct nest *nest)
{
    return nest->state == NEST_UP;
}

uint32_t nest_busy(const struct nest *nest)
{
    return nest->busy;
}

uint64_t nest_used_us(const struct nest *nest)
{
    return nest->used_us;
}

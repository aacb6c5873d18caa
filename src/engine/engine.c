/* engine: pools, heartbeat and health.
 *
 * Runs in the server's loop. */
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "engine/internal.h"

#define TICK_MS         100
#define REFILL_DELAY_MS 1       /* after the end of a run: its answer goes out first */
#define PING_TICKS      20      /* a ping every two seconds */
#define PONG_TIMEOUT_US 1000000 /* a nest that needs longer is stuck */

static void on_spawner_gone(void *data)
{
    struct engine *en = data;

    en->spawner_gone = true;
    lives_spawner_gone(en);
    en->config.on_spawner_gone(en->config.data);
}

static void on_pong(void *data, const struct spawn_reply *reply, int *fds)
{
    struct engine *en = data;

    en->pinged_us = 0;
    en->pong_good = reply->error == 0;
}

static void ping(struct engine *en)
{
    struct spawn_request req = {.op = SPAWN_PING};

    if (en->pinged_us != 0)
        return;
    en->pinged_us = clock_now_us();
    spawner_request(en->spawner, &req, on_pong, en);
}

static void on_tick(uv_timer_t *timer)
{
    struct engine *en = timer->data;

    if (en->spawner_gone)
        return;
    for (size_t i = 0; i < LIMIT_NESTS; i++) {
        if (en->nests[i] != NULL)
            nest_tick(en->nests[i]);
    }
    if (en->ticks++ % PING_TICKS == 0)
        ping(en);
}

static void on_refill(uv_timer_t *timer)
{
    struct engine *en = timer->data;

    for (size_t i = 0; i < LIMIT_NESTS; i++) {
        for (size_t kind = 0; kind < 2 && en->nests[i] != NULL; kind++)
            pool_refill(&en->nests[i]->pools[kind]);
    }
}

void engine_refill_soon(struct engine *en)
{
    if (!uv_is_active((uv_handle_t *)&en->refill))
        uv_timer_start(&en->refill, on_refill, REFILL_DELAY_MS, 0);
}

struct engine *engine_create(uv_loop_t *loop, const struct engine_config *config, struct err *e)
{
    struct engine *en = calloc(1, sizeof *en);

    if (en == NULL) {
        err_set(e, ERR_INTERNAL, 0, "out of memory");
        return NULL;
    }
    en->loop = loop;
    en->config = *config;
    en->pong_good = true;
    en->spawner = spawner_client_create(loop, config->spawner, on_spawner_gone, en, e);
    if (en->spawner == NULL || nest_create_built_in(en, e) == NULL) {
        spawner_client_destroy(en->spawner);
        free(en);
        return NULL;
    }
    uv_timer_init(loop, &en->tick);
    en->tick.data = en;
    uv_timer_start(&en->tick, on_tick, 0, TICK_MS);
    uv_timer_init(loop, &en->refill);
    en->refill.data = en;
    return en;
}

static void on_refill_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_tick_closed(uv_handle_t *handle)
{
    struct engine *en = handle->data;

    uv_close((uv_handle_t *)&en->refill, on_refill_closed);
}

void engine_destroy(struct engine *en)
{
    if (en == NULL)
        return;
    lives_finish(en);
    for (size_t i = 0; i < LIMIT_NESTS; i++)
        nest_destroy(en->nests[i]);
    layer_calls_finish(en);
    spawner_client_destroy(en->spawner);
    uv_close((uv_handle_t *)&en->tick, on_tick_closed);
}

/* The pool that most runs come from. */
static const struct pool *main_pool(const struct engine *en)
{
    return &en->nests[0]->pools[en->config.warm ? SPAWN_WARM : SPAWN_COLD];
}

void engine_health(struct engine *en, struct engine_health *ret)
{
    const struct pool *pool = main_pool(en);
    bool late = en->pinged_us != 0 && clock_now_us() - en->pinged_us > PONG_TIMEOUT_US;

    *ret = (struct engine_health){.idle = pool->nready, .busy = en->busy};
    ret->spawner = !en->spawner_gone && !late;
    ret->sandbox = !en->spawner_gone &&
                   (pool->nready > 0 || (pool->made && en->pong_good && pool->failures == 0));
    if (en->spawner_gone)
        snprintf(ret->reason, sizeof ret->reason, "the spawner is gone");
    else if (late)
        snprintf(ret->reason, sizeof ret->reason, "the spawner does not answer");
    else if (!ret->sandbox)
        snprintf(ret->reason, sizeof ret->reason, "%s",
                 pool->failures > 0 ? pool->reason : "the nest is starting");
}

/* environment_layers: which layers must stay, and the removal of all others.
 *
 * Runs in the server.  A record always goes before its file: what a crash leaves is a file without
 * a record, which the walk at the next start removes; never a record without its file. */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "service/environment_internal.h"

#define WALK_PAUSE     2 /* seconds */
#define WALK_PAUSE_MAX 600

static struct layer_pin **find_pin(struct environment_service *s, uint64_t layer)
{
    struct layer_pin **at = &s->pins;

    while (*at != NULL && (*at)->layer != layer)
        at = &(*at)->next;
    return at;
}

int layer_pin(struct environment_service *s, uint64_t layer, struct err *e)
{
    struct layer_pin **at = find_pin(s, layer);

    if (*at == NULL) {
        *at = calloc(1, sizeof **at);
        if (*at == NULL)
            return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
        (*at)->layer = layer;
    }
    (*at)->count++;
    return 0;
}

void layer_unpin(struct environment_service *s, uint64_t layer)
{
    struct layer_pin **at = find_pin(s, layer), *pin = *at;

    if (pin == NULL || --pin->count > 0)
        return;
    *at = pin->next;
    free(pin);
    environment_soon(s);
}

struct removal {
    struct environment_service *service;
    void (*done)(void *data);
    void *data;
};

/* Something may hold the file for a moment longer (a nest that died): a walk finds it again, later
 * each time. */
static void try_again(struct environment_service *s, const struct err *e)
{
    if (e->errnum == ENOENT || s->walk_ticks > 0)
        return;
    log_event(LOG_DEBUG, "layer.not_removed", LOG_STR("reason", e->text));
    s->walk_pause = s->walk_pause == 0               ? WALK_PAUSE
                    : s->walk_pause < WALK_PAUSE_MAX ? 2 * s->walk_pause
                                                     : WALK_PAUSE_MAX;
    s->walk_ticks = s->walk_pause;
}

static void on_removed(void *data, uint64_t value, const struct err *e)
{
    struct removal *r = data;

    if (e == NULL)
        r->service->walk_pause = 0;
    else
        try_again(r->service, e);
    if (r->done != NULL)
        r->done(r->data);
    free(r);
}

void layers_tick(struct environment_service *s)
{
    if (s->walk_ticks > 0 && --s->walk_ticks == 0)
        layers_walk(s);
}

/* False: out of memory, and `done` is not called. */
static bool remove_file(struct environment_service *s, uint64_t layer, void (*done)(void *data),
                        void *data)
{
    struct removal *r = calloc(1, sizeof *r);

    if (r == NULL)
        return false;
    *r = (struct removal){.service = s, .done = done, .data = data};
    log_event(LOG_DEBUG, "layer.remove", LOG_INT("layer", (int64_t)layer));
    if (layer_remove(s->config.engine, layer, on_removed, r) == 0)
        return true;
    free(r);
    return false;
}

bool layer_discard(struct environment_service *s, uint64_t layer, void (*done)(void *data),
                   void *data)
{
    struct err e = {0};

    if (store_layer_remove(s->store, layer, &e) == 0)
        return remove_file(s, layer, done, data);
    log_event(LOG_WARNING, "layer.not_removed", LOG_INT("layer", (int64_t)layer),
              LOG_STR("reason", e.text));
    return false;
}

static uint64_t bytes_of(struct environment_service *s, uint64_t layer)
{
    struct layer_record r;
    uint64_t bytes;

    if (store_layer_get(s->store, layer, &r, NULL) < 0)
        return 0;
    bytes = r.bytes;
    layer_record_finish(&r);
    return bytes;
}

/* One pass in order; true if it has removed something, so that a layer beneath may be free now. */
static bool sweep_once(struct environment_service *s, uint32_t *removed, uint64_t *bytes)
{
    const char *const keep[] = {s->config.host_base, s->config.host_tools};
    uint64_t layer = 0, size;
    bool any = false;

    while (store_layer_unused(s->store, layer, keep, 2, &layer, NULL) == 0 && layer != 0) {
        if (*find_pin(s, layer) != NULL)
            continue;
        size = bytes_of(s, layer);
        if (!layer_discard(s, layer, NULL, NULL))
            continue;
        any = true;
        if (removed != NULL)
            ++*removed;
        if (bytes != NULL)
            *bytes += size;
    }
    return any;
}

void layers_sweep(struct environment_service *s, uint32_t *removed, uint64_t *bytes)
{
    if (s->store == NULL)
        return;
    while (sweep_once(s, removed, bytes))
        ;
}

/* -- on the disk ------------------------------------------------------------------------------- */

static void ask_next(struct environment_service *s, uint64_t after);

static void on_next(void *data, uint64_t layer, const struct err *e)
{
    struct environment_service *s = data;
    struct layer_record r;

    if (e != NULL) {
        log_event(LOG_WARNING, "layers.walk", LOG_STR("reason", e->text));
        return;
    }
    if (layer == 0)
        return;
    /* A layer that is being made has a record already. */
    if (store_layer_get(s->store, layer, &r, NULL) == 0) {
        if (r.id == 0)
            remove_file(s, layer, NULL, NULL);
        layer_record_finish(&r);
    }
    ask_next(s, layer);
}

static void ask_next(struct environment_service *s, uint64_t after)
{
    layer_next(s->config.engine, after, on_next, s);
}

void layers_walk(struct environment_service *s)
{
    ask_next(s, 0);
}

/* image: importing, listing and removing base images.
 *
 * Runs in the server, on the loop. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "service/environment_internal.h"
#include "service/image.h"
#include "service/image_job.h"

#define COLLECT_MAX 1000 /* images in one collection */

/* -- import ------------------------------------------------------------------------------------ */

struct import {
    struct environment_service *service;
    uint64_t input;
    void (*done)(void *data, const struct err *e);
    void *data;
};

static void on_input_removed(void *data, uint64_t value, const struct err *e)
{
    if (e != NULL)
        log_event(LOG_WARNING, "import.not_removed", LOG_STR("reason", e->text));
}

static void on_imported(void *data, const char *reason)
{
    struct import *i = data;
    struct err e = {0};

    if (reason != NULL)
        err_set(&e, ERR_INVALID, 0, "%s", reason);
    input_remove(i->service->config.engine, i->input, on_input_removed, NULL);
    i->done(i->data, reason != NULL ? &e : NULL);
    free(i);
}

int image_import(struct environment_service *s, const struct image_wanted *w,
                 void (*done)(void *data, const struct err *e), void *data, struct err *e)
{
    struct import *i;
    struct image_wanted_job job = {
        .kind = IMAGE_JOB_IMPORT, .name = w->name, .input = w->input, .on_done = on_imported};

    if (!resolve_is_image_name(w->name))
        return err_set(e, ERR_INVALID, 0, "'%.100s' cannot be the name of an image", w->name);
    if (w->input == 0)
        return err_set(e, ERR_INVALID, 0, "an import needs the number of its archive");
    if (image_job_is_running(s, IMAGE_JOB_IMPORT, w->name))
        return err_set(e, ERR_EXISTS, 0, "image %.100s is being imported", w->name);
    i = calloc(1, sizeof *i);
    if (i == NULL)
        return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
    *i = (struct import){.service = s, .input = w->input, .done = done, .data = data};
    job.data = i;
    if (image_job_want(s, &job, e) == NULL) {
        free(i);
        return -1;
    }
    return 0;
}

/* -- list -------------------------------------------------------------------------------------- */

static uint32_t count_users(const struct environment_service *s, uint64_t layer)
{
    uint32_t n = 0;

    for (const struct environment *env = s->first; env != NULL; env = env->next)
        n += env->record.base_layer == layer;
    return n;
}

struct listing {
    struct environment_service *service;
    int (*each)(void *data, const struct image_record *r, uint32_t environments);
    void *data;
};

static int list_one(void *data, const struct image_record *r)
{
    struct listing *l = data;

    return l->each(l->data, r, count_users(l->service, r->layer));
}

int image_list(struct environment_service *s,
               int (*each)(void *data, const struct image_record *r, uint32_t environments),
               void *data, struct err *e)
{
    struct listing l = {s, each, data};

    return store_images(s->store, list_one, &l, e);
}

/* -- remove ------------------------------------------------------------------------------------ */

/* "a, b" */
static void name_users(const struct environment_service *s, uint64_t layer, char *out, size_t cap)
{
    size_t len = 0;

    out[0] = '\0';
    for (const struct environment *env = s->first; env != NULL && len < cap; env = env->next) {
        if (env->record.base_layer == layer)
            len += (size_t)snprintf(out + len, cap - len, "%s%s", len > 0 ? ", " : "",
                                    env->record.name);
    }
}

int image_remove(struct environment_service *s, const char *name, struct err *e)
{
    struct image_record image = {0};
    char users[120];
    uint64_t layer;

    if (store_image_get(s->store, name, &image, e) < 0)
        return -1;
    if (image.name == NULL)
        return err_set(e, ERR_NOT_FOUND, 0, "there is no image '%.100s'", name);
    layer = image.layer;
    image_record_finish(&image);
    name_users(s, layer, users, sizeof users);
    if (users[0] != '\0')
        return err_set(e, ERR_EXISTS, 0, "environments are built on it: %s", users);
    if (store_image_remove(s->store, name, e) < 0)
        return -1;
    log_event(LOG_INFO, "image.removed", LOG_STR("name", name));
    environment_soon(s);
    return 0;
}

/* -- collect ----------------------------------------------------------------------------------- */

struct names {
    struct environment_service *service;
    char *name[COLLECT_MAX];
    size_t n;
};

static int note_unused(void *data, const struct image_record *r)
{
    struct names *names = data;

    if (count_users(names->service, r->layer) == 0 && names->n < COLLECT_MAX) {
        names->name[names->n] = strdup(r->name);
        names->n += names->name[names->n] != NULL;
    }
    return 0;
}

struct collection {
    uv_timer_t timer;
    uint32_t removed;
    uint64_t bytes;
    void (*done)(void *data, uint32_t removed, uint64_t bytes);
    void *data;
};

static void on_collection_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_collected(uv_timer_t *timer)
{
    struct collection *c = timer->data;

    c->done(c->data, c->removed, c->bytes);
    uv_close((uv_handle_t *)timer, on_collection_closed);
}

static int remove_unused_images(struct environment_service *s, uint32_t *removed, struct err *e)
{
    struct names *names = calloc(1, sizeof *names);
    int r;

    if (names == NULL)
        return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
    names->service = s;
    r = store_images(s->store, note_unused, names, e);
    for (size_t i = 0; i < names->n; i++) {
        if (r == 0 && store_image_remove(s->store, names->name[i], e) == 0)
            ++*removed;
        free(names->name[i]);
    }
    free(names);
    return r;
}

int image_gc(struct environment_service *s,
             void (*done)(void *data, uint32_t removed, uint64_t bytes), void *data, struct err *e)
{
    struct collection *c = calloc(1, sizeof *c);
    uint32_t layers = 0;

    if (c == NULL)
        return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
    c->done = done;
    c->data = data;
    if (remove_unused_images(s, &c->removed, e) < 0) {
        free(c);
        return -1;
    }
    layers_sweep(s, &layers, &c->bytes);
    log_event(LOG_INFO, "image.collected", LOG_INT("images", c->removed), LOG_INT("layers", layers),
              LOG_INT("bytes", (int64_t)c->bytes));
    uv_timer_init(s->config.loop, &c->timer);
    c->timer.data = c;
    uv_timer_start(&c->timer, on_collected, 0, 0);
    return 0;
}

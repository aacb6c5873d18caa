/* layer: work of the spawner on layers, imported archives and workspaces, asked for and reported.
 *
 * Runs in the server's loop.  Trusts the spawner's answers; layers and workspaces are numbers, no
 * path is known here. */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "engine/internal.h"
#include "engine/live.h"

#define PATIENCE_US 10000000 /* something else that is done with a workspace is waited for */
#define AGAIN_MS    5        /* between two attempts */

/* One question and who asked it. */
struct layer_call {
    struct layer_call *next, **prev;
    struct engine *engine;
    struct spawn_request req;
    uint64_t until_us; /* so long EAGAIN is no answer */
    uv_timer_t timer;
    layer_done *done;
    void (*grown)(void *data, const struct err *e); /* instead of done */
    void *data;
};

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void unlink_call(struct layer_call *call)
{
    *call->prev = call->next;
    if (call->next != NULL)
        call->next->prev = call->prev;
    uv_close((uv_handle_t *)&call->timer, on_timer_closed);
}

static void on_again(uv_timer_t *timer);

static void on_answer(void *data, const struct spawn_reply *reply, int *fds)
{
    struct layer_call *call = data;
    bool is_next = reply->op == SPAWN_LAYER_NEXT;
    struct layer_call asked = *call;
    struct err e = {0};

    if (reply->error == EAGAIN && clock_now_us() < call->until_us) {
        uv_timer_start(&call->timer, on_again, AGAIN_MS, 0);
        return;
    }
    unlink_call(call);
    if (reply->error != 0)
        spawner_reply_error(&e, reply, "work on a layer or workspace");
    if (asked.grown != NULL)
        asked.grown(asked.data, reply->error != 0 ? &e : NULL);
    else if (reply->error != 0)
        asked.done(asked.data, 0, &e);
    else
        asked.done(asked.data, is_next ? reply->layer : reply->bytes, NULL);
}

static void on_again(uv_timer_t *timer)
{
    struct layer_call *call = timer->data;

    spawner_request(call->engine->spawner, &call->req, on_answer, call);
}

static int ask_as(struct engine *en, const struct spawn_request *req,
                  const struct layer_call *asked)
{
    struct layer_call *call = calloc(1, sizeof *call);

    if (call == NULL)
        return -1;
    *call = *asked;
    call->engine = en;
    call->req = *req;
    uv_timer_init(en->loop, &call->timer);
    call->timer.data = call;
    call->next = en->layer_calls;
    call->prev = &en->layer_calls;
    if (en->layer_calls != NULL)
        en->layer_calls->prev = &call->next;
    en->layer_calls = call;
    spawner_request(en->spawner, req, on_answer, call);
    return 0;
}

static int ask(struct engine *en, const struct spawn_request *req, layer_done *done, void *data)
{
    return ask_as(en, req, &(struct layer_call){.done = done, .data = data});
}

void layer_calls_finish(struct engine *en)
{
    while (en->layer_calls != NULL) {
        spawner_forget(en->spawner, en->layer_calls);
        unlink_call(en->layer_calls);
    }
}

int layer_make_host(struct engine *en, enum spawn_host_layer which, uint64_t layer,
                    layer_done *done, void *data)
{
    struct spawn_request req = {.op = SPAWN_LAYER_HOST, .kind = which, .layer = layer};

    return ask(en, &req, done, data);
}

int layer_remove(struct engine *en, uint64_t layer, layer_done *done, void *data)
{
    struct spawn_request req = {.op = SPAWN_LAYER_REMOVE, .layer = layer};

    return ask(en, &req, done, data);
}

int layer_next(struct engine *en, uint64_t after, layer_done *done, void *data)
{
    struct spawn_request req = {.op = SPAWN_LAYER_NEXT, .layer = after};

    return ask(en, &req, done, data);
}

int input_remove(struct engine *en, uint64_t input, layer_done *done, void *data)
{
    struct spawn_request req = {.op = SPAWN_INPUT_REMOVE, .layer = input};

    return ask(en, &req, done, data);
}

/* -- workspaces -------------------------------------------------------------------------------- */

static int ask_patiently(struct engine *en, const struct spawn_request *req, workspace_done *done,
                         void *data)
{
    return ask_as(
        en, req,
        &(struct layer_call){.done = done, .data = data, .until_us = clock_now_us() + PATIENCE_US});
}

int workspace_copy(struct engine *en, uint64_t from, uint64_t to, workspace_done *done, void *data)
{
    struct spawn_request req = {.op = SPAWN_WORKSPACE_COPY, .layer = from, .other = to};

    return ask_patiently(en, &req, done, data);
}

int workspace_remove(struct engine *en, uint64_t workspace, workspace_done *done, void *data)
{
    struct spawn_request req = {.op = SPAWN_WORKSPACE_REMOVE, .layer = workspace};

    return ask_patiently(en, &req, done, data);
}

int workspace_grow(struct engine *en, uint64_t workspace, uint64_t bytes,
                   void (*done)(void *data, const struct err *e), void *data)
{
    struct spawn_request req = {.op = SPAWN_WORKSPACE_GROW, .layer = workspace, .bytes = bytes};

    return ask_as(en, &req,
                  &(struct layer_call){
                      .grown = done, .data = data, .until_us = clock_now_us() + PATIENCE_US});
}

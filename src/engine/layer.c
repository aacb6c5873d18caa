/* layer: work of the spawner on layers and imported archives, asked for and reported.
 *
 * Runs in the server's loop.  Trusts the spawner's answers; layers are numbers, no path is known
 * here. */
#include <stdlib.h>

#include "engine/internal.h"

/* One question and who asked it. */
struct layer_call {
    struct layer_call *next, **prev;
    layer_done *done;
    void *data;
};

static void unlink_call(struct layer_call *call)
{
    *call->prev = call->next;
    if (call->next != NULL)
        call->next->prev = call->prev;
    free(call);
}

static void on_answer(void *data, const struct spawn_reply *reply, int *fds)
{
    struct layer_call *call = data;
    layer_done *done = call->done;
    void *asker = call->data;
    struct err e = {0};

    unlink_call(call);
    if (reply->error != 0) {
        spawner_reply_error(&e, reply, "work on a layer");
        done(asker, 0, &e);
        return;
    }
    done(asker, reply->op == SPAWN_LAYER_NEXT ? reply->layer : reply->bytes, NULL);
}

static int ask(struct engine *en, const struct spawn_request *req, layer_done *done, void *data)
{
    struct layer_call *call = calloc(1, sizeof *call);

    if (call == NULL)
        return -1;
    *call = (struct layer_call){
        .next = en->layer_calls, .prev = &en->layer_calls, .done = done, .data = data};
    if (en->layer_calls != NULL)
        en->layer_calls->prev = &call->next;
    en->layer_calls = call;
    spawner_request(en->spawner, req, on_answer, call);
    return 0;
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

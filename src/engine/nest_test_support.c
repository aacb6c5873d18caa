/* nest_test_support: plays the spawner and the sandboxes of an engine under test. */
#include "engine/nest_test_support.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test_support.h"
#include "engine/internal.h"
#include "engine/language.h"

static void on_gone(void *data)
{
    fail_msg("the spawner is gone");
}

int setup(void **state)
{
    struct fixture *x = calloc(1, sizeof *x);
    struct engine_config config = {.pool_max = 4,
                                   .limits = {512, 1000, 64, 128, 64},
                                   .work_dir = "/work",
                                   .network = SPAWN_NETWORK_BRIDGE,
                                   .warm = true,
                                   .on_spawner_gone = on_gone};
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(uv_loop_init(&x->loop), 0);
    config.spawner = pair[0];
    x->spawner = pair[1];
    x->fd = -1;
    fd_set_nonblock(pair[1], NULL);
    x->engine = engine_create(&x->loop, &config, NULL);
    assert_non_null(x->engine);
    /* What nest 0 would make for health is of no use to these tests. */
    x->engine->nests[0]->pools[SPAWN_WARM].is_proof = false;
    *state = x;
    return 0;
}

void turn(struct fixture *x)
{
    for (int i = 0; i < 8; i++) {
        uv_run(&x->loop, UV_RUN_NOWAIT);
        usleep(500);
    }
}

int teardown(void **state)
{
    struct fixture *x = *state;

    for (int i = 0; i < x->nstarted; i++) {
        if (x->started[i].run != NULL)
            run_cancel(x->started[i].run);
    }
    turn(x);
    engine_destroy(x->engine);
    uv_run(&x->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&x->loop), 0);
    for (uint32_t i = 0; i < x->nboxes; i++) {
        fd_close(&x->boxes[i].control);
        fd_close(&x->boxes[i].out);
        fd_close(&x->boxes[i].err);
    }
    fd_close(&x->spawner);
    fd_close(&x->fd);
    free(x);
    return 0;
}

/* -- the spawner ------------------------------------------------------------------------------- */

static bool hear_now(struct fixture *x)
{
    size_t nfds = 0;

    fd_close(&x->fd);
    do {
        if (fd_recv(x->spawner, &x->req, sizeof x->req, &x->fd, 1, &nfds, NULL) != sizeof x->req)
            return false;
    } while (x->req.op == SPAWN_PING);
    if (nfds == 0)
        x->fd = -1;
    return true;
}

/* The next request; it must be `op` for this nest. */
void hear(struct fixture *x, enum spawn_op op, uint32_t nest)
{
    bool heard = false;

    for (int i = 0; i < TURNS && !(heard = hear_now(x)); i++) {
        uv_run(&x->loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    assert_true(heard);
    assert_int_equal(x->req.op, op);
    if (op == SPAWN_OPEN || op == SPAWN_NEST_OPEN || op == SPAWN_NEST_CLOSE)
        assert_int_equal(x->req.nest, nest);
}

void hear_nothing(struct fixture *x)
{
    for (int i = 0; i < 4; i++) {
        turn(x);
        if (hear_now(x))
            fail_msg("heard %u", x->req.op);
    }
}

void reply(struct fixture *x, const struct spawn_reply *r)
{
    assert_int_equal(fd_send(x->spawner, r, sizeof *r, NULL, 0, NULL), 0);
    turn(x);
}

/* Answers the last request, which was about a nest. */
void reply_nest(struct fixture *x, int error, const char *text)
{
    struct spawn_reply r = {.op = x->req.op, .nest = x->req.nest, .error = error, .bytes = 77};

    snprintf(r.text, sizeof r.text, "%s", text);
    reply(x, &r);
}

/* Answers SPAWN_OPEN with a sandbox that the test plays; its slot. */
uint32_t reply_open(struct fixture *x)
{
    struct spawn_reply r = {.op = SPAWN_OPEN, .slot = x->nboxes, .cgroup = 2};
    struct box *box = &x->boxes[x->nboxes++];
    int control[2], out[2], err[2], fds[SPAWN_OPEN_FDS];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(err, O_CLOEXEC), 0);
    *box = (struct box){control[1], out[1], err[1]};
    fd_set_nonblock(box->control, NULL);
    fds[0] = control[0];
    fds[1] = out[0];
    fds[2] = err[0];
    assert_int_equal(fd_send(x->spawner, &r, sizeof r, fds, SPAWN_OPEN_FDS, NULL), 0);
    for (int i = 0; i < SPAWN_OPEN_FDS; i++)
        close(fds[i]);
    return r.slot;
}

static void say(struct fixture *x, uint32_t slot, enum frame_type type, const void *payload,
                size_t len)
{
    char header[FRAME_HEADER];

    frame_header(header, type, len);
    assert_int_equal(write(x->boxes[slot].control, header, sizeof header), sizeof header);
    if (len > 0)
        assert_int_equal(write(x->boxes[slot].control, payload, len), len);
    turn(x);
}

/* Makes the sandbox that is being asked for. */
uint32_t make_box(struct fixture *x, uint32_t nest, enum spawn_kind kind)
{
    uint32_t slot;

    hear(x, SPAWN_OPEN, nest);
    assert_int_equal(x->req.kind, kind);
    slot = reply_open(x);
    say(x, slot, FRAME_READY, NULL, 0);
    return slot;
}

bool has_job(struct fixture *x, uint32_t slot)
{
    char bytes[4096];

    turn(x);
    return recv(x->boxes[slot].control, bytes, sizeof bytes, MSG_PEEK) > 0;
}

/* The sandbox's run ends well. */
void end_run(struct fixture *x, uint32_t slot)
{
    struct frame_exit verdict = {.wall_us = 5};
    struct spawn_reply r = {.op = SPAWN_USAGE, .slot = slot};

    assert_true(has_job(x, slot));
    say(x, slot, FRAME_EXIT, &verdict, sizeof verdict);
    hear(x, SPAWN_USAGE, 0);
    reply(x, &r);
    say(x, slot, FRAME_DONE, NULL, 0);
    hear(x, SPAWN_CLOSE, 0);
    assert_int_equal(x->req.slot, slot);
}

void reply_start(struct fixture *x, uint32_t slot)
{
    struct spawn_reply r = {.op = SPAWN_START, .slot = slot};

    hear(x, SPAWN_START, 0);
    assert_int_equal(x->req.slot, slot);
    reply(x, &r);
}

/* -- the owner --------------------------------------------------------------------------------- */

static void on_output(void *data, int stream, const char *bytes, size_t len)
{
    struct started *s = data;

    if (stream == 1)
        s->x->noutput += len;
}

static void on_done(void *data, struct run_result *result)
{
    struct started *s = data;
    struct fixture *x = s->x;

    s->run = NULL;
    x->outcomes[x->nresults] = result->outcome;
    if (result->message != NULL)
        snprintf(x->messages[x->nresults], sizeof x->messages[0], "%s", result->message);
    if (result->isolation.network != NULL)
        snprintf(x->network, sizeof x->network, "%s", result->isolation.network);
    x->warm = result->isolation.warm;
    x->nresults++;
    run_result_finish(result);
}

void start(struct fixture *x, struct run_spec *spec, struct nest *nest)
{
    struct started *s = &x->started[x->nstarted++];
    struct run_events events = {.on_output = on_output, .on_done = on_done, .data = s};

    spec->nest = nest;
    spec->timeout_ms = 5000;
    if (spec->program == NULL) {
        spec->language = language_find("python");
        spec->code = strdup("pass");
        spec->code_len = 4;
    }
    s->x = x;
    s->run = engine_run(x->engine, spec, &events, NULL);
    assert_non_null(s->run);
}

static void on_failed(struct nest *nest, const struct err *e, void *data)
{
    struct fixture *x = data;

    x->nfailed++;
    x->failure = *e;
}

void on_closed(void *data, uint64_t bytes, const struct err *e)
{
    struct fixture *x = data;

    x->nclosed++;
    x->bytes = bytes;
    if (e != NULL)
        x->closed = *e;
}

struct nest *open_nest(struct fixture *x, bool warm, uint32_t pool_min)
{
    struct nest_config config = {.make = {.kind = SPAWN_NEST_RUN,
                                          .network = SPAWN_NETWORK_BRIDGE,
                                          .nlayers = 1,
                                          .layers = {3}},
                                 .modules = warm ? "numpy\npandas\n" : NULL,
                                 .pool_min = pool_min,
                                 .pool_max = 4,
                                 .on_failed = on_failed,
                                 .data = x};
    struct nest *nest;

    config.make.warm = warm;
    nest = nest_open(x->engine, &config, NULL);
    assert_non_null(nest);
    return nest;
}

struct nest *open_up(struct fixture *x, bool warm, uint32_t pool_min)
{
    struct nest *nest = open_nest(x, warm, pool_min);

    assert_false(nest_is_up(nest));
    hear(x, SPAWN_NEST_OPEN, 1);
    reply_nest(x, 0, "");
    assert_true(nest_is_up(nest));
    return nest;
}

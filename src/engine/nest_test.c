/* Tests of nest and layer, with a real engine and a spawner that says what the test wants. */
#include "engine/nest.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/test_support.h"
#include "engine/internal.h"
#include "engine/nest_test_support.h"

static void runs_wait_for_their_nest_and_are_then_served(void **state)
{
    struct fixture *x = *state;
    struct nest *nest = open_nest(x, false, 0);
    uint32_t slot;

    start(x, run_spec_create(), nest);
    assert_int_equal(nest_busy(nest), 1);
    hear(x, SPAWN_NEST_OPEN, 1);
    assert_int_equal(x->req.make.layers[0], 3);
    hear_nothing(x);
    x->req = (struct spawn_request){.op = SPAWN_NEST_OPEN, .nest = 1};
    reply_nest(x, 0, "");
    slot = make_box(x, 1, SPAWN_COLD);
    reply_start(x, slot);
    end_run(x, slot);
    turn(x);
    assert_int_equal(x->nresults, 1);
    assert_int_equal(x->outcomes[0], RUN_EXITED);
    assert_string_equal(x->network, "none");
    assert_int_equal(nest_busy(nest), 0);
    assert_true(nest_used_us(nest) > 0);
}

/* A job that its init never took would be told as a run that reached its time limit. */
static void a_run_that_was_not_handed_over_has_failed(void **state)
{
    struct fixture *x = *state;
    struct nest *nest = open_up(x, false, 0);
    struct run_spec *spec = run_spec_create();
    uint32_t slot;

    spec->stdin_len = 4 << 20; /* more than the socket takes */
    spec->stdin_data = calloc(1, spec->stdin_len);
    start(x, spec, nest);
    slot = make_box(x, 1, SPAWN_COLD);
    reply_start(x, slot);
    assert_true(has_job(x, slot));
    x->started[0].run->timer.timer_cb(&x->started[0].run->timer);
    assert_int_equal(x->outcomes[0], RUN_FAILED);
    assert_string_equal(x->messages[0], "the sandbox did not take its job in time");
}

static void a_list_of_modules_goes_along_as_a_sealed_file(void **state)
{
    struct fixture *x = *state;
    char text[64] = "";

    open_nest(x, true, 0);
    hear(x, SPAWN_NEST_OPEN, 1);
    assert_int_equal(x->req.make.warm, 1);
    assert_true(x->fd >= 0);
    assert_int_equal(pread(x->fd, text, sizeof text, 0), 13);
    assert_string_equal(text, "numpy\npandas\n");
    assert_int_equal(fcntl(x->fd, F_GET_SEALS),
                     F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    assert_true(write(x->fd, "x", 1) < 0);
}

static void nothing_is_kept_ready_before_the_first_run(void **state)
{
    struct fixture *x = *state;
    struct nest *nest = open_up(x, true, 2);
    uint32_t slot;

    hear_nothing(x);
    start(x, run_spec_create(), nest);
    slot = make_box(x, 1, SPAWN_WARM);
    reply_start(x, slot);
    make_box(x, 1, SPAWN_WARM);
    make_box(x, 1, SPAWN_WARM);
    end_run(x, slot);
    hear_nothing(x);
    assert_true(x->warm);
}

static void a_nest_that_cannot_be_made_tells_its_runs_and_its_owner(void **state)
{
    struct fixture *x = *state;
    struct nest *nest = open_nest(x, false, 0);

    start(x, run_spec_create(), nest);
    start(x, run_spec_create(), nest);
    hear(x, SPAWN_NEST_OPEN, 1);
    reply_nest(x, EIO, "layer 3: not an ext4 file system");
    assert_int_equal(x->nresults, 2);
    assert_int_equal(x->outcomes[1], RUN_FAILED);
    assert_string_equal(x->messages[1], "layer 3: not an ext4 file system");
    assert_int_equal(x->nfailed, 1);
    assert_string_equal(x->failure.text, "layer 3: not an ext4 file system");
    assert_false(nest_is_up(nest));

    start(x, run_spec_create(), nest); /* the owner has not reacted yet */
    turn(x);
    assert_int_equal(x->nresults, 3);
    nest_close(nest, false, on_closed, x);
    assert_int_equal(x->nclosed, 0);
    turn(x);
    assert_int_equal(x->nclosed, 1);
    assert_int_equal(x->closed.errnum, EIO);
    hear_nothing(x); /* the spawner has no such nest */
}

static void without_an_interpreter_runs_start_cold(void **state)
{
    struct fixture *x = *state;
    struct nest *nest = open_up(x, true, 0);
    uint32_t slot;

    start(x, run_spec_create(), nest);
    hear(x, SPAWN_OPEN, 1);
    assert_int_equal(x->req.kind, SPAWN_WARM);
    reply(x, &(struct spawn_reply){.op = SPAWN_OPEN, .error = ENOENT});
    slot = make_box(x, 1, SPAWN_COLD);
    reply_start(x, slot);
    end_run(x, slot);
    assert_false(x->warm);
    start(x, run_spec_create(), nest);
    make_box(x, 1, SPAWN_COLD);
}

static void an_interpreter_that_always_fails_is_not_waited_for(void **state)
{
    struct fixture *x = *state;
    struct nest *nest = open_up(x, true, 0);
    int attempts = 0;

    start(x, run_spec_create(), nest);
    for (hear(x, SPAWN_OPEN, 1); x->req.kind == SPAWN_WARM; hear(x, SPAWN_OPEN, 1)) {
        reply(x, &(struct spawn_reply){.op = SPAWN_OPEN, .error = EPROTO});
        assert_true(++attempts < 20);
    }
    assert_in_range(attempts, 3, 12);
    reply_open(x);
}

static void a_run_does_not_wait_long_for_an_interpreter(void **state)
{
    struct fixture *x = *state;
    struct nest *nest = open_up(x, true, 0);
    uint32_t slot;

    start(x, run_spec_create(), nest);
    hear(x, SPAWN_OPEN, 1);
    assert_int_equal(x->req.kind, SPAWN_WARM);
    reply_open(x); /* it never becomes ready: the zygote still imports */
    usleep(2100000);
    slot = make_box(x, 1, SPAWN_COLD);
    reply_start(x, slot);
    assert_true(has_job(x, slot));
}

static struct run_spec *program_spec(bool is_stream)
{
    struct run_spec *spec = run_spec_create();

    spec->program = calloc(1, sizeof *spec->program);
    spec->program[0] = strdup("/opt/dunlin/build/setup");
    spec->nprogram = 1;
    spec->is_stream = is_stream;
    return spec;
}

static void fresh_runs_and_our_own_programs_start_cold(void **state)
{
    struct fixture *x = *state;
    struct nest *nest = open_up(x, true, 0);
    struct run_spec *fresh = run_spec_create();

    fresh->fresh = true;
    start(x, fresh, nest);
    reply_start(x, make_box(x, 1, SPAWN_COLD));
    start(x, program_spec(false), nest);
    reply_start(x, make_box(x, 1, SPAWN_COLD));
    start(x, run_spec_create(), nest);
    reply_start(x, make_box(x, 1, SPAWN_WARM));
}

/* Writes until the engine takes no more, or `len` bytes; how many it was. */
static size_t print(struct fixture *x, uint32_t slot, size_t len)
{
    static const char bytes[64 << 10];
    size_t done = 0;
    ssize_t n;

    fd_set_nonblock(x->boxes[slot].out, NULL);
    while (done < len) {
        n = write(x->boxes[slot].out, bytes, len - done < sizeof bytes ? len - done : sizeof bytes);
        if (n < 0 && x->started[0].run == NULL)
            break;
        done += n > 0 ? (size_t)n : 0;
        uv_run(&x->loop, UV_RUN_NOWAIT);
    }
    return done;
}

static void a_stream_has_no_end_but_that_of_another_program(void **state)
{
    struct fixture *x = *state;
    uint32_t slot;

    start(x, program_spec(true), open_up(x, false, 0));
    reply_start(x, slot = make_box(x, 1, SPAWN_COLD));
    assert_true(has_job(x, slot));
    assert_int_equal(print(x, slot, 80 << 20), 80 << 20);
    turn(x);
    assert_int_equal(x->noutput, 80 << 20);
    end_run(x, slot);
    assert_int_equal(x->outcomes[0], RUN_EXITED);
}

static void other_programs_are_ended_when_they_print_too_much(void **state)
{
    struct fixture *x = *state;
    uint32_t slot;

    start(x, program_spec(false), open_up(x, false, 0));
    reply_start(x, slot = make_box(x, 1, SPAWN_COLD));
    assert_true(has_job(x, slot));
    assert_true(print(x, slot, 80 << 20) < 80 << 20);
    turn(x);
    assert_int_equal(x->outcomes[0], RUN_SIGNALED);
}

static void a_stream_waits_for_who_reads_it(void **state)
{
    struct fixture *x = *state;
    uint32_t slot;

    start(x, program_spec(true), open_up(x, false, 0));
    reply_start(x, slot = make_box(x, 1, SPAWN_COLD));
    assert_true(has_job(x, slot));
    assert_int_equal(write(x->boxes[slot].out, "one", 3), 3);
    turn(x);
    assert_int_equal(x->noutput, 3);
    run_pause(x->started[0].run, true);
    assert_int_equal(write(x->boxes[slot].out, "more", 4), 4);
    turn(x);
    assert_int_equal(x->noutput, 3);
    run_pause(x->started[0].run, false);
    turn(x);
    assert_int_equal(x->noutput, 7);
    /* What it has printed is not lost when it ends meanwhile. */
    run_pause(x->started[0].run, true);
    assert_int_equal(write(x->boxes[slot].out, "last", 4), 4);
    end_run(x, slot);
    assert_int_equal(x->noutput, 11);
}

static void a_stream_that_is_over_can_be_paused(void **state)
{
    struct fixture *x = *state;
    uint32_t slot;

    start(x, program_spec(true), open_up(x, false, 0));
    reply_start(x, slot = make_box(x, 1, SPAWN_COLD));
    assert_true(has_job(x, slot));
    fd_close(&x->boxes[slot].out);
    turn(x);
    run_pause(x->started[0].run, true);
    run_pause(x->started[0].run, false);
    turn(x);
    hear_nothing(x); /* its counters are not asked for as if both outputs had been closed */
    end_run(x, slot);
    assert_int_equal(x->outcomes[0], RUN_EXITED);
}

static void closing_lets_runs_finish(void **state)
{
    struct fixture *x = *state;
    struct nest *nest = open_up(x, false, 0);
    uint32_t slot;

    start(x, run_spec_create(), nest);
    slot = make_box(x, 1, SPAWN_COLD);
    reply_start(x, slot);
    nest_close(nest, false, on_closed, x);
    hear_nothing(x);
    end_run(x, slot);
    assert_int_equal(x->nresults, 1);
    assert_int_equal(x->outcomes[0], RUN_EXITED);
    hear(x, SPAWN_NEST_CLOSE, 1);
    assert_int_equal(x->nclosed, 0);
    reply_nest(x, 0, "");
    assert_int_equal(x->nclosed, 1);
    assert_int_equal(x->bytes, 77);
    assert_int_equal(x->closed.code, ERR_NONE);
    open_nest(x, false, 0);
    hear(x, SPAWN_NEST_OPEN, 1); /* the number is free again */
}

static void slots_are_given_back_before_their_nest(void **state)
{
    struct fixture *x = *state;
    struct nest *nest = open_up(x, false, 2);
    uint32_t slot;

    start(x, run_spec_create(), nest);
    slot = make_box(x, 1, SPAWN_COLD);
    reply_start(x, slot);
    slot = make_box(x, 1, SPAWN_COLD); /* the floor: one ready, one not answered yet */
    hear(x, SPAWN_OPEN, 1);
    run_cancel(x->started[0].run);
    hear(x, SPAWN_CLOSE, 0);
    nest_close(nest, false, on_closed, x);
    hear(x, SPAWN_CLOSE, 0);
    assert_int_equal(x->req.slot, slot);
    hear_nothing(x);
    slot = reply_open(x);
    hear(x, SPAWN_CLOSE, 0);
    assert_int_equal(x->req.slot, slot);
    hear(x, SPAWN_NEST_CLOSE, 1);
}

static void closing_may_end_runs_at_once(void **state)
{
    struct fixture *x = *state;
    struct nest *nest = open_up(x, false, 0);
    uint32_t slot;

    start(x, run_spec_create(), nest);
    slot = make_box(x, 1, SPAWN_COLD);
    reply_start(x, slot);
    start(x, run_spec_create(), nest);
    hear(x, SPAWN_OPEN, 1);
    reply(x, &(struct spawn_reply){.op = SPAWN_OPEN, .error = EAGAIN});
    nest_close(nest, true, on_closed, x);
    assert_int_equal(x->nresults, 0);
    turn(x);
    assert_int_equal(x->nresults, 2);
    assert_int_equal(x->outcomes[0], RUN_CANCELLED);
    assert_int_equal(x->outcomes[1], RUN_CANCELLED);
    hear(x, SPAWN_CLOSE, 0);
    hear(x, SPAWN_NEST_CLOSE, 1);
    reply_nest(x, ENOSPC, "the disk is full");
    assert_int_equal(x->nclosed, 1);
    assert_string_equal(x->closed.text, "the disk is full");
}

static void a_nest_may_be_closed_before_it_is_up(void **state)
{
    struct fixture *x = *state;
    struct nest *nest = open_nest(x, false, 0);

    nest_close(nest, false, on_closed, x);
    hear(x, SPAWN_NEST_OPEN, 1);
    hear_nothing(x);
    x->req = (struct spawn_request){.op = SPAWN_NEST_OPEN, .nest = 1};
    reply_nest(x, 0, "");
    hear(x, SPAWN_NEST_CLOSE, 1);
    reply_nest(x, 0, "");
    assert_int_equal(x->nclosed, 1);
    assert_int_equal(x->nfailed, 0);
}

static void a_nest_that_is_lost_tells_its_owner(void **state)
{
    struct fixture *x = *state;
    struct nest *nest = open_up(x, false, 0);

    start(x, run_spec_create(), nest);
    hear(x, SPAWN_OPEN, 1);
    reply(x, &(struct spawn_reply){.op = SPAWN_OPEN, .error = ESHUTDOWN});
    assert_int_equal(x->nfailed, 1);
    assert_int_equal(x->nresults, 1);
    assert_int_equal(x->outcomes[0], RUN_FAILED);
    nest_close(nest, false, on_closed, x);
    hear(x, SPAWN_NEST_CLOSE, 1); /* the spawner still holds its number */
    reply_nest(x, 0, "");
    assert_int_equal(x->nclosed, 1);
    assert_string_equal(x->closed.text, "the processes of the environment have ended");
}

static void the_number_of_nests_has_an_end(void **state)
{
    struct fixture *x = *state;
    struct nest_config config = {.make = {.kind = SPAWN_NEST_BUILD}};
    struct err e = {0};

    for (int i = 1; i < LIMIT_NESTS; i++)
        open_nest(x, false, 0);
    assert_null(nest_open(x->engine, &config, &e));
    assert_int_equal(e.code, ERR_LIMIT);
    config.make.network = SPAWN_NETWORK_HOST;
    assert_null(nest_open(x->engine, &config, &e));
    assert_int_equal(e.code, ERR_INVALID);
}

static void a_run_with_a_network_starts_when_it_is_attached(void **state)
{
    struct fixture *x = *state;
    struct run_spec *spec = run_spec_create();
    struct nest *nest = open_up(x, false, 0);
    uint32_t slot;

    spec->network = SPAWN_NETWORK_BRIDGE;
    start(x, spec, nest);
    slot = make_box(x, 1, SPAWN_COLD);
    hear(x, SPAWN_START, 0);
    assert_int_equal(x->req.network, SPAWN_NETWORK_BRIDGE);
    assert_false(has_job(x, slot));
    reply(x, &(struct spawn_reply){.op = SPAWN_START, .slot = slot});
    assert_true(has_job(x, slot));
    assert_int_equal(x->nresults, 0);
}

static void a_network_that_cannot_be_had_is_the_runs_answer(void **state)
{
    struct fixture *x = *state;
    struct run_spec *spec = run_spec_create();
    struct spawn_reply r = {.op = SPAWN_START, .error = ENOENT, .text = "nft is not installed"};

    spec->network = SPAWN_NETWORK_BRIDGE;
    start(x, spec, NULL);
    r.slot = make_box(x, 0, SPAWN_WARM);
    hear(x, SPAWN_START, 0);
    reply(x, &r);
    hear(x, SPAWN_USAGE, 0);
    reply(x, &(struct spawn_reply){.op = SPAWN_USAGE, .slot = r.slot});
    assert_int_equal(x->nresults, 1);
    assert_int_equal(x->outcomes[0], RUN_FAILED);
    assert_string_equal(x->messages[0], "network: nft is not installed");
    assert_string_equal(x->network, "bridge");
}

static void a_network_beyond_the_nests_is_the_runs_answer(void **state)
{
    struct fixture *x = *state;
    struct run_spec *spec = run_spec_create();

    spec->network = SPAWN_NETWORK_HOST;
    start(x, spec, NULL);
    turn(x);
    assert_int_equal(x->outcomes[0], RUN_FAILED);
    assert_string_equal(x->messages[0], "network: more than this environment may have");
    hear_nothing(x);
}

static void on_layer(void *data, uint64_t value, const struct err *e)
{
    struct fixture *x = data;

    x->nlayers++;
    x->value = value;
    if (e != NULL)
        x->failure = *e;
}

static void layers_are_made_listed_and_removed(void **state)
{
    struct fixture *x = *state;

    assert_int_equal(layer_make_host(x->engine, SPAWN_HOST_TOOLS, 9, on_layer, x), 0);
    hear(x, SPAWN_LAYER_HOST, 0);
    assert_int_equal(x->req.layer, 9);
    assert_int_equal(x->req.kind, SPAWN_HOST_TOOLS);
    assert_int_equal(layer_remove(x->engine, 4, on_layer, x), 0);
    hear(x, SPAWN_LAYER_REMOVE, 0);
    reply(x, &(struct spawn_reply){.op = SPAWN_LAYER_REMOVE, .layer = 4, .error = EBUSY});
    assert_int_equal(x->nlayers, 1); /* the other one takes longer */
    assert_int_equal(x->failure.errnum, EBUSY);
    reply(x, &(struct spawn_reply){.op = SPAWN_LAYER_HOST, .layer = 9, .bytes = 12345});
    assert_int_equal(x->nlayers, 2);
    assert_int_equal(x->value, 12345);

    assert_int_equal(layer_next(x->engine, 4, on_layer, x), 0);
    hear(x, SPAWN_LAYER_NEXT, 0);
    assert_int_equal(x->req.layer, 4);
    reply(x, &(struct spawn_reply){.op = SPAWN_LAYER_NEXT, .layer = 7});
    assert_int_equal(x->value, 7);

    assert_int_equal(input_remove(x->engine, 8, on_layer, x), 0);
    hear(x, SPAWN_INPUT_REMOVE, 0);
    assert_int_equal(x->req.layer, 8); /* the engine goes before the answer comes */
    assert_int_equal(x->nlayers, 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(runs_wait_for_their_nest_and_are_then_served),
        TEST(a_run_that_was_not_handed_over_has_failed),
        TEST(a_list_of_modules_goes_along_as_a_sealed_file),
        TEST(nothing_is_kept_ready_before_the_first_run),
        TEST(a_nest_that_cannot_be_made_tells_its_runs_and_its_owner),
        TEST(without_an_interpreter_runs_start_cold),
        TEST(an_interpreter_that_always_fails_is_not_waited_for),
        TEST(a_run_does_not_wait_long_for_an_interpreter),
        TEST(fresh_runs_and_our_own_programs_start_cold),
        TEST(a_stream_has_no_end_but_that_of_another_program),
        TEST(other_programs_are_ended_when_they_print_too_much),
        TEST(a_stream_waits_for_who_reads_it),
        TEST(a_stream_that_is_over_can_be_paused),
        TEST(closing_lets_runs_finish),
        TEST(slots_are_given_back_before_their_nest),
        TEST(closing_may_end_runs_at_once),
        TEST(a_nest_may_be_closed_before_it_is_up),
        TEST(a_nest_that_is_lost_tells_its_owner),
        TEST(the_number_of_nests_has_an_end),
        TEST(a_run_with_a_network_starts_when_it_is_attached),
        TEST(a_network_that_cannot_be_had_is_the_runs_answer),
        TEST(a_network_beyond_the_nests_is_the_runs_answer),
        TEST(layers_are_made_listed_and_removed),
    };
    signal(SIGPIPE, SIG_IGN); /* as the server does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}

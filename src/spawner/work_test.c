/* Tests of work: what the server asks for, in which order the worker gets it, and what follows. */
#include "spawner/work.h"

#include "base/test_support.h"
#include "spawner/nest_process.h"
#include "spawner/ops.h"
#include "spawner/test_support.h"

static const struct spawn_nest run_nest = {.kind = SPAWN_NEST_RUN, .nlayers = 2, .layers = {6, 5}};

static int setup(void **state)
{
    test_spawner_init(4);
    fd_set_nonblock(test_server, NULL);
    return 0;
}

static int teardown(void **state)
{
    test_spawner_finish();
    return 0;
}

static int serve(const struct spawn_request *req, const int *fds, size_t nfds)
{
    assert_int_equal(fd_send(test_server, req, sizeof *req, fds, nfds, NULL), 0);
    return ops_serve(&test_spawner);
}

static int ask_nest(enum spawn_op op, uint32_t nest, const struct spawn_nest *make)
{
    struct spawn_request req = {.op = op, .nest = nest};

    if (make != NULL)
        req.make = *make;
    return serve(&req, NULL, 0);
}

static int ask_layer(enum spawn_op op, uint64_t layer)
{
    struct spawn_request req = {.op = op, .layer = layer};

    return serve(&req, NULL, 0);
}

static struct spawn_reply heard(void)
{
    struct spawn_reply reply;

    assert_int_equal(recv(test_server, &reply, sizeof reply, 0), sizeof reply);
    return reply;
}

static void assert_silent(void)
{
    char byte;

    assert_int_equal(recv(test_server, &byte, 1, MSG_PEEK), -1);
}

/* The worker reports success with this value. */
static void succeed(uint64_t value)
{
    test_result.value = value;
    assert_int_equal(work_done(&test_spawner, LANE_LAYERS), 0);
}

static void fail_with(int error, const char *text)
{
    test_result.error = error;
    snprintf(test_result.text, sizeof test_result.text, "%s", text);
    assert_int_equal(work_done(&test_spawner, LANE_LAYERS), 0);
}

static void open_nest(uint32_t n, const struct spawn_nest *make)
{
    assert_int_equal(ask_nest(SPAWN_NEST_OPEN, n, make), 0);
    succeed(0);
    assert_int_equal(heard().error, 0);
    assert_int_equal(test_spawner.nests[n].state, NEST_UP);
}

static void a_nest_is_opened_and_closed(void **state)
{
    struct spawn_reply reply;

    assert_int_equal(ask_nest(SPAWN_NEST_OPEN, 3, &run_nest), 0);
    assert_silent();
    assert_int_equal(test_work.reply.op, SPAWN_NEST_OPEN);
    assert_int_equal(test_spawner.nests[3].state, NEST_MAKING);
    succeed(0);
    reply = heard();
    assert_int_equal(reply.op, SPAWN_NEST_OPEN);
    assert_int_equal(reply.nest, 3);
    assert_int_equal(reply.error, 0);
    assert_string_equal(test_spawner.nests[3].group.name, "n3");
    assert_true(test_spawner.nests[3].modules >= 0);

    assert_int_equal(ask_nest(SPAWN_NEST_CLOSE, 3, NULL), 0);
    assert_int_equal(test_spawner.lanes[LANE_LAYERS].pid,
                     0); /* it waits for the end of the nest's process */
    test_spawner.nests[3].pid = 0;
    nest_process_died(&test_spawner, 3);
    assert_int_equal(test_work.reply.op, SPAWN_NEST_CLOSE);
    assert_silent();
    succeed(4096);
    reply = heard();
    assert_int_equal(reply.error, 0);
    assert_int_equal(reply.bytes, 4096);
    assert_int_equal(test_spawner.nests[3].state, NEST_FREE);
    assert_int_equal(test_spawner.nests[3].modules, -1);
}

static void a_nest_that_has_died_is_closed_at_once(void **state)
{
    open_nest(1, &run_nest);
    test_spawner.nests[1].pid = 0;
    nest_process_died(&test_spawner, 1);
    assert_true(nest_process_next_us(&test_spawner) < UINT64_MAX);
    assert_int_equal(ask_nest(SPAWN_NEST_CLOSE, 1, NULL), 0);
    assert_true(nest_process_next_us(&test_spawner) == UINT64_MAX);
    assert_int_equal(test_work.reply.op, SPAWN_NEST_CLOSE);
    succeed(0);
    heard();
}

static void what_could_not_be_made_is_taken_down_before_the_reply(void **state)
{
    struct spawn_reply reply;

    assert_int_equal(ask_nest(SPAWN_NEST_OPEN, 1, &run_nest), 0);
    fail_with(ENOENT, "layer 5: no such file");
    assert_silent();
    assert_true(test_work.undo);
    assert_false(test_work.made_target);
    assert_int_equal(test_spawner.nests[1].state, NEST_MAKING);
    succeed(0);
    reply = heard();
    assert_int_equal(reply.error, ENOENT);
    assert_string_equal(reply.text, "layer 5: no such file");
    assert_int_equal(test_spawner.nests[1].state, NEST_FREE);
}

static void a_target_that_was_made_is_undone_too(void **state)
{
    struct spawn_nest make = {
        .kind = SPAWN_NEST_BUILD, .nlayers = 1, .layers = {5}, .target = 7, .target_mb = 64};

    test_spawner.config.build_ceilings = (struct spawn_limits){1024, 1000, 64, 64};
    assert_int_equal(ask_nest(SPAWN_NEST_OPEN, 1, &make), 0);
    test_result.made_target = 1;
    fail_with(EINVAL, "overlay");
    assert_true(test_work.undo && test_work.made_target);
    fail_with(EIO, "even this");
    assert_string_equal(heard().text, "overlay");
}

static void a_nest_that_nobody_can_move_into_is_taken_down(void **state)
{
    assert_int_equal(ask_nest(SPAWN_NEST_OPEN, 1, &run_nest), 0);
    test_birth_fails = true;
    succeed(0);
    assert_silent();
    assert_true(test_work.undo);
    succeed(0);
    assert_int_equal(heard().error, EAGAIN);
    assert_int_equal(test_spawner.nests[1].state, NEST_FREE);
    assert_true(nest_process_next_us(&test_spawner) == UINT64_MAX);
}

static void a_close_that_fails_frees_the_nest_all_the_same(void **state)
{
    open_nest(1, &run_nest);
    test_spawner.nests[1].pid = 0;
    assert_int_equal(ask_nest(SPAWN_NEST_CLOSE, 1, NULL), 0);
    fail_with(ENOSPC, "the layer could not be written");
    assert_true(test_work.undo);
    succeed(0);
    assert_int_equal(heard().error, ENOSPC);
    assert_int_equal(test_spawner.nests[1].state, NEST_FREE);
}

static void work_is_done_in_order_one_at_a_time(void **state)
{
    assert_int_equal(ask_layer(SPAWN_LAYER_NEXT, 0), 0);
    assert_int_equal(ask_layer(SPAWN_LAYER_REMOVE, 9), 0);
    assert_int_equal(ask_layer(SPAWN_INPUT_REMOVE, 4), 0);
    assert_int_equal(test_work.reply.op, SPAWN_LAYER_NEXT);
    succeed(9);
    assert_int_equal(heard().layer, 9);
    assert_int_equal(test_work.reply.op, SPAWN_LAYER_REMOVE);
    succeed(0);
    assert_int_equal(heard().layer, 9);
    assert_int_equal(test_work.reply.op, SPAWN_INPUT_REMOVE);
    fail_with(EIO, "x");
    assert_int_equal(heard().error, EIO);
    assert_int_equal(test_spawner.lanes[LANE_LAYERS].count, 0);
}

static void an_empty_queue_begins_at_its_first_page_again(void **state)
{
    for (int i = 0; i < 20; i++) {
        assert_int_equal(ask_layer(SPAWN_LAYER_REMOVE, 7), 0);
        assert_int_equal(ask_layer(SPAWN_LAYER_REMOVE, 8), 0);
        succeed(0);
        succeed(0);
        heard();
        heard();
    }
    assert_int_equal(test_spawner.lanes[LANE_LAYERS].queue[2].reply.op, 0);
}

static void work_that_cannot_be_begun_is_answered(void **state)
{
    test_worker_fails = true;
    assert_int_equal(ask_layer(SPAWN_LAYER_NEXT, 0), 0);
    assert_int_equal(heard().error, EAGAIN);
    test_worker_fails = true;
    assert_int_equal(ask_nest(SPAWN_NEST_OPEN, 1, &run_nest), 0);
    assert_true(test_work.undo);
    succeed(0);
    assert_int_equal(heard().error, EAGAIN);
    assert_int_equal(test_spawner.nests[1].state, NEST_FREE);
}

static void a_layer_of_a_nest_is_not_removed_or_made(void **state)
{
    const struct spawn_nest build = {
        .kind = SPAWN_NEST_BUILD, .nlayers = 1, .layers = {6}, .target = 8, .target_mb = 1};

    test_spawner.config.build_ceilings = (struct spawn_limits){1024, 2000, 256, 64};
    assert_int_equal(ask_nest(SPAWN_NEST_OPEN, 2, &build), 0);
    assert_int_equal(ask_layer(SPAWN_LAYER_REMOVE, 8), 0);
    assert_int_equal(heard().error, EBUSY);
    assert_int_equal(ask_layer(SPAWN_LAYER_HOST, 8), 0);
    assert_int_equal(heard().error, EBUSY);
    fail_with(ENOSPC, "no room");
    succeed(0);
    heard();
    open_nest(1, &run_nest);
    assert_int_equal(ask_layer(SPAWN_LAYER_REMOVE, 6), 0);
    assert_int_equal(heard().error, EBUSY);
    assert_int_equal(ask_layer(SPAWN_LAYER_REMOVE, 7), 0);
    succeed(0);
    assert_int_equal(heard().error, 0);
}

static void nests_always_find_room_in_the_queue(void **state)
{
    uint32_t refused = 0;

    for (uint32_t i = 0; i < 2 * WORKS_MAX; i++) {
        struct spawn_reply reply;

        assert_int_equal(ask_layer(SPAWN_LAYER_NEXT, i), 0);
        if (recv(test_server, &reply, sizeof reply, 0) == sizeof reply)
            refused += reply.error == EAGAIN;
    }
    assert_int_equal(refused, 2 * WORKS_MAX - (WORKS_MAX - LIMIT_NESTS));
    for (uint32_t n = 1; n < LIMIT_NESTS; n++)
        assert_int_equal(ask_nest(SPAWN_NEST_OPEN, n, &run_nest), 0);
    assert_int_equal(test_spawner.lanes[LANE_LAYERS].count, WORKS_MAX - 1);
}

static void a_text_is_cut_between_characters(void **state)
{
    struct spawn_reply reply;
    char text[200];

    memset(text, 'x', sizeof text);
    memcpy(text + 158, "\xc3\xa9", 2);
    text[199] = '\0';
    assert_int_equal(ask_layer(SPAWN_LAYER_NEXT, 0), 0);
    fail_with(EIO, text);
    reply = heard();
    assert_int_equal(strlen(reply.text), 158);
}

static void what_makes_no_sense_now_is_the_end(void **state)
{
    struct spawn_nest bad = run_nest;

    bad.layers[1] = 0;
    assert_int_equal(ask_nest(SPAWN_NEST_OPEN, 1, &bad), -1);
    assert_int_equal(ask_nest(SPAWN_NEST_OPEN, 0, &run_nest), -1);
    assert_int_equal(ask_nest(SPAWN_NEST_OPEN, LIMIT_NESTS, &run_nest), -1);
    assert_int_equal(ask_nest(SPAWN_NEST_CLOSE, 0, NULL), -1);
    assert_int_equal(ask_nest(SPAWN_NEST_CLOSE, 1, NULL), -1);
    assert_int_equal(ask_nest(SPAWN_NEST_CLOSE, LIMIT_NESTS, NULL), -1);
    assert_int_equal(ask_layer(SPAWN_LAYER_REMOVE, 0), -1);
    assert_int_equal(ask_layer(SPAWN_LAYER_HOST, 0), -1);
    assert_int_equal(ask_layer(SPAWN_INPUT_REMOVE, 0), -1);
    assert_int_equal(ask_layer(SPAWN_LAYER_NEXT, UINT64_C(1) << 48), -1);
    open_nest(1, &run_nest);
    assert_int_equal(ask_nest(SPAWN_NEST_OPEN, 1, &run_nest), -1);
    assert_int_equal(ask_nest(SPAWN_NEST_CLOSE, 1, NULL), 0);
    assert_int_equal(ask_nest(SPAWN_NEST_CLOSE, 1, NULL), -1);
    assert_int_equal(ask_nest(SPAWN_PING, 1, NULL), -1);
}

static void only_a_warm_nest_brings_a_list_and_only_as_a_plain_file(void **state)
{
    struct spawn_request req = {.op = SPAWN_NEST_OPEN, .nest = 1, .make = run_nest};
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    assert_int_equal(serve(&req, &self, 1), -1);
    req.make.warm = 1;
    assert_int_equal(serve(&req, &null, 1), -1);
    assert_int_equal(serve(&req, (int[]){self, self}, 2), -1);
    req.op = SPAWN_NEST_CLOSE;
    assert_int_equal(serve(&req, &self, 1), -1);
    req.op = SPAWN_NEST_OPEN;
    assert_int_equal(serve(&req, &self, 1), 0);
    assert_true(test_spawner.nests[1].modules >= 0);
    close(null);
    close(self);
}

static void only_what_is_gone_is_told_as_gone(void **state)
{
    assert_int_equal(work_errno(&(struct err){.code = ERR_NOT_FOUND, .errnum = ENOENT}), ENOENT);
    assert_int_equal(work_errno(&(struct err){.code = ERR_INTERNAL, .errnum = ENOENT}), EIO);
    assert_int_equal(work_errno(&(struct err){.code = ERR_CLOSED, .errnum = ENOENT}), EIO);
    assert_int_equal(work_errno(&(struct err){.code = ERR_EXISTS, .errnum = EEXIST}), EEXIST);
    assert_int_equal(work_errno(&(struct err){.code = ERR_INTERNAL, .errnum = EEXIST}), EIO);
    assert_int_equal(work_errno(&(struct err){.code = ERR_INTERNAL, .errnum = EMFILE}), EMFILE);
    assert_int_equal(work_errno(&(struct err){.code = ERR_INTERNAL}), EIO);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_nest_is_opened_and_closed),
        TEST(a_nest_that_has_died_is_closed_at_once),
        TEST(what_could_not_be_made_is_taken_down_before_the_reply),
        TEST(a_target_that_was_made_is_undone_too),
        TEST(a_nest_that_nobody_can_move_into_is_taken_down),
        TEST(a_close_that_fails_frees_the_nest_all_the_same),
        TEST(work_is_done_in_order_one_at_a_time),
        TEST(an_empty_queue_begins_at_its_first_page_again),
        TEST(work_that_cannot_be_begun_is_answered),
        TEST(a_layer_of_a_nest_is_not_removed_or_made),
        TEST(nests_always_find_room_in_the_queue),
        TEST(a_text_is_cut_between_characters),
        TEST(what_makes_no_sense_now_is_the_end),
        TEST(only_a_warm_nest_brings_a_list_and_only_as_a_plain_file),
        TEST(only_what_is_gone_is_told_as_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

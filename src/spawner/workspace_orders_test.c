/* Tests of workspace_orders: what may be asked, in which lanes it is done, and what is open then.
 */
#include "spawner/workspace_orders.h"

#include "base/test_support.h"
#include "spawner/ops.h"
#include "spawner/test_support.h"
#include "spawner/work.h"

static int setup(void **state)
{
    test_spawner_init(4);
    test_spawner.config.workspace_bytes_max = 1 << 20;
    fd_set_nonblock(test_server, NULL);
    return 0;
}

static int teardown(void **state)
{
    test_spawner_finish();
    return 0;
}

static int ask(enum spawn_op op, uint64_t number, uint64_t other)
{
    struct spawn_request req = {.op = op, .layer = number, .other = other, .bytes = 1 << 20};

    assert_int_equal(fd_send(test_server, &req, sizeof req, NULL, 0, NULL), 0);
    return ops_serve(&test_spawner);
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

static void finish(enum lane lane, struct work_result result)
{
    test_results[lane] = result;
    assert_int_equal(work_done(&test_spawner, lane), 0);
}

static void open_workspace(uint64_t number)
{
    assert_int_equal(ask(SPAWN_WORKSPACE_OPEN, number, 0), 0);
    finish(LANE_WAKE, (struct work_result){0});
    assert_int_equal(heard().error, 0);
    assert_true(workspace_is_open(&test_spawner, number));
}

static void a_workspace_is_open_from_the_reply_on(void **state)
{
    struct spawn_reply reply;

    assert_int_equal(ask(SPAWN_WORKSPACE_MAKE, 5, 0), 0);
    assert_int_equal(test_works[LANE_WAKE].bytes, 1 << 20);
    assert_silent();
    assert_false(workspace_is_open(&test_spawner, 5));
    finish(LANE_WAKE, (struct work_result){0});
    assert_int_equal(heard().layer, 5);
    assert_true(workspace_is_open(&test_spawner, 5));
    open_workspace(5);
    assert_int_equal(test_spawner.workspaces.count, 1);
    assert_int_equal(ask(SPAWN_WORKSPACE_CLOSE, 5, 0), 0);
    assert_true(workspace_is_open(&test_spawner, 5));
    finish(LANE_SLEEP, (struct work_result){.value = 4096});
    reply = heard();
    assert_int_equal(reply.bytes, 4096);
    assert_false(workspace_is_open(&test_spawner, 5));
}

static void what_could_not_be_opened_is_not_open(void **state)
{
    assert_int_equal(ask(SPAWN_WORKSPACE_OPEN, 5, 0), 0);
    finish(LANE_WAKE, (struct work_result){.error = ENOENT, .text = "none"});
    assert_string_equal(heard().text, "none");
    assert_int_equal(test_spawner.workspaces.count, 0);
}

static void what_could_not_be_written_down_is_closed(void **state)
{
    open_workspace(5);
    assert_int_equal(ask(SPAWN_WORKSPACE_CLOSE, 5, 0), 0);
    finish(LANE_SLEEP, (struct work_result){.error = EIO});
    assert_silent();
    assert_true(test_works[LANE_SLEEP].undo); /* the worker may not have come to unmounting it */
    finish(LANE_SLEEP, (struct work_result){0});
    assert_int_equal(heard().error, EIO);
    assert_false(workspace_is_open(&test_spawner, 5));
}

static void what_a_killed_worker_left_is_taken_down(void **state)
{
    const struct work_result lost = {.error = EIO, .lost = 1};

    assert_int_equal(ask(SPAWN_WORKSPACE_OPEN, 5, 0), 0);
    finish(LANE_WAKE, lost);
    assert_silent();
    assert_true(test_works[LANE_WAKE].undo);
    finish(LANE_WAKE, (struct work_result){0});
    assert_int_equal(heard().error, EIO);
    open_workspace(6);
    assert_int_equal(ask(SPAWN_WORKSPACE_OPEN, 6, 0), 0);
    finish(LANE_WAKE, lost);
    assert_int_equal(heard().error, EIO);
    assert_true(workspace_is_open(&test_spawner, 6)); /* it was, and is */
    assert_int_equal(ask(SPAWN_WORKSPACE_COPY, 6, 7), 0);
    finish(LANE_COPIES, lost);
    assert_true(test_works[LANE_COPIES].undo);
    finish(LANE_COPIES, lost);
    assert_int_equal(heard().error, EIO);
    assert_true(workspace_is_open(&test_spawner, 6));
}

static void lanes_do_not_wait_for_each_other(void **state)
{
    assert_int_equal(ask(SPAWN_LAYER_REMOVE, 1, 0), 0);
    assert_int_equal(ask(SPAWN_WORKSPACE_OPEN, 1, 0), 0);
    assert_int_equal(ask(SPAWN_WORKSPACE_REMOVE, 2, 0), 0);
    assert_int_equal(ask(SPAWN_WORKSPACE_COPY, 3, 4), 0);
    for (size_t lane = 0; lane < LANES; lane++)
        assert_int_equal(test_spawner.lanes[lane].pid, 1);
    finish(LANE_COPIES, (struct work_result){0});
    assert_int_equal(heard().op, SPAWN_WORKSPACE_COPY);
    finish(LANE_WAKE, (struct work_result){0});
    assert_int_equal(heard().op, SPAWN_WORKSPACE_OPEN);
}

static void one_lane_keeps_its_order(void **state)
{
    assert_int_equal(ask(SPAWN_WORKSPACE_OPEN, 1, 0), 0);
    assert_int_equal(ask(SPAWN_WORKSPACE_GROW, 1, 0), 0);
    assert_int_equal(test_works[LANE_WAKE].reply.op, SPAWN_WORKSPACE_OPEN);
    finish(LANE_WAKE, (struct work_result){0});
    heard();
    assert_int_equal(test_works[LANE_WAKE].reply.op, SPAWN_WORKSPACE_GROW);
}

static void two_lanes_never_have_the_same_workspace(void **state)
{
    static const struct {
        enum spawn_op op;
        uint64_t number, other;
    } later[] = {{SPAWN_WORKSPACE_OPEN, 1, 0},   {SPAWN_WORKSPACE_OPEN, 2, 0},
                 {SPAWN_WORKSPACE_MAKE, 2, 0},   {SPAWN_WORKSPACE_GROW, 1, 0},
                 {SPAWN_WORKSPACE_CLOSE, 1, 0},  {SPAWN_WORKSPACE_REMOVE, 1, 0},
                 {SPAWN_WORKSPACE_REMOVE, 2, 0}, {SPAWN_WORKSPACE_CLOSE, 2, 0}};

    assert_int_equal(ask(SPAWN_WORKSPACE_COPY, 1, 2), 0);
    for (size_t i = 0; i < TEST_COUNT(later); i++) {
        assert_int_equal(ask(later[i].op, later[i].number, later[i].other), 0);
        assert_int_equal(heard().error, EAGAIN);
    }
    assert_int_equal(ask(SPAWN_WORKSPACE_CLOSE, 3, 0), 0);
    assert_int_equal(ask(SPAWN_WORKSPACE_COPY, 3, 4), 0);
    assert_int_equal(heard().error, EAGAIN);
    assert_int_equal(ask(SPAWN_WORKSPACE_COPY, 4, 3), 0);
    assert_int_equal(heard().error, EAGAIN);
    finish(LANE_COPIES, (struct work_result){0});
    heard();
    assert_int_equal(ask(SPAWN_WORKSPACE_OPEN, 1, 0), 0);
    assert_silent();
}

static void so_many_are_open_at_most(void **state)
{
    for (uint64_t i = 1; i < LIMIT_SLOTS; i++)
        test_spawner.workspaces.open[test_spawner.workspaces.count++] = i;
    assert_int_equal(ask(SPAWN_WORKSPACE_OPEN, LIMIT_SLOTS, 0), 0);
    assert_int_equal(ask(SPAWN_WORKSPACE_OPEN, LIMIT_SLOTS + 1, 0), 0);
    assert_int_equal(heard().error, EAGAIN);
    finish(LANE_WAKE, (struct work_result){0});
    assert_int_equal(heard().error, 0);
    assert_int_equal(test_spawner.workspaces.count, LIMIT_SLOTS);
    assert_int_equal(ask(SPAWN_WORKSPACE_MAKE, LIMIT_SLOTS + 2, 0), 0);
    assert_int_equal(heard().error, EAGAIN);
}

static void a_lane_has_an_end(void **state)
{
    for (uint64_t i = 1; i <= WORKS_MAX; i++)
        assert_int_equal(ask(SPAWN_WORKSPACE_CLOSE, i, 0), 0);
    assert_silent();
    assert_int_equal(ask(SPAWN_WORKSPACE_CLOSE, WORKS_MAX + 1, 0), 0);
    assert_int_equal(heard().error, EAGAIN);
}

static void only_what_is_open_is_attached_to_who_is_there(void **state)
{
    test_spawner.slots[0] = (struct slot){.state = SLOT_OPENING, .pidfd = -1};
    test_spawner.nslots = 1;
    assert_int_equal(ask(SPAWN_WORKSPACE_ATTACH, 5, 0), 0);
    assert_int_equal(heard().error, ENOENT);
    open_workspace(5);
    assert_int_equal(ask(SPAWN_WORKSPACE_ATTACH, 5, 0), 0);
    assert_int_equal(heard().error, EAGAIN);
    test_spawner.slots[0].state = SLOT_DEAD;
    assert_int_equal(ask(SPAWN_WORKSPACE_ATTACH, 5, 0), 0);
    assert_int_equal(heard().error, ESRCH);
    assert_int_equal(ask(SPAWN_WORKSPACE_CLOSE, 5, 0), 0);
    assert_int_equal(ask(SPAWN_WORKSPACE_ATTACH, 5, 0), 0);
    assert_int_equal(heard().error, EAGAIN);
    test_spawner.slots[0].nest_kind = SPAWN_NEST_BUILD;
    assert_int_equal(ask(SPAWN_WORKSPACE_ATTACH, 5, 0), -1);
    test_spawner.nslots = 0;
}

static void what_makes_no_sense_is_the_end(void **state)
{
    assert_int_equal(ask(SPAWN_WORKSPACE_MAKE, 0, 0), -1);
    assert_int_equal(ask(SPAWN_WORKSPACE_OPEN, SPAWN_NUMBER, 0), -1);
    assert_int_equal(ask(SPAWN_WORKSPACE_COPY, 1, 0), -1);
    assert_int_equal(ask(SPAWN_WORKSPACE_COPY, 1, 1), -1);
    assert_int_equal(ask(SPAWN_WORKSPACE_COPY, 1, SPAWN_NUMBER), -1);
    assert_int_equal(ask(SPAWN_WORKSPACE_REMOVE, SPAWN_NUMBER, 0), -1);
    assert_int_equal(ask(SPAWN_WORKSPACE_ATTACH, 1, 0), -1);
    assert_int_equal(ask(SPAWN_WORKSPACE_REMOVE + 1, 1, 0), -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_workspace_is_open_from_the_reply_on),
        TEST(what_could_not_be_opened_is_not_open),
        TEST(what_could_not_be_written_down_is_closed),
        TEST(what_a_killed_worker_left_is_taken_down),
        TEST(lanes_do_not_wait_for_each_other),
        TEST(one_lane_keeps_its_order),
        TEST(two_lanes_never_have_the_same_workspace),
        TEST(so_many_are_open_at_most),
        TEST(a_lane_has_an_end),
        TEST(only_what_is_open_is_attached_to_who_is_there),
        TEST(what_makes_no_sense_is_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

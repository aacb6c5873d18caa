/* Tests of slot: its group, which a hostile zygote may have been handed. */
#include "base/clock.h"
#include "base/test_support.h"
#include "spawner/slot.h"
#include "spawner/test_support.h"
#include "wire/nest.h"

static int setup(void **state)
{
    test_spawner_init(4);
    return 0;
}

static int teardown(void **state)
{
    test_spawner_finish();
    return 0;
}

static struct slot *slot_at(uint32_t number)
{
    return &test_spawner.slots[number];
}

/* A warm sandbox of a nest in the next slot, which has ended. */
static void lend_to(uint32_t nest)
{
    struct spawn_request warm = {.op = SPAWN_OPEN, .kind = SPAWN_WARM, .nest = nest};
    uint32_t number = slot_take(&test_spawner, nest, NULL);
    struct nest_reply failed = {.op = NEST_BUILD, .slot = number, .error = EIO};
    int fds[SPAWN_OPEN_FDS], sock = test_spawner.nests[nest].sock;

    test_spawner.nests[nest].sock = test_spawner.nests[0].sock;
    assert_int_equal(slot_build(&test_spawner, number, &warm, fds, NULL), 0);
    test_spawner.nests[nest].sock = sock;
    for (int i = 0; i < SPAWN_OPEN_FDS; i++)
        close(fds[i]);
    assert_int_equal(slot_built(&test_spawner, nest, &failed, -1), 0);
    slot_close(&test_spawner, number);
    slot_drain(&test_spawner);
}

static void lend(void)
{
    lend_to(1);
}

static void no_nest_gets_a_group_that_anothers_zygote_can_enter(void **state)
{
    lend();
    assert_int_equal(slot_take(&test_spawner, 1, NULL), 0);
    slot_at(0)->state = SLOT_DEAD;
    slot_close(&test_spawner, 0);
    slot_drain(&test_spawner);
    for (uint32_t i = 1; i < 4; i++)
        assert_int_equal(slot_take(&test_spawner, 0, NULL), i);
    assert_int_equal(test_groups[0].replaced, 0);
    assert_int_equal(slot_take(&test_spawner, 0, NULL), 0); /* there is no other */
    assert_int_equal(test_groups[0].replaced, 1);
    assert_false(slot_at(0)->lent);
}

static void who_sits_in_a_group_that_is_wanted_is_ended(void **state)
{
    struct err e = {0};

    test_spawner.config.slots = 1;
    lend();
    test_replace_fails = true;
    assert_int_equal(slot_take(&test_spawner, 0, &e), SLOT_NONE);
    assert_int_equal(e.errnum, EAGAIN);
    assert_int_equal(test_groups[0].ended, 1);
    slot_drain(&test_spawner);
    assert_int_equal(slot_take(&test_spawner, 0, NULL), 0);
    assert_int_equal(test_groups[0].replaced, 1);
}

static void a_zygote_that_is_dead_holds_no_group(void **state)
{
    test_spawner.config.slots = 1;
    lend();
    slot_nest_died(&test_spawner, 1);
    assert_int_equal(slot_take(&test_spawner, 0, NULL), 0);
    assert_int_equal(test_groups[0].replaced, 0);
}

static void nests_that_come_and_go_need_no_more_groups(void **state)
{
    for (int i = 0; i < 20; i++) {
        lend_to(0);
        lend_to(0);
        lend_to(1);
        slot_nest_died(&test_spawner, 1);
    }
    assert_int_equal(test_spawner.nslots, 2);
    assert_int_equal(test_groups[0].replaced + test_groups[1].replaced, 0);
}

static void a_nest_takes_its_own_group_before_one_that_any_may_have(void **state)
{
    assert_int_equal(slot_take(&test_spawner, 0, NULL), 0);
    lend();
    slot_at(0)->state = SLOT_DEAD;
    slot_close(&test_spawner, 0);
    slot_drain(&test_spawner);
    lend(); /* behind the other in the queue now */
    assert_int_equal(slot_take(&test_spawner, 1, NULL), 1);
    assert_int_equal(slot_take(&test_spawner, 1, NULL), 0);
}

static void who_lingers_in_a_group_is_ended(void **state)
{
    test_groups[0].processes = 1;
    lend();
    assert_int_equal(slot_at(0)->state, SLOT_DRAINING);
    assert_int_equal(test_groups[0].ended, 0);
    slot_at(0)->overdue_us = clock_now_us();
    slot_drain(&test_spawner);
    slot_drain(&test_spawner);
    assert_int_equal(test_groups[0].ended, 1);
    assert_int_equal(slot_at(0)->state, SLOT_DRAINING);
    test_groups[0].processes = 0;
    slot_drain(&test_spawner);
    assert_int_equal(slot_at(0)->state, SLOT_FREE);
}

static void a_group_that_could_not_be_made_anew_is_tried_again(void **state)
{
    test_spawner.config.slots = 1;
    lend();
    test_replace_fails = true;
    assert_int_equal(slot_take(&test_spawner, 0, NULL), SLOT_NONE);
    test_groups[0].processes = -1; /* it has no files */
    test_replace_fails = true;
    slot_drain(&test_spawner);
    assert_int_equal(slot_at(0)->state, SLOT_DRAINING);
    slot_drain(&test_spawner);
    assert_int_equal(slot_at(0)->state, SLOT_FREE);
}

static void a_group_that_cannot_be_made_anew_is_said_once_a_second(void **state)
{
    test_groups[0].processes = 1;
    lend();
    test_groups[0].processes = 0;
    test_said = 0;
    for (int i = 0; i < 20; i++) {
        if (i == 10)
            slot_at(0)->overdue_us = clock_now_us();
        test_renew_fails = true;
        slot_drain(&test_spawner);
        assert_int_equal(slot_at(0)->state, SLOT_DRAINING);
        assert_int_equal(test_said, i >= 10);
    }
    slot_drain(&test_spawner);
    assert_int_equal(slot_at(0)->state, SLOT_FREE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(no_nest_gets_a_group_that_anothers_zygote_can_enter),
        TEST(who_sits_in_a_group_that_is_wanted_is_ended),
        TEST(a_zygote_that_is_dead_holds_no_group),
        TEST(nests_that_come_and_go_need_no_more_groups),
        TEST(a_nest_takes_its_own_group_before_one_that_any_may_have),
        TEST(who_lingers_in_a_group_is_ended),
        TEST(a_group_that_could_not_be_made_anew_is_tried_again),
        TEST(a_group_that_cannot_be_made_anew_is_said_once_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

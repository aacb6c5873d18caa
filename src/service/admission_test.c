/* Tests of admission: slots, memory, turns, patience. */
#include "service/admission.h"

#include <stdio.h>

#include "base/test_support.h"

#define A_GIGABYTE 1024

static struct admission *make(uint32_t slots, uint32_t queue_max)
{
    struct admission *a = admission_create(&(struct admission_config){
        .slots = slots, .queue_max = queue_max, .memory_mb = A_GIGABYTE, .hash_seed = 7});
    assert_non_null(a);
    return a;
}

static void enter(struct admission *a, const char *client, struct admission_ticket *t,
                  uint32_t memory_mb)
{
    struct err e = {0};
    *t = (struct admission_ticket){.memory_mb = memory_mb};
    if (admission_enter(a, client, t, &e) < 0)
        fail_msg("%s", e.text);
}

static void test_slots_bound_what_runs_and_leaving_lets_the_next_one_in(void **state)
{
    struct admission *a = make(2, 10);
    struct admission_ticket t[4];
    for (size_t i = 0; i < 4; i++)
        enter(a, "x", &t[i], 1);
    assert_ptr_equal(admission_next(a), &t[0]);
    assert_ptr_equal(admission_next(a), &t[1]);
    assert_null(admission_next(a));
    assert_int_equal(admission_running(a), 2);
    assert_int_equal(admission_waiting(a), 2);
    admission_leave(a, &t[1]);
    assert_ptr_equal(admission_next(a), &t[2]);
    assert_null(admission_next(a));
    admission_destroy(a);
}

static void test_clients_take_turns_and_keep_their_own_order(void **state)
{
    struct admission *a = make(1, 10);
    struct admission_ticket x[3], y[2], z;
    enter(a, "x", &x[0], 1);
    assert_ptr_equal(admission_next(a), &x[0]);
    enter(a, "x", &x[1], 1);
    enter(a, "x", &x[2], 1);
    enter(a, "y", &y[0], 1);
    enter(a, "y", &y[1], 1);
    enter(a, "z", &z, 1);
    struct admission_ticket *expected[] = {&x[1], &y[0], &z, &x[2], &y[1]};
    struct admission_ticket *running = &x[0];
    for (size_t i = 0; i < TEST_COUNT(expected); i++) {
        admission_leave(a, running);
        running = admission_next(a);
        assert_ptr_equal(running, expected[i]);
    }
    assert_int_equal(admission_waiting(a), 0);
    admission_destroy(a);
}

static void test_a_full_queue_refuses_unless_the_run_can_start_at_once(void **state)
{
    struct admission *a = make(1, 0);
    struct admission_ticket first, second = {.memory_mb = 1};
    struct err e = {0};
    enter(a, "x", &first, 1);
    assert_ptr_equal(admission_next(a), &first);
    assert_int_equal(admission_enter(a, "x", &second, &e), -1);
    assert_int_equal(e.code, ERR_UNAVAILABLE);
    admission_leave(a, &first);
    enter(a, "x", &second, 1);
    assert_ptr_equal(admission_next(a), &second);
    admission_destroy(a);
}

static void test_more_memory_than_all_share_is_never_admitted(void **state)
{
    struct admission *a = make(4, 10);
    struct admission_ticket t = {.memory_mb = A_GIGABYTE + 1};
    struct err e = {0};
    assert_int_equal(admission_enter(a, "x", &t, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    admission_destroy(a);
}

static void test_small_runs_pass_a_big_one_until_its_patience_ends(void **state)
{
    enum { SMALL = 40 };
    struct admission *a = make(8, 100);
    struct admission_ticket long_run, big, small[SMALL];
    enter(a, "long", &long_run, 512);
    assert_ptr_equal(admission_next(a), &long_run);
    enter(a, "big", &big, 600);
    assert_null(admission_next(a));

    /* Each small run ends before the next one comes, so there is always room for it. */
    size_t passed = 0;
    struct admission_ticket *t;
    do {
        assert_true(passed < SMALL);
        enter(a, "small", &small[passed], 16);
        t = admission_next(a);
        if (t)
            admission_leave(a, t);
    } while (t && ++passed);
    assert_int_equal(passed, ADMISSION_PATIENCE);

    /* Now nobody gets in before it, and it gets in when the memory is there. */
    admission_leave(a, &long_run);
    assert_ptr_equal(admission_next(a), &big);
    assert_ptr_equal(admission_next(a), &small[passed]);
    admission_destroy(a);
}

static void test_a_big_one_that_leaves_the_queue_blocks_nobody(void **state)
{
    struct admission *a = make(8, 100);
    struct admission_ticket long_run, big, small[ADMISSION_PATIENCE + 1];
    enter(a, "long", &long_run, 512);
    assert_ptr_equal(admission_next(a), &long_run);
    enter(a, "big", &big, 600);
    for (size_t i = 0; i < ADMISSION_PATIENCE; i++) {
        enter(a, "small", &small[i], 1);
        assert_ptr_equal(admission_next(a), &small[i]);
        admission_leave(a, &small[i]);
    }
    enter(a, "small", &small[ADMISSION_PATIENCE], 1);
    assert_null(admission_next(a));
    admission_leave(a, &big);
    assert_ptr_equal(admission_next(a), &small[ADMISSION_PATIENCE]);
    admission_destroy(a);
}

static void test_leaving_works_anywhere_in_a_queue(void **state)
{
    struct admission *a = make(1, 10);
    struct admission_ticket running, t[3], other;
    enter(a, "x", &running, 1);
    assert_ptr_equal(admission_next(a), &running);
    for (size_t i = 0; i < 3; i++)
        enter(a, "y", &t[i], 1);
    enter(a, "z", &other, 1);
    admission_leave(a, &t[1]);
    admission_leave(a, &t[0]);
    assert_int_equal(admission_waiting(a), 2);
    admission_leave(a, &running);
    assert_ptr_equal(admission_next(a), &t[2]);
    admission_leave(a, &t[2]);
    admission_leave(a, &t[2]); /* twice does no harm */
    assert_ptr_equal(admission_next(a), &other);
    admission_leave(a, &other);
    assert_null(admission_next(a));
    assert_int_equal(admission_running(a) + admission_waiting(a), 0);
    admission_destroy(a);
}

static void test_many_clients_are_all_served_once_a_round(void **state)
{
    enum { CLIENTS = 1000 };
    struct admission *a = make(1, 2 * CLIENTS);
    static struct admission_ticket t[2 * CLIENTS];
    char name[16];
    for (int i = 0; i < 2 * CLIENTS; i++) {
        snprintf(name, sizeof name, "client-%d", i / 2);
        enter(a, name, &t[i], 1);
    }
    for (int i = 0; i < 2 * CLIENTS; i++) {
        int expected = i < CLIENTS ? 2 * i : 2 * (i - CLIENTS) + 1;
        struct admission_ticket *next = admission_next(a);
        assert_ptr_equal(next, &t[expected]);
        admission_leave(a, next);
    }
    admission_destroy(a);
}

static void test_retry_after_follows_the_pace_and_stays_within_its_bounds(void **state)
{
    struct admission *a = make(2, 100);
    static struct admission_ticket t[20];
    for (int i = 0; i < 100; i++)
        admission_note_duration(a, 1000);
    assert_int_equal(admission_retry_after(a), 1);
    for (int i = 0; i < 200; i++)
        admission_note_duration(a, 2000000);
    for (size_t i = 0; i < 9; i++)
        enter(a, "x", &t[i], 1);
    unsigned seconds = admission_retry_after(a); /* 10 runs of 2 s on 2 slots */
    assert_true(seconds >= 9 && seconds <= 10);
    for (int i = 0; i < 200; i++)
        admission_note_duration(a, 300000000);
    assert_int_equal(admission_retry_after(a), 30);
    admission_destroy(a);
}

static void test_destroying_with_waiting_tickets_frees_the_clients(void **state)
{
    struct admission *a = make(1, 10);
    struct admission_ticket t[2];
    enter(a, "x", &t[0], 1);
    enter(a, "y", &t[1], 1);
    admission_destroy(a);
    admission_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots_bound_what_runs_and_leaving_lets_the_next_one_in),
        cmocka_unit_test(test_clients_take_turns_and_keep_their_own_order),
        cmocka_unit_test(test_a_full_queue_refuses_unless_the_run_can_start_at_once),
        cmocka_unit_test(test_more_memory_than_all_share_is_never_admitted),
        cmocka_unit_test(test_small_runs_pass_a_big_one_until_its_patience_ends),
        cmocka_unit_test(test_a_big_one_that_leaves_the_queue_blocks_nobody),
        cmocka_unit_test(test_leaving_works_anywhere_in_a_queue),
        cmocka_unit_test(test_many_clients_are_all_served_once_a_round),
        cmocka_unit_test(test_retry_after_follows_the_pace_and_stays_within_its_bounds),
        cmocka_unit_test(test_destroying_with_waiting_tickets_frees_the_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tests of pool, with sandboxes that become ready or fail when the test says so. */
#include <stdio.h>

#include "base/clock.h"
#include "base/test_support.h"
#include "engine/internal.h"

enum { SANDBOXES = 64 };

static struct nest nest;
static struct sandbox *opening[SANDBOXES];
static int nopening, nclosed, nunserved;
static struct taker *begun[SANDBOXES];
static struct sandbox *given[SANDBOXES];
static int nbegun;
static const char *last_reason;

struct sandbox *sandbox_open(struct pool *p)
{
    struct sandbox *sb = calloc(1, sizeof *sb);

    *sb = (struct sandbox){.pool = p, .state = SANDBOX_BUILDING, .built_us = clock_now_us()};
    opening[nopening++] = sb;
    return sb;
}

void sandbox_close(struct sandbox *sb)
{
    nclosed++;
    for (int i = 0; i < nopening; i++) {
        if (opening[i] == sb)
            opening[i] = opening[--nopening];
    }
    free(sb);
}

void sandbox_fail(struct sandbox *sb, const struct err *e)
{
    pool_failed(sb->pool, sb, e);
    sandbox_close(sb);
}

static void begin(struct taker *run, struct sandbox *sb)
{
    sb->state = SANDBOX_TAKEN;
    begun[nbegun] = run;
    given[nbegun++] = sb;
}

static void unserved(struct taker *run, const char *why)
{
    nunserved++;
    last_reason = why;
}

static const struct taker_ops ops = {.begin = begin, .unserved = unserved};

static struct pool *pool(void)
{
    return &nest.pools[SPAWN_WARM];
}

static void take(struct taker *t)
{
    t->ops = &ops;
    pool_take(pool(), t);
}

static struct sandbox *pop_opening(void)
{
    assert_true(nopening > 0);
    return opening[--nopening];
}

static void become_ready(struct sandbox *sb)
{
    sb->state = SANDBOX_READY;
    pool_ready(pool(), sb);
}

static void become_failed(struct sandbox *sb)
{
    const struct err e = {.text = "no luck"};

    sandbox_fail(sb, &e);
}

static int setup(void **state)
{
    memset(&nest, 0, sizeof nest);
    nopening = nclosed = nunserved = nbegun = 0;
    pool_init(pool(), &nest, SPAWN_WARM, 3, 8);
    return 0;
}

static int teardown(void **state)
{
    pool_close(pool());
    while (nopening > 0)
        free(opening[--nopening]);
    while (nbegun > 0)
        free(given[--nbegun]);
    return 0;
}

static void fill(void)
{
    pool_tick(pool());
    while (nopening > 0)
        become_ready(pop_opening());
}

static void a_pool_fills_to_its_floor(void **state)
{
    pool_tick(pool());
    assert_int_equal(nopening, 3);
    fill();
    assert_int_equal(pool()->nready, 3);
    pool_tick(pool());
    assert_int_equal(nopening, 0);
}

static void only_a_few_are_made_at_once(void **state)
{
    static struct taker runs[10];

    for (size_t i = 0; i < TEST_COUNT(runs); i++)
        take(&runs[i]);
    assert_int_equal(nopening, 4);
    become_ready(pop_opening());
    assert_int_equal(nopening, 4);
}

static void runs_are_served_in_order(void **state)
{
    static struct taker runs[4];

    for (size_t i = 0; i < TEST_COUNT(runs); i++)
        take(&runs[i]);
    assert_int_equal(pool()->nwaiting, 4);
    pool_leave(pool(), &runs[3]);
    pool_leave(pool(), &runs[1]);
    pool_leave(pool(), &runs[1]);
    assert_int_equal(pool()->nwaiting, 2);
    become_ready(pop_opening());
    become_ready(pop_opening());
    become_ready(pop_opening());
    assert_int_equal(nbegun, 2);
    assert_ptr_equal(begun[0], &runs[0]);
    assert_ptr_equal(begun[1], &runs[2]);
    assert_int_equal(pool()->nready, 1);
}

static void a_run_may_leave_and_another_queue_behind(void **state)
{
    static struct taker runs[3];

    take(&runs[0]);
    pool_leave(pool(), &runs[0]);
    take(&runs[1]);
    take(&runs[2]);
    pool_leave(pool(), &runs[2]);
    take(&runs[2]);
    become_ready(pop_opening());
    become_ready(pop_opening());
    assert_ptr_equal(begun[0], &runs[1]);
    assert_ptr_equal(begun[1], &runs[2]);
}

static void no_sandbox_is_given_out_twice(void **state)
{
    static struct taker runs[3];

    fill();
    for (size_t i = 0; i < TEST_COUNT(runs); i++)
        take(&runs[i]);
    assert_int_equal(nbegun, 3);
    assert_ptr_not_equal(given[0], given[1]);
    assert_ptr_not_equal(given[1], given[2]);
    assert_ptr_not_equal(given[0], given[2]);
    assert_int_equal(pool()->nready, 0);
    assert_int_equal(nopening, 3);
}

static void one_that_dies_while_it_waits_is_replaced(void **state)
{
    struct sandbox *dead;

    fill();
    dead = pool()->ready->next;
    become_failed(dead);
    assert_int_equal(pool()->nready, 2);
    assert_int_equal(pool()->failures, 0);
    pool_tick(pool());
    assert_int_equal(nopening, 1);
}

static void after_a_failure_nothing_is_tried_for_a_while(void **state)
{
    pool_tick(pool());
    while (nopening > 0)
        become_failed(pop_opening());
    assert_int_equal(pool()->failures, 3);
    assert_int_equal(pool()->nopening, 0);
    assert_string_equal(pool()->reason, "no luck");
    pool_tick(pool());
    assert_int_equal(nopening, 0);
    pool()->retry_us = 0;
    pool_tick(pool());
    assert_int_equal(nopening, 3);
    become_ready(pop_opening());
    assert_int_equal(pool()->failures, 0);
    assert_int_equal(pool()->retry_us, 0);
}

static void the_pause_grows_and_has_an_end(void **state)
{
    uint64_t last = 0;

    for (int i = 0; i < 40; i++) {
        struct sandbox sb = {.state = SANDBOX_BUILDING};
        uint64_t now = clock_now_us();

        pool_failed(pool(), &sb, &(struct err){.text = "again"});
        assert_true(pool()->retry_us - now >= last / 2);
        assert_true(pool()->retry_us - now < 2000000);
        last = pool()->retry_us - now;
    }
    assert_true(last > 1000000);
}

static void a_run_does_not_wait_for_ever(void **state)
{
    static struct taker runs[2];

    pool()->enabled = false;
    take(&runs[0]);
    take(&runs[1]);
    runs[0].waiting_since_us -= 11000000;
    snprintf(pool()->reason, sizeof pool()->reason, "why");
    pool_tick(pool());
    assert_int_equal(nunserved, 1);
    assert_string_equal(last_reason, "why");
    assert_int_equal(pool()->nwaiting, 1);
}

static void a_run_waits_while_sandboxes_are_made(void **state)
{
    static struct taker run;

    pool_tick(pool());
    take(&run);
    run.waiting_since_us -= 50000000;
    pool_tick(pool());
    assert_int_equal(nunserved, 0);
    become_failed(pop_opening()); /* once: the next may do */
    pool_tick(pool());
    assert_int_equal(nunserved, 0);
    pool()->failing_since_us -= 11000000;
    pool_tick(pool());
    assert_int_equal(nunserved, 1);
    assert_string_equal(last_reason, "no luck");
}

static void a_sandbox_that_does_not_get_ready_is_given_up(void **state)
{
    pool_tick(pool()); /* three */
    opening[0]->built_us -= 80000000;
    opening[1]->state = SANDBOX_OPENING; /* for the spawner to answer */
    opening[1]->built_us -= 80000000;
    opening[2]->built_us -= 70000000; /* its interpreter may still import */
    pool_tick(pool());
    assert_int_equal(nclosed, 1);
    assert_int_equal(pool()->nopening, 2);
    assert_string_equal(pool()->reason, "a sandbox did not get ready in 75 s");
    pool()->retry_us = 0;
    pool_tick(pool());
    assert_int_equal(pool()->nopening, 3);
}

static void demand_raises_the_target_up_to_its_ceiling(void **state)
{
    for (int i = 0; i < 50; i++) {
        pool()->taken = 100; /* 1000 a second */
        pool_tick(pool());
        while (nopening > 0)
            become_ready(pop_opening());
    }
    assert_int_equal(pool()->target, 8);
    assert_int_equal(pool()->nready, 8);
    for (int i = 0; i < 50; i++)
        pool_tick(pool());
    assert_int_equal(pool()->target, 3);
    assert_int_equal(pool()->nready, 6); /* what a burst left is kept for the next, up to a point */
    for (int i = 0; i < 100; i++)
        pool_tick(pool());
    assert_int_equal(pool()->nready, 3); /* and not for ever */
    assert_int_equal(nclosed, 5);
}

static void what_is_taken_is_replaced_when_its_run_has_ended(void **state)
{
    static struct taker run[2];

    fill(); /* three */
    take(&run[0]);
    assert_int_equal(nopening, 0); /* two are left: the run goes first */
    take(&run[1]);
    assert_int_equal(nopening, 2); /* one is left: no time to lose */
}

static void a_closed_pool_is_empty_and_stays_so(void **state)
{
    fill();
    pool_close(pool());
    assert_int_equal(nclosed, 3);
    pool_tick(pool());
    assert_int_equal(nopening, 0);
}

static void a_drained_pool_keeps_only_what_is_not_answered_yet(void **state)
{
    struct sandbox *asked;

    pool_tick(pool()); /* three */
    asked = opening[1];
    asked->state = SANDBOX_OPENING;
    become_ready(opening[0]);
    opening[0] = opening[--nopening];
    pool_drain(pool());
    assert_int_equal(pool()->nready, 0);
    assert_int_equal(pool()->nopening, 1);
    assert_int_equal(nclosed, 2);
    pool_tick(pool());
    assert_int_equal(pool()->nopening, 1);
    pool_drop(pool(), asked);
    assert_int_equal(pool()->nopening, 0);
}

static void runs_go_to_another_pool_in_order_and_wait_no_longer(void **state)
{
    static struct taker runs[3];
    struct pool *cold = &nest.pools[SPAWN_COLD];

    pool_init(cold, &nest, SPAWN_COLD, 0, 2);
    pool()->enabled = cold->enabled = false;
    for (size_t i = 0; i < TEST_COUNT(runs); i++) {
        take(&runs[i]);
        runs[i].waiting_since_us = i + 1;
    }
    pool_hand_over(pool(), cold);
    assert_int_equal(pool()->nwaiting, 0);
    assert_int_equal(cold->nwaiting, 3);
    assert_ptr_equal(cold->waiting, &runs[0]);
    assert_ptr_equal(runs[2].pool, cold);
    assert_int_equal(runs[2].waiting_since_us, 3);
    pool_fail_waiting(cold, "gone");
    assert_int_equal(nunserved, 3);
    assert_string_equal(last_reason, "gone");
    assert_int_equal(cold->nwaiting, 0);
}

static void a_pool_without_a_floor_starts_at_the_first_run(void **state)
{
    static struct taker run;

    pool_init(pool(), &nest, SPAWN_WARM, 0, 1);
    pool_tick(pool());
    assert_int_equal(nopening, 0);
    take(&run);
    assert_int_equal(nopening, 1);
    become_ready(pop_opening());
    assert_ptr_equal(begun[0], &run);
    pool_tick(pool());
    assert_int_equal(nopening, 0);
}

static void one_is_made_for_health_to_tell_from_without_a_floor(void **state)
{
    pool_init(pool(), &nest, SPAWN_WARM, 0, 1);
    pool()->is_proof = true;
    pool_tick(pool());
    assert_int_equal(nopening, 1);
    become_failed(opening[0]);
    pool()->retry_us = 0;
    pool_tick(pool());
    assert_int_equal(nopening, 1);
    become_ready(pop_opening());
    assert_true(pool()->made);
    for (int i = 0; i < 50; i++)
        pool_tick(pool());
    assert_int_equal(pool()->nready, 1); /* until the nest has answered for itself */
    for (int i = 0; i < 100; i++)
        pool_tick(pool());
    assert_int_equal(pool()->nready + pool()->nopening, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_pool_fills_to_its_floor),
        TEST(only_a_few_are_made_at_once),
        TEST(runs_are_served_in_order),
        TEST(a_run_may_leave_and_another_queue_behind),
        TEST(no_sandbox_is_given_out_twice),
        TEST(one_that_dies_while_it_waits_is_replaced),
        TEST(after_a_failure_nothing_is_tried_for_a_while),
        TEST(the_pause_grows_and_has_an_end),
        TEST(a_run_does_not_wait_for_ever),
        TEST(a_run_waits_while_sandboxes_are_made),
        TEST(a_sandbox_that_does_not_get_ready_is_given_up),
        TEST(demand_raises_the_target_up_to_its_ceiling),
        TEST(what_is_taken_is_replaced_when_its_run_has_ended),
        TEST(a_closed_pool_is_empty_and_stays_so),
        TEST(a_drained_pool_keeps_only_what_is_not_answered_yet),
        TEST(runs_go_to_another_pool_in_order_and_wait_no_longer),
        TEST(a_pool_without_a_floor_starts_at_the_first_run),
        TEST(one_is_made_for_health_to_tell_from_without_a_floor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

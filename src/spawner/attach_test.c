/* Tests of attach: every start that asks for a network is answered, once, whatever happens. */
#include "spawner/attach.h"

#include <sys/syscall.h>

#include "base/test_support.h"
#include "spawner/ops.h"
#include "spawner/slot.h"
#include "spawner/test_support.h"
#include "wire/nest.h"

static int setup(void **state)
{
    test_spawner_init(4);
    fd_set_nonblock(test_server, NULL);
    test_network_works = true;
    test_attached = 0;
    test_link_error = 0;
    test_spawner.config.network = SPAWN_NETWORK_BRIDGE;
    test_spawner.nests[0].make.network = SPAWN_NETWORK_BRIDGE;
    return 0;
}

static int teardown(void **state)
{
    test_spawner_finish();
    return 0;
}

static int ask(enum spawn_op op, uint32_t network)
{
    struct spawn_request req = {.op = op, .slot = 0, .network = network};

    assert_int_equal(send(test_server, &req, sizeof req, 0), sizeof req);
    return ops_serve(&test_spawner);
}

/* Slot 0, where the nest is at work. */
static void open_slot(void)
{
    struct spawn_request req = {.op = SPAWN_OPEN};
    uint32_t number = slot_take(&test_spawner, 0, NULL);
    int fds[SPAWN_OPEN_FDS];

    assert_int_equal(slot_build(&test_spawner, number, &req, fds, NULL), 0);
    for (int i = 0; i < SPAWN_OPEN_FDS; i++)
        close(fds[i]);
}

/* Our own process stands for its init. */
static void finish_slot(void)
{
    struct nest_reply built = {.op = NEST_BUILD};
    int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);

    assert_int_equal(slot_built(&test_spawner, 0, &built, pidfd), 0);
}

static struct spawn_reply heard(void)
{
    struct spawn_reply reply;

    assert_int_equal(recv(test_server, &reply, sizeof reply, 0), sizeof reply);
    assert_int_equal(reply.op, SPAWN_START);
    assert_int_equal(reply.slot, 0);
    return reply;
}

static void assert_silent(void)
{
    char byte;

    assert_int_equal(recv(test_server, &byte, 1, MSG_PEEK), -1);
}

static void a_start_is_answered_when_the_link_is_there(void **state)
{
    open_slot();
    finish_slot();
    assert_int_equal(ask(SPAWN_START, SPAWN_NETWORK_BRIDGE), 0);
    assert_silent();
    assert_int_equal(attach_read(&test_spawner), 0);
    assert_int_equal(heard().error, 0);
    assert_silent();
    assert_int_equal(ask(SPAWN_START, SPAWN_NETWORK_NONE), 0);
    assert_int_equal(heard().error, 0);
}

static void a_link_that_failed_says_why(void **state)
{
    struct spawn_reply reply;

    open_slot();
    finish_slot();
    test_link_error = EMFILE;
    assert_int_equal(ask(SPAWN_START, SPAWN_NETWORK_BRIDGE), 0);
    assert_int_equal(attach_read(&test_spawner), 0);
    reply = heard();
    assert_int_equal(reply.error, EMFILE);
    assert_string_equal(reply.text, "no link");
}

static void a_start_ahead_of_the_nests_answer_waits_for_it(void **state)
{
    open_slot();
    assert_int_equal(ask(SPAWN_START, SPAWN_NETWORK_BRIDGE), 0);
    assert_int_equal(test_attached, 0);
    finish_slot();
    assert_int_equal(test_attached, 1);
    assert_int_equal(attach_read(&test_spawner), 0);
    assert_int_equal(heard().error, 0);
}

static void a_sandbox_that_ends_meanwhile_is_the_answer(void **state)
{
    open_slot();
    assert_int_equal(ask(SPAWN_START, SPAWN_NETWORK_BRIDGE), 0);
    slot_died(&test_spawner, 0);
    assert_int_equal(heard().error, ESRCH);
    assert_int_equal(ask(SPAWN_START, SPAWN_NETWORK_BRIDGE), 0);
    assert_int_equal(heard().error, ESRCH);
    assert_silent();
}

static void a_close_answers_the_start_and_drops_the_link(void **state)
{
    open_slot();
    assert_int_equal(ask(SPAWN_START, SPAWN_NETWORK_BRIDGE), 0);
    assert_int_equal(ask(SPAWN_CLOSE, 0), 0);
    assert_int_equal(heard().error, ESRCH);
    assert_int_equal(test_attached, 0);
    assert_int_equal(attach_read(&test_spawner), 0);
    assert_silent();
}

static void without_a_network_process_the_reason_is_given(void **state)
{
    struct spawn_reply reply;

    test_network_works = false;
    open_slot();
    finish_slot();
    assert_int_equal(ask(SPAWN_START, SPAWN_NETWORK_BRIDGE), 0);
    reply = heard();
    assert_int_equal(reply.error, ENETDOWN);
    assert_string_equal(reply.text, "no network in tests");
}

/* Its network is the host's before anybody asks; our API is closed to it first. */
static void a_tool_in_the_hosts_network_never_starts_without_the_network_process(void **state)
{
    test_spawner.nests[0].make.network = SPAWN_NETWORK_HOST;
    open_slot();
    finish_slot();
    test_network_works = false;
    assert_int_equal(ask(SPAWN_START, SPAWN_NETWORK_NONE), 0);
    assert_int_equal(heard().error, ENETDOWN);
}

static void more_than_the_nest_may_have_is_refused(void **state)
{
    open_slot();
    assert_int_equal(ask(SPAWN_START, SPAWN_NETWORK_HOST), 0);
    assert_int_equal(heard().error, ERANGE);
    assert_int_equal(ask(SPAWN_START, UINT32_MAX), 0);
    assert_int_equal(heard().error, ERANGE);
}

static void a_second_start_while_one_waits_is_the_end(void **state)
{
    open_slot();
    assert_int_equal(ask(SPAWN_START, SPAWN_NETWORK_BRIDGE), 0);
    assert_int_equal(ask(SPAWN_START, SPAWN_NETWORK_NONE), -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_start_is_answered_when_the_link_is_there),
        TEST(a_link_that_failed_says_why),
        TEST(a_start_ahead_of_the_nests_answer_waits_for_it),
        TEST(a_sandbox_that_ends_meanwhile_is_the_answer),
        TEST(a_close_answers_the_start_and_drops_the_link),
        TEST(without_a_network_process_the_reason_is_given),
        TEST(a_tool_in_the_hosts_network_never_starts_without_the_network_process),
        TEST(more_than_the_nest_may_have_is_refused),
        TEST(a_second_start_while_one_waits_is_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

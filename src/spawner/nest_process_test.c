/* Tests of nest_process: what a nest may say, and that anything else ends it. */
#include "spawner/nest_process.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/test_support.h"
#include "spawner/slot.h"
#include "spawner/test_support.h"
#include "wire/nest.h"

static pid_t nest; /* a process that stands for it */

static int setup(void **state)
{
    test_spawner_init(4);
    nest = fork();
    if (nest == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    test_spawner.nests[0].pid = nest;
    test_spawner.nests[0].pidfd = (int)syscall(SYS_pidfd_open, nest, 0);
    return test_spawner.nests[0].pidfd >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
    if (nest > 0) {
        kill(nest, SIGKILL); /* our child, and not reaped yet */
        waitpid(nest, NULL, 0);
    }
    fd_close(&test_spawner.nests[0].pidfd);
    test_spawner_finish();
    return 0;
}

static int count_open(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static bool nest_was_killed(void)
{
    siginfo_t info = {0};

    /* Seen without being reaped; the signal needs a moment. */
    for (int i = 0; i < 50 && info.si_pid == 0; i++) {
        waitid(P_PID, (id_t)nest, &info, WEXITED | WNOHANG | WNOWAIT);
        usleep(1000);
    }
    return info.si_pid == nest;
}

static void say(const struct nest_reply *reply, size_t len, size_t nfds)
{
    int fds[] = {0, 0};

    assert_int_equal(fd_send(test_nest, reply, len, fds, nfds, NULL), 0);
    nest_process_read(&test_spawner, 0);
}

static uint32_t open_slot(void)
{
    struct spawn_request req = {.op = SPAWN_OPEN};
    uint32_t number = slot_take(&test_spawner, 0, NULL);
    int fds[SPAWN_OPEN_FDS];

    assert_int_equal(slot_build(&test_spawner, number, &req, fds, NULL), 0);
    for (int i = 0; i < SPAWN_OPEN_FDS; i++)
        close(fds[i]);
    return number;
}

static void a_pong_is_passed_on_only_after_a_ping(void **state)
{
    struct nest_reply pong = {.op = NEST_PING, .error = 7};
    struct spawn_reply reply;

    assert_int_equal(nest_process_ping(&test_spawner, 0), 0);
    say(&pong, sizeof pong, 0);
    assert_int_equal(recv(test_server, &reply, sizeof reply, MSG_DONTWAIT), sizeof reply);
    assert_int_equal(reply.error, 7);
    assert_int_equal(test_spawner.nests[0].pings, 0);
    assert_false(nest_was_killed());
    say(&pong, sizeof pong, 0);
    assert_int_equal(recv(test_server, &reply, sizeof reply, MSG_DONTWAIT), -1);
    assert_true(nest_was_killed());
}

static void a_built_sandbox_is_watched(void **state)
{
    struct nest_reply built = {.op = NEST_BUILD, .slot = open_slot()};

    assert_int_equal(
        fd_send(test_nest, &built, sizeof built, &test_spawner.nests[0].pidfd, 1, NULL), 0);
    nest_process_read(&test_spawner, 0);
    assert_int_equal(test_spawner.slots[0].state, SLOT_OPEN);
    assert_false(nest_was_killed());
}

static void nonsense_ends_the_nest_and_leaves_no_descriptor(void **state)
{
    static const struct {
        struct nest_reply reply;
        size_t len, nfds;
    } nonsense[] = {
        {{.op = 0}, sizeof(struct nest_reply), 0},
        {{.op = 3}, sizeof(struct nest_reply), 1},
        {{.op = UINT32_MAX}, sizeof(struct nest_reply), 2},
        {{.op = NEST_PING}, sizeof(struct nest_reply), 1},
        {{.op = NEST_BUILD, .slot = 3}, sizeof(struct nest_reply), 1},
        {{.op = NEST_BUILD, .slot = 0, .error = 5}, sizeof(struct nest_reply), 1},
        {{.op = NEST_BUILD, .slot = 0}, sizeof(struct nest_reply), 0},
        {{.op = NEST_BUILD, .slot = 0}, sizeof(struct nest_reply), 2},
        {{.op = NEST_BUILD, .slot = 0}, sizeof(struct nest_reply) - 1, 1},
        {{.op = NEST_PING}, 1, 0},
    };

    for (size_t i = 0; i < TEST_COUNT(nonsense); i++) {
        int before;

        setup(NULL);
        open_slot();
        assert_int_equal(nest_process_ping(&test_spawner, 0), 0);
        before = count_open();
        say(&nonsense[i].reply, nonsense[i].len, nonsense[i].nfds);
        assert_int_equal(count_open(), before);
        assert_int_equal(test_spawner.slots[0].state, SLOT_OPENING);
        assert_true(nest_was_killed());
        teardown(NULL);
    }
}

static void a_process_that_is_no_sandbox_of_its_own_ends_the_nest(void **state)
{
    struct nest_reply built = {.op = NEST_BUILD, .slot = open_slot()};
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0), before = count_open();

    test_is_foreign = true;
    assert_int_equal(fd_send(test_nest, &built, sizeof built, &self, 1, NULL), 0);
    nest_process_read(&test_spawner, 0);
    test_is_foreign = false;
    assert_int_equal(test_spawner.slots[0].state, SLOT_OPENING);
    assert_int_equal(count_open(), before);
    assert_true(nest_was_killed());
    close(self);
}

static void a_nest_that_hangs_up_is_ended(void **state)
{
    fd_close(&test_nest);
    nest_process_read(&test_spawner, 0);
    assert_true(nest_was_killed());
}

static void its_death_answers_every_ping_and_plans_the_next_start(void **state)
{
    struct spawn_reply reply;

    test_spawner.nests[0].started_us = 0; /* it has lived long */
    assert_int_equal(nest_process_ping(&test_spawner, 0), 0);
    assert_int_equal(nest_process_ping(&test_spawner, 0), 0);
    kill(nest, SIGKILL);
    nest_process_died(&test_spawner, 0);
    nest = 0; /* reaped */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(recv(test_server, &reply, sizeof reply, MSG_DONTWAIT), sizeof reply);
        assert_int_equal(reply.error, EAGAIN);
    }
    assert_int_equal(recv(test_server, &reply, sizeof reply, MSG_DONTWAIT), -1);
    assert_int_equal(test_spawner.nests[0].pid, 0);
    assert_int_equal(test_spawner.nests[0].sock, -1);
    assert_int_equal(test_spawner.nests[0].pidfd, -1);
    assert_int_equal(test_spawner.nests[0].failures, 0);
    assert_true(nest_process_next_us(&test_spawner) < UINT64_MAX);
    assert_false(nest_process_is_lost(&test_spawner, 0));
    assert_int_equal(nest_process_ping(&test_spawner, 0), -1);
}

static void the_nest_of_a_build_is_not_started_again(void **state)
{
    test_spawner.nests[0].make.kind = SPAWN_NEST_BUILD;
    kill(nest, SIGKILL);
    nest_process_died(&test_spawner, 0);
    nest = 0; /* reaped */
    assert_true(nest_process_is_lost(&test_spawner, 0));
    assert_true(nest_process_next_us(&test_spawner) == UINT64_MAX);
}

/* As if this had been asked for so long ago that its answer is overdue now. */
static void pass_time(uint64_t since_us)
{
    uint64_t due = clock_now_us() - since_us;

    for (uint32_t i = 0; i < test_spawner.nslots; i++)
        test_spawner.slots[i].overdue_us = due;
    test_spawner.nests[0].pong_due_us = test_spawner.nests[0].answer_due_us = due;
    nest_process_keep(&test_spawner);
}

static void one_that_leaves_a_slot_without_an_answer_is_ended(void **state)
{
    struct nest_reply built = {.op = NEST_BUILD, .slot = open_slot(), .error = EIO};
    uint64_t due = nest_process_next_us(&test_spawner);

    open_slot();
    nest_process_keep(&test_spawner);
    assert_false(nest_was_killed());
    assert_in_range(due, clock_now_us() + 10000000, clock_now_us() + 60000000);
    say(&built, sizeof built, 0); /* one of two */
    assert_int_equal(test_spawner.slots[0].state, SLOT_DEAD);
    pass_time(1000);
    assert_true(nest_was_killed());
    assert_true(nest_process_next_us(&test_spawner) == UINT64_MAX);
}

static void one_that_leaves_a_ping_without_an_answer_is_ended(void **state)
{
    assert_int_equal(nest_process_ping(&test_spawner, 0), 0);
    assert_true(nest_process_next_us(&test_spawner) < UINT64_MAX);
    pass_time(1000);
    assert_true(nest_was_killed());
}

static void one_that_owes_nothing_may_be_silent(void **state)
{
    struct nest_reply pong = {.op = NEST_PING}, built = {.op = NEST_BUILD, .error = EIO};

    built.slot = open_slot();
    assert_int_equal(nest_process_ping(&test_spawner, 0), 0);
    say(&built, sizeof built, 0);
    say(&pong, sizeof pong, 0);
    pass_time(1000);
    assert_false(nest_was_killed());
    assert_true(nest_process_next_us(&test_spawner) == UINT64_MAX);
}

static void after_a_standstill_it_has_time_to_answer(void **state)
{
    open_slot();
    pass_time(60000000); /* the machine's, who else would have come so late */
    assert_false(nest_was_killed());
    assert_true(nest_process_next_us(&test_spawner) < UINT64_MAX);
    pass_time(1000);
    assert_true(nest_was_killed());
}

static void stopping_waits_for_its_death(void **state)
{
    nest_process_stop(&test_spawner, 0);
    assert_true(nest_was_killed());
    test_spawner.nests[0].pid = 0;
    nest_process_stop(&test_spawner, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_pong_is_passed_on_only_after_a_ping),
        TEST(a_built_sandbox_is_watched),
        cmocka_unit_test(nonsense_ends_the_nest_and_leaves_no_descriptor),
        TEST(a_process_that_is_no_sandbox_of_its_own_ends_the_nest),
        TEST(a_nest_that_hangs_up_is_ended),
        TEST(its_death_answers_every_ping_and_plans_the_next_start),
        TEST(the_nest_of_a_build_is_not_started_again),
        TEST(one_that_leaves_a_slot_without_an_answer_is_ended),
        TEST(one_that_leaves_a_ping_without_an_answer_is_ended),
        TEST(one_that_owes_nothing_may_be_silent),
        TEST(after_a_standstill_it_has_time_to_answer),
        TEST(stopping_waits_for_its_death),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

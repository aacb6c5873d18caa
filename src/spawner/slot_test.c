/* Tests of slot: one sandbox in a place at a time, and no place is lost. */
#include "spawner/slot.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/test_support.h"
#include "spawner/test_support.h"
#include "wire/nest.h"

static const struct spawn_request cold = {.op = SPAWN_OPEN, .kind = SPAWN_COLD};

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

static int count_open(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static struct slot *slot_at(uint32_t number)
{
    return &test_spawner.slots[number];
}

/* A slot on which the nest works. */
static uint32_t open_slot(void)
{
    uint32_t number = slot_take(&test_spawner, 0, NULL);
    int fds[SPAWN_OPEN_FDS];

    assert_int_not_equal(number, SLOT_NONE);
    assert_int_equal(slot_build(&test_spawner, number, &cold, fds, NULL), 0);
    for (int i = 0; i < SPAWN_OPEN_FDS; i++)
        close(fds[i]);
    return number;
}

static int build_answer(uint32_t number, int32_t error, int pidfd)
{
    struct nest_reply reply = {.op = NEST_BUILD, .slot = number, .error = error};

    return slot_built(&test_spawner, 0, &reply, pidfd);
}

/* A process that waits to be killed. */
static pid_t start_sleeper(int *ret_pidfd)
{
    pid_t pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    *ret_pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    assert_true(*ret_pidfd >= 0);
    return pid;
}

static void assert_killed(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Takes a slot from OPEN to FREE. */
static void live_and_die(uint32_t number)
{
    int pidfd;
    pid_t pid = start_sleeper(&pidfd);

    assert_int_equal(build_answer(number, 0, pidfd), 0);
    slot_close(&test_spawner, number);
    assert_killed(pid);
    slot_died(&test_spawner, number);
    slot_drain(&test_spawner);
    assert_int_equal(slot_at(number)->state, SLOT_FREE);
}

static void slots_are_made_when_needed_and_no_more(void **state)
{
    struct err e = {0};

    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(slot_take(&test_spawner, 0, NULL), i);
    assert_int_equal(slot_take(&test_spawner, 0, &e), SLOT_NONE);
    assert_int_equal(e.errnum, EAGAIN);
    assert_memory_equal(&test_groups[3].limits, &test_spawner.config.defaults,
                        sizeof(struct spawn_limits));
}

static void a_slot_without_a_group_is_not_made(void **state)
{
    int before = count_open();

    test_create_fails = true;
    assert_int_equal(slot_take(&test_spawner, 0, NULL), SLOT_NONE);
    test_limit_fails = true;
    assert_int_equal(slot_take(&test_spawner, 0, NULL), SLOT_NONE);
    assert_int_equal(count_open(), before);
    assert_int_equal(test_spawner.nslots, 0);
    assert_int_equal(slot_take(&test_spawner, 0, NULL), 0);
}

static void the_longest_unused_slot_comes_first(void **state)
{
    for (uint32_t i = 0; i < 3; i++)
        open_slot();
    live_and_die(1);
    live_and_die(2);
    live_and_die(0);
    assert_int_equal(open_slot(), 1);
    assert_int_equal(open_slot(), 2);
    assert_int_equal(open_slot(), 0);
    assert_int_equal(open_slot(), 3);
}

static void building_hands_over_three_channels_and_the_groups(void **state)
{
    struct spawn_request req = {.op = SPAWN_OPEN, .kind = SPAWN_WARM};
    uint32_t number = slot_take(&test_spawner, 0, NULL);
    int ours[SPAWN_OPEN_FDS], theirs[NEST_BUILD_FDS(NEST_GROUPS_MAX)];
    struct nest_request build;
    char text[8] = "";
    size_t nfds;

    assert_int_equal(slot_build(&test_spawner, number, &req, ours, NULL), 0);
    assert_int_equal(slot_at(number)->state, SLOT_OPENING);
    assert_int_equal(
        fd_recv(test_nest, &build, sizeof build, theirs, TEST_COUNT(theirs), &nfds, NULL),
        sizeof build);
    assert_int_equal(build.op, NEST_BUILD);
    assert_int_equal(build.slot, number);
    assert_int_equal(build.kind, SPAWN_WARM);
    assert_int_equal(build.workspace_mb, 32);
    assert_int_equal(build.groups, 1);
    assert_int_equal(nfds, NEST_BUILD_FDS(1));
    assert_int_equal(write(theirs[1], "out", 3) + write(theirs[2], "err", 3), 6);
    assert_int_equal(read(ours[1], text, sizeof text), 3);
    assert_string_equal(text, "out");
    assert_int_equal(read(ours[2], text, sizeof text), 3);
    assert_string_equal(text, "err");
    assert_int_equal(write(theirs[0], "c", 1), 1);
    assert_int_equal(read(ours[0], text, sizeof text), 1);
    for (size_t i = 0; i < nfds; i++)
        close(theirs[i]);
    for (int i = 0; i < SPAWN_OPEN_FDS; i++)
        close(ours[i]);
}

/* A run opens /dev/stdout by its name; it must not read what others wrote there. */
static void whoever_is_in_it_can_pass_the_server_no_descriptor(void **state)
{
    uint32_t number = slot_take(&test_spawner, 0, NULL);
    struct nest_request req;
    int ours[SPAWN_OPEN_FDS], theirs[FD_PASS_MAX], value;
    socklen_t len = sizeof value;
    size_t nfds = 0;
    struct err e;

    assert_int_equal(slot_build(&test_spawner, number, &cold, ours, NULL), 0);
    assert_int_equal(fd_recv(test_nest, &req, sizeof req, theirs, FD_PASS_MAX, &nfds, NULL),
                     sizeof req);
    if (getsockopt(ours[0], SOL_SOCKET, 83 /* SO_PASSRIGHTS */, &value, &len) == 0) {
        assert_int_equal(fd_send(theirs[0], "x", 1, &theirs[1], 1, &e), -1);
        assert_int_equal(e.errnum, EPERM);
    }
    assert_int_equal(fd_send(theirs[0], "x", 1, NULL, 0, NULL), 0);
    assert_int_equal(fd_send(ours[0], "x", 1, &ours[1], 1, NULL), 0);
    for (int i = 0; i < SPAWN_OPEN_FDS; i++)
        close(ours[i]);
    for (size_t i = 0; i < nfds; i++)
        close(theirs[i]);
}

static void the_pipes_can_be_opened_for_writing_only(void **state)
{
    struct spawn_request req = {.op = SPAWN_OPEN};
    uint32_t number = slot_take(&test_spawner, 0, NULL);
    int fds[SPAWN_OPEN_FDS];
    struct stat st;

    assert_int_equal(slot_build(&test_spawner, number, &req, fds, NULL), 0);
    for (int i = 1; i < SPAWN_OPEN_FDS; i++) {
        assert_int_equal(fstat(fds[i], &st), 0);
        assert_int_equal(st.st_mode, S_IFIFO | 0222);
    }
    for (int i = 0; i < SPAWN_OPEN_FDS; i++)
        close(fds[i]);
}

static void a_slot_whose_nest_is_gone_is_free_again(void **state)
{
    uint32_t number = slot_take(&test_spawner, 0, NULL);
    int before = count_open(), fds[SPAWN_OPEN_FDS];
    struct err e = {0};

    fd_close(&test_nest);
    assert_int_equal(slot_build(&test_spawner, number, &cold, fds, &e), -1);
    assert_int_equal(count_open(), before - 1);
    assert_int_equal(fds[0], -1);
    assert_contains(e.text, "slot 0");
    assert_int_equal(slot_at(number)->state, SLOT_FREE);
    assert_int_equal(slot_take(&test_spawner, 0, NULL), number);
}

static void answers_that_make_no_sense_are_refused_and_their_descriptor_closed(void **state)
{
    uint32_t number = open_slot();
    int before = count_open();

    assert_int_equal(build_answer(1, 0, dup(0)), -1);
    assert_int_equal(build_answer(LIMIT_SLOTS, 0, dup(0)), -1);
    assert_int_equal(build_answer(UINT32_MAX, 0, dup(0)), -1);
    assert_int_equal(build_answer(number, 0, -1), -1);
    assert_int_equal(build_answer(number, ENOMEM, dup(0)), -1);
    assert_int_equal(count_open(), before);
    assert_int_equal(slot_at(number)->state, SLOT_OPENING);
    live_and_die(number);
    assert_int_equal(build_answer(number, 0, dup(0)), -1);
    assert_int_equal(count_open(), before);
}

static void a_second_answer_is_refused(void **state)
{
    uint32_t number = open_slot();
    int pidfd, other = dup(0);
    pid_t pid = start_sleeper(&pidfd);

    assert_int_equal(build_answer(number, 0, pidfd), 0);
    assert_int_equal(build_answer(number, 0, other), -1);
    assert_int_equal(build_answer(number, EIO, -1), -1);
    assert_int_equal(slot_at(number)->pidfd, pidfd);
    slot_close(&test_spawner, number);
    assert_killed(pid);
}

static void a_slot_closed_while_it_opens_is_killed_when_it_is_there(void **state)
{
    uint32_t number = open_slot();
    int pidfd;
    pid_t pid = start_sleeper(&pidfd);

    slot_close(&test_spawner, number);
    assert_int_equal(slot_at(number)->state, SLOT_OPENING);
    assert_int_equal(build_answer(number, 0, pidfd), 0);
    assert_killed(pid);
    slot_died(&test_spawner, number);
    assert_int_equal(slot_at(number)->state, SLOT_DRAINING);
}

static void one_that_could_not_be_built_waits_for_its_close(void **state)
{
    uint32_t number = open_slot();

    assert_int_equal(build_answer(number, ENOMEM, -1), 0);
    assert_int_equal(slot_at(number)->state, SLOT_DEAD);
    slot_drain(&test_spawner);
    assert_int_equal(slot_at(number)->state, SLOT_DEAD);
    slot_close(&test_spawner, number);
    slot_drain(&test_spawner);
    assert_int_equal(slot_at(number)->state, SLOT_FREE);
}

static void one_that_cannot_be_watched_is_killed_and_not_lost(void **state)
{
    uint32_t number = open_slot();
    int pidfd;
    pid_t pid = start_sleeper(&pidfd);

    test_watch_fails = true;
    assert_int_equal(build_answer(number, 0, pidfd), -1);
    assert_killed(pid);
    slot_close(&test_spawner, number);
    slot_drain(&test_spawner);
    assert_int_equal(slot_at(number)->state, SLOT_FREE);
}

/* epoll refuses a regular file: a nest that answers with one must not cost a slot. */
static void an_answer_with_a_file_costs_no_slot(void **state)
{
    uint32_t number = open_slot();

    assert_int_equal(build_answer(number, 0, open("/proc/self/exe", O_RDONLY | O_CLOEXEC)), -1);
    slot_close(&test_spawner, number);
    slot_drain(&test_spawner);
    assert_int_equal(slot_at(number)->state, SLOT_FREE);
}

static void a_slot_is_free_only_when_its_group_is_empty(void **state)
{
    uint32_t number = open_slot();

    assert_int_equal(build_answer(number, EIO, -1), 0);
    test_groups[number].processes = 1;
    slot_close(&test_spawner, number);
    slot_drain(&test_spawner);
    assert_int_equal(slot_at(number)->state, SLOT_DRAINING);
    assert_int_equal(test_spawner.ndraining, 1);
    test_groups[number].processes = -1; /* could not be counted, nor removed */
    test_replace_fails = true;
    slot_drain(&test_spawner);
    assert_int_equal(slot_at(number)->state, SLOT_DRAINING);
    test_groups[number].processes = 0;
    slot_drain(&test_spawner);
    assert_int_equal(slot_at(number)->state, SLOT_FREE);
    assert_int_equal(test_spawner.ndraining, 0);
    assert_int_equal(test_groups[number].renewed, 1);
}

static void a_slot_that_cannot_be_made_as_new_stays_out_of_use(void **state)
{
    uint32_t number = open_slot();

    assert_int_equal(build_answer(number, EIO, -1), 0);
    slot_close(&test_spawner, number);
    test_renew_fails = true;
    slot_drain(&test_spawner);
    assert_int_equal(slot_at(number)->state, SLOT_DRAINING);
    test_limit_fails = true;
    slot_drain(&test_spawner);
    assert_int_equal(slot_at(number)->state, SLOT_DRAINING);
    slot_drain(&test_spawner);
    assert_int_equal(slot_at(number)->state, SLOT_FREE);
}

static void the_nests_death_ends_what_it_was_building(void **state)
{
    uint32_t opening = open_slot(), closing = open_slot(), open = open_slot();
    int pidfd;
    pid_t pid = start_sleeper(&pidfd);

    assert_int_equal(build_answer(open, 0, pidfd), 0);
    slot_close(&test_spawner, closing);
    slot_nest_died(&test_spawner, 1);
    assert_int_equal(slot_at(0)->state, SLOT_OPENING);
    slot_nest_died(&test_spawner, 0);
    assert_int_equal(slot_at(opening)->state, SLOT_DEAD);
    assert_int_equal(slot_at(closing)->state, SLOT_DRAINING);
    assert_int_equal(slot_at(open)->state, SLOT_OPEN); /* its own pidfd will say so */
    slot_close(&test_spawner, open);
    assert_killed(pid);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(slots_are_made_when_needed_and_no_more),
        TEST(a_slot_without_a_group_is_not_made),
        TEST(the_longest_unused_slot_comes_first),
        TEST(building_hands_over_three_channels_and_the_groups),
        TEST(whoever_is_in_it_can_pass_the_server_no_descriptor),
        TEST(the_pipes_can_be_opened_for_writing_only),
        TEST(a_slot_whose_nest_is_gone_is_free_again),
        TEST(answers_that_make_no_sense_are_refused_and_their_descriptor_closed),
        TEST(a_second_answer_is_refused),
        TEST(a_slot_closed_while_it_opens_is_killed_when_it_is_there),
        TEST(one_that_could_not_be_built_waits_for_its_close),
        TEST(one_that_cannot_be_watched_is_killed_and_not_lost),
        TEST(an_answer_with_a_file_costs_no_slot),
        TEST(a_slot_is_free_only_when_its_group_is_empty),
        TEST(a_slot_that_cannot_be_made_as_new_stays_out_of_use),
        TEST(the_nests_death_ends_what_it_was_building),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

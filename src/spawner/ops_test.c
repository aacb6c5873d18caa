/* Tests of ops: what the server may ask, and that anything else ends the spawner. */
#include "spawner/ops.h"

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

static int count_open(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* Sends one request and has it served. */
static int serve(const struct spawn_request *req)
{
    assert_int_equal(send(test_server, req, sizeof *req, 0), sizeof *req);
    return ops_serve(&test_spawner);
}

static int serve_op(enum spawn_op op, uint32_t slot)
{
    struct spawn_request req = {.op = op, .slot = slot};

    return serve(&req);
}

/* The reply; its descriptors are closed. */
static struct spawn_reply heard(size_t want_fds)
{
    int fds[SPAWN_FDS_MAX];
    struct spawn_reply reply;
    size_t nfds;

    assert_int_equal(fd_recv(test_server, &reply, sizeof reply, fds, SPAWN_FDS_MAX, &nfds, NULL),
                     sizeof reply);
    assert_int_equal(nfds, want_fds);
    for (size_t i = 0; i < nfds; i++)
        close(fds[i]);
    return reply;
}

static void assert_silent(void)
{
    char byte;

    assert_int_equal(recv(test_server, &byte, 1, MSG_DONTWAIT | MSG_PEEK), -1);
}

static void open_gives_a_slot_and_its_channels(void **state)
{
    struct spawn_reply reply;

    assert_int_equal(serve_op(SPAWN_OPEN, 99), 0);
    reply = heard(SPAWN_OPEN_FDS);
    assert_int_equal(reply.op, SPAWN_OPEN);
    assert_int_equal(reply.error, 0);
    assert_int_equal(reply.slot, 0);
    assert_int_equal(reply.cgroup, 2);
    assert_int_equal(serve_op(SPAWN_OPEN, 0), 0);
    assert_int_equal(heard(SPAWN_OPEN_FDS).slot, 1);
}

static void open_is_refused_while_there_is_no_nest(void **state)
{
    test_spawner.nests[0].pid = 0;
    assert_int_equal(serve_op(SPAWN_OPEN, 0), 0);
    assert_int_equal(heard(0).error, EAGAIN);
    assert_int_equal(test_spawner.nslots, 0);
}

static void open_is_refused_as_for_a_dead_nest_while_it_is_being_killed(void **state)
{
    fd_close(&test_nest);
    assert_int_equal(serve_op(SPAWN_OPEN, 0), 0);
    assert_int_equal(heard(0).error, EAGAIN);
    assert_int_equal(test_spawner.slots[0].state, SLOT_FREE);
}

static void open_is_refused_when_all_slots_are_in_use(void **state)
{
    for (int i = 0; i < 4; i++) {
        assert_int_equal(serve_op(SPAWN_OPEN, 0), 0);
        assert_int_equal(heard(SPAWN_OPEN_FDS).error, 0);
    }
    assert_int_equal(serve_op(SPAWN_OPEN, 0), 0);
    assert_int_equal(heard(0).error, EAGAIN);
}

/* A build's sandbox has all ids of its nest. */
static void a_build_has_one_sandbox_at_a_time(void **state)
{
    struct nest_reply built = {.op = NEST_BUILD, .error = EIO};

    test_spawner.nests[0].make.kind = SPAWN_NEST_BUILD;
    assert_int_equal(serve_op(SPAWN_OPEN, 0), 0);
    assert_int_equal(heard(SPAWN_OPEN_FDS).error, 0);
    assert_int_equal(serve_op(SPAWN_OPEN, 0), 0);
    assert_int_equal(heard(0).error, EAGAIN);
    assert_int_equal(slot_built(&test_spawner, 0, &built, -1), 0);
    assert_int_equal(serve_op(SPAWN_CLOSE, 0), 0);
    test_groups[0].processes = 1;
    slot_drain(&test_spawner);
    assert_int_equal(serve_op(SPAWN_OPEN, 0), 0);
    assert_int_equal(heard(0).error, EAGAIN);
    test_groups[0].processes = 0;
    slot_drain(&test_spawner);
    assert_int_equal(serve_op(SPAWN_OPEN, 0), 0);
    assert_int_equal(heard(SPAWN_OPEN_FDS).error, 0);
}

static struct nest_request told_to_nest(size_t want_fds)
{
    int fds[FD_PASS_MAX];
    struct nest_request req;
    size_t nfds;

    assert_int_equal(fd_recv(test_nest, &req, sizeof req, fds, FD_PASS_MAX, &nfds, NULL),
                     sizeof req);
    assert_int_equal(nfds, want_fds);
    for (size_t i = 0; i < nfds; i++)
        close(fds[i]);
    return req;
}

/* An open cold slot. */
static void open_slot_zero(void)
{
    struct nest_reply built = {.op = NEST_BUILD};

    assert_int_equal(serve_op(SPAWN_OPEN, 0), 0);
    heard(SPAWN_OPEN_FDS);
    told_to_nest(NEST_BUILD_FDS(test_spawner.slots[0].group.nprocs));
    assert_int_equal(slot_built(&test_spawner, 0, &built, eventfd(0, EFD_CLOEXEC)), 0);
}

static void a_join_lends_the_group_to_the_zygote(void **state)
{
    int before;

    test_spawner.nests[0].make.warm = 1;
    open_slot_zero();
    assert_false(test_spawner.slots[0].lent);
    before = count_open();
    assert_int_equal(serve_op(SPAWN_JOIN, 0), 0);
    assert_int_equal(heard(SPAWN_JOIN_FDS).error, 0);
    assert_int_equal(told_to_nest(NEST_JOIN_FDS(test_spawner.slots[0].group.nprocs)).op, NEST_JOIN);
    assert_true(test_spawner.slots[0].lent);
    assert_int_equal(count_open(), before);
}

static void a_join_waits_for_its_nest_and_its_sandbox(void **state)
{
    test_spawner.nests[0].make.warm = 1;
    assert_int_equal(serve_op(SPAWN_OPEN, 0), 0);
    heard(SPAWN_OPEN_FDS);
    assert_int_equal(serve_op(SPAWN_JOIN, 0), 0);
    assert_int_equal(heard(0).error, EAGAIN);
    assert_int_equal(slot_built(&test_spawner, 0, &(struct nest_reply){.op = NEST_BUILD},
                                eventfd(0, EFD_CLOEXEC)),
                     0);
    test_spawner.nests[0].pid = 0;
    assert_int_equal(serve_op(SPAWN_JOIN, 0), 0);
    assert_int_equal(heard(0).error, EAGAIN);
    assert_false(test_spawner.slots[0].lent);
    slot_died(&test_spawner, 0);
    assert_int_equal(serve_op(SPAWN_JOIN, 0), 0);
    assert_int_equal(heard(0).error, ESRCH);
}

static void a_join_where_there_is_no_zygote_is_the_end(void **state)
{
    open_slot_zero();
    assert_int_equal(serve_op(SPAWN_JOIN, 0), -1);
}

static void start_puts_limits_in_force(void **state)
{
    struct spawn_request req = {.op = SPAWN_START, .limits = {.memory_mb = 256, .processes = 9}};

    assert_int_equal(serve_op(SPAWN_OPEN, 0), 0);
    heard(SPAWN_OPEN_FDS);
    assert_int_equal(serve(&req), 0);
    assert_int_equal(heard(0).error, 0);
    assert_int_equal(test_groups[0].limits.memory_mb, 256);
    assert_int_equal(test_groups[0].limits.cpu_milli, 1000);
    assert_int_equal(test_groups[0].limits.processes, 9);
}

static void start_beyond_a_ceiling_is_refused_and_changes_nothing(void **state)
{
    struct spawn_request req = {.op = SPAWN_START, .limits = {.memory_mb = 1025}};

    assert_int_equal(serve_op(SPAWN_OPEN, 0), 0);
    heard(SPAWN_OPEN_FDS);
    assert_int_equal(serve(&req), 0);
    assert_int_equal(heard(0).error, ERANGE);
    assert_int_equal(test_groups[0].limits.memory_mb, 128);
    test_limit_fails = true;
    req.limits.memory_mb = 0;
    assert_int_equal(serve(&req), 0);
    assert_int_equal(heard(0).error, ENOSPC);
}

static void usage_reports_the_groups_counters(void **state)
{
    struct spawn_reply reply;

    assert_int_equal(serve_op(SPAWN_OPEN, 0), 0);
    heard(SPAWN_OPEN_FDS);
    assert_int_equal(serve_op(SPAWN_USAGE, 0), 0);
    reply = heard(0);
    assert_int_equal(reply.cpu_us, 1);
    assert_int_equal(reply.memory_peak, 2);
    assert_int_equal(reply.oom_kills, 3);
    assert_int_equal(reply.pids_hits, 4);
}

static void a_slot_is_closed_once_and_without_an_answer(void **state)
{
    assert_int_equal(serve_op(SPAWN_OPEN, 0), 0);
    heard(SPAWN_OPEN_FDS);
    assert_int_equal(serve_op(SPAWN_CLOSE, 0), 0);
    assert_silent();
    assert_int_equal(serve_op(SPAWN_CLOSE, 0), -1);
    assert_int_equal(serve_op(SPAWN_USAGE, 0), -1);
    assert_int_equal(serve_op(SPAWN_START, 0), -1);
}

static void a_dead_slot_can_be_asked_and_closed(void **state)
{
    struct nest_reply built = {.op = NEST_BUILD, .error = EIO};

    assert_int_equal(serve_op(SPAWN_OPEN, 0), 0);
    heard(SPAWN_OPEN_FDS);
    assert_int_equal(slot_built(&test_spawner, 0, &built, -1), 0);
    assert_int_equal(serve_op(SPAWN_USAGE, 0), 0);
    heard(0);
    assert_int_equal(serve_op(SPAWN_CLOSE, 0), 0);
    assert_int_equal(test_spawner.slots[0].state, SLOT_DRAINING);
    assert_int_equal(serve_op(SPAWN_USAGE, 0), -1);
}

static void a_ping_goes_to_the_nest_and_back(void **state)
{
    struct nest_request ping;
    struct spawn_reply reply;

    assert_int_equal(serve_op(SPAWN_PING, 0), 0);
    assert_silent();
    assert_int_equal(recv(test_nest, &ping, sizeof ping, 0), sizeof ping);
    assert_int_equal(ping.op, NEST_PING);
    ops_pong(&test_spawner, 0, 5);
    reply = heard(0);
    assert_int_equal(reply.op, SPAWN_PING);
    assert_int_equal(reply.error, 5);
    test_spawner.nests[0].pid = 0;
    assert_int_equal(serve_op(SPAWN_PING, 0), 0);
    assert_int_equal(heard(0).error, EAGAIN);
}

static void what_the_table_does_not_permit_is_the_end(void **state)
{
    static const struct spawn_request wrong[] = {
        {.op = 0},
        {.op = SPAWN_PING + 1},
        {.op = UINT32_MAX},
        {.op = SPAWN_OPEN, .kind = SPAWN_WARM + 1},
        {.op = SPAWN_OPEN, .nest = 1}, /* not open */
        {.op = SPAWN_PING, .nest = LIMIT_NESTS},
        {.op = SPAWN_START, .slot = 0},          /* no slot was ever made */
        {.op = SPAWN_USAGE, .slot = 3},          /* of four that may be */
        {.op = SPAWN_CLOSE, .slot = 4},          /* beyond them */
        {.op = SPAWN_CLOSE, .slot = UINT32_MAX}, /* SLOT_NONE */
    };

    for (size_t i = 0; i < TEST_COUNT(wrong); i++) {
        assert_int_equal(serve(&wrong[i]), -1);
        assert_silent();
    }
}

static void a_free_slot_cannot_be_named(void **state)
{
    struct nest_reply built = {.op = NEST_BUILD, .error = EIO};

    assert_int_equal(serve_op(SPAWN_OPEN, 0), 0);
    heard(SPAWN_OPEN_FDS);
    assert_int_equal(slot_built(&test_spawner, 0, &built, -1), 0);
    assert_int_equal(serve_op(SPAWN_CLOSE, 0), 0);
    slot_drain(&test_spawner);
    assert_int_equal(test_spawner.slots[0].state, SLOT_FREE);
    assert_int_equal(serve_op(SPAWN_START, 0), -1);
}

static void messages_of_another_size_are_the_end(void **state)
{
    char bytes[sizeof(struct spawn_request) + 1] = {SPAWN_PING};

    for (size_t len = 1; len <= sizeof bytes; len++) {
        if (len == sizeof(struct spawn_request))
            continue;
        assert_int_equal(send(test_server, bytes, len, 0), len);
        assert_int_equal(ops_serve(&test_spawner), -1);
    }
}

static void descriptors_from_the_server_are_the_end(void **state)
{
    struct spawn_request req = {.op = SPAWN_PING};
    int before = count_open(), zero = 0;

    assert_int_equal(fd_send(test_server, &req, sizeof req, &zero, 1, NULL), 0);
    assert_int_equal(ops_serve(&test_spawner), -1);
    assert_int_equal(count_open(), before);
}

static void the_servers_end_is_the_end(void **state)
{
    fd_close(&test_server);
    assert_int_equal(ops_serve(&test_spawner), -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(open_gives_a_slot_and_its_channels),
        TEST(open_is_refused_while_there_is_no_nest),
        TEST(open_is_refused_as_for_a_dead_nest_while_it_is_being_killed),
        TEST(open_is_refused_when_all_slots_are_in_use),
        TEST(a_build_has_one_sandbox_at_a_time),
        TEST(a_join_lends_the_group_to_the_zygote),
        TEST(a_join_waits_for_its_nest_and_its_sandbox),
        TEST(a_join_where_there_is_no_zygote_is_the_end),
        TEST(start_puts_limits_in_force),
        TEST(start_beyond_a_ceiling_is_refused_and_changes_nothing),
        TEST(usage_reports_the_groups_counters),
        TEST(a_slot_is_closed_once_and_without_an_answer),
        TEST(a_dead_slot_can_be_asked_and_closed),
        TEST(a_ping_goes_to_the_nest_and_back),
        TEST(what_the_table_does_not_permit_is_the_end),
        TEST(a_free_slot_cannot_be_named),
        TEST(messages_of_another_size_are_the_end),
        TEST(descriptors_from_the_server_are_the_end),
        TEST(the_servers_end_is_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

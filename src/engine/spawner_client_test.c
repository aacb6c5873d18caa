/* Tests of spawner_client, with a real socket and a spawner that says what the test wants. */
#include "engine/spawner_client.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test_support.h"

enum { ANSWERS_MAX = 1024 };

struct fixture {
    uv_loop_t loop;
    struct spawner_client *client;
    int spawner; /* the other end */
    int gone;
    int nanswers;
    uint32_t slots[ANSWERS_MAX]; /* of the answers, as they came */
    uint32_t ops[ANSWERS_MAX];
    int fds[SPAWN_OPEN_FDS]; /* of the last SPAWN_OPEN */
};

static void on_gone(void *data)
{
    struct fixture *x = data;

    x->gone++;
}

static void on_answer(void *data, const struct spawn_reply *reply, int *fds)
{
    struct fixture *x = data;

    x->ops[x->nanswers] = reply->op;
    x->slots[x->nanswers++] = reply->slot;
    if (reply->op == SPAWN_OPEN && reply->error == 0)
        memcpy(x->fds, fds, sizeof x->fds);
}

static int setup(void **state)
{
    struct fixture *x = calloc(1, sizeof *x);
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(uv_loop_init(&x->loop), 0);
    x->spawner = pair[1];
    fd_set_nonblock(pair[1], NULL);
    x->client = spawner_client_create(&x->loop, pair[0], on_gone, x, NULL);
    assert_non_null(x->client);
    memset(x->fds, -1, sizeof x->fds);
    *state = x;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *x = *state;

    spawner_client_destroy(x->client);
    fd_close(&x->spawner);
    for (int i = 0; i < SPAWN_OPEN_FDS; i++)
        fd_close(&x->fds[i]);
    uv_run(&x->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&x->loop), 0);
    free(x);
    return 0;
}

static void turn(struct fixture *x)
{
    for (int i = 0; i < 5; i++)
        uv_run(&x->loop, UV_RUN_NOWAIT);
}

static void ask(struct fixture *x, enum spawn_op op, uint32_t slot)
{
    struct spawn_request req = {.op = op, .slot = slot};

    spawner_request(x->client, &req, op == SPAWN_CLOSE ? NULL : on_answer, x);
}

/* The next request the spawner sees; op 0 when there is none. */
static struct spawn_request heard(struct fixture *x)
{
    struct spawn_request req = {0};

    if (recv(x->spawner, &req, sizeof req, 0) != sizeof req)
        req.op = 0;
    return req;
}

static void answer(struct fixture *x, enum spawn_op op, uint32_t slot, size_t nfds)
{
    struct spawn_reply reply = {.op = op, .slot = slot, .cgroup = 2};
    int fds[8] = {0};

    for (size_t i = 0; i < nfds; i++)
        fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(fd_send(x->spawner, &reply, sizeof reply, fds, nfds, NULL), 0);
    for (size_t i = 0; i < nfds; i++)
        close(fds[i]);
}

static int count_open(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void answers_come_in_order(void **state)
{
    struct fixture *x = *state;

    assert_int_equal(spawner_cgroup_version(x->client), 0);
    ask(x, SPAWN_OPEN, 0);
    ask(x, SPAWN_USAGE, 5);
    ask(x, SPAWN_CLOSE, 5);
    assert_int_equal(heard(x).op, SPAWN_OPEN);
    assert_int_equal(heard(x).op, SPAWN_USAGE);
    assert_int_equal(heard(x).op, SPAWN_CLOSE);
    answer(x, SPAWN_OPEN, 9, SPAWN_OPEN_FDS);
    answer(x, SPAWN_USAGE, 5, 0);
    turn(x);
    assert_int_equal(x->nanswers, 2);
    assert_int_equal(x->slots[0], 9);
    assert_int_equal(x->slots[1], 5);
    assert_true(fcntl(x->fds[2], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(spawner_cgroup_version(x->client), 2);
    assert_int_equal(x->gone, 0);
}

static void a_ping_may_be_answered_later_than_others(void **state)
{
    struct fixture *x = *state;

    ask(x, SPAWN_PING, 0);
    ask(x, SPAWN_USAGE, 3);
    answer(x, SPAWN_USAGE, 3, 0);
    answer(x, SPAWN_PING, 0, 0);
    turn(x);
    assert_int_equal(x->nanswers, 2);
    assert_int_equal(x->ops[0], SPAWN_USAGE);
    assert_int_equal(x->ops[1], SPAWN_PING);
}

static void slow_answers_come_in_any_order(void **state)
{
    static const struct spawn_request slow[] = {
        {.op = SPAWN_NEST_OPEN, .nest = 1},
        {.op = SPAWN_NEST_OPEN, .nest = 2},
        {.op = SPAWN_NEST_CLOSE, .nest = 2},
        {.op = SPAWN_START, .slot = 6, .network = SPAWN_NETWORK_BRIDGE},
        {.op = SPAWN_START, .slot = 7, .network = SPAWN_NETWORK_BRIDGE},
        {.op = SPAWN_LAYER_REMOVE, .layer = 1ull << 40},
        {.op = SPAWN_LAYER_REMOVE, .layer = 5},
    };
    struct fixture *x = *state;

    for (size_t i = 0; i < TEST_COUNT(slow); i++)
        spawner_request(x->client, &slow[i], on_answer, x);
    ask(x, SPAWN_START, 8);
    ask(x, SPAWN_USAGE, 8);
    answer(x, SPAWN_START, 8, 0);
    for (size_t i = TEST_COUNT(slow); i-- > 0;) {
        struct spawn_reply reply = {
            .op = slow[i].op, .slot = slow[i].slot, .nest = slow[i].nest, .layer = slow[i].layer};

        assert_int_equal(fd_send(x->spawner, &reply, sizeof reply, NULL, 0, NULL), 0);
    }
    answer(x, SPAWN_USAGE, 8, 0);
    turn(x);
    assert_int_equal(x->gone, 0);
    assert_int_equal(x->nanswers, (int)TEST_COUNT(slow) + 2);
    assert_int_equal(x->slots[0], 8);
    assert_int_equal(x->slots[3], 7);
    assert_int_equal(x->slots[4], 6);
    assert_int_equal(x->ops[8], SPAWN_USAGE);
}

static void a_slow_answer_to_something_else_is_the_end(void **state)
{
    static const struct {
        struct spawn_request req;
        struct spawn_reply reply;
    } wrong[] = {
        {{.op = SPAWN_NEST_OPEN, .nest = 1}, {.op = SPAWN_NEST_OPEN, .nest = 2}},
        {{.op = SPAWN_NEST_OPEN, .nest = 1}, {.op = SPAWN_NEST_CLOSE, .nest = 1}},
        {{.op = SPAWN_LAYER_HOST, .layer = 1}, {.op = SPAWN_LAYER_HOST, .layer = 2}},
        {{.op = SPAWN_START, .slot = 1, .network = 1}, {.op = SPAWN_START, .slot = 2}},
    };

    for (size_t i = 0; i < TEST_COUNT(wrong); i++) {
        struct fixture *x;

        setup((void **)&x);
        spawner_request(x->client, &wrong[i].req, on_answer, x);
        assert_int_equal(fd_send(x->spawner, &wrong[i].reply, sizeof wrong[i].reply, NULL, 0, NULL),
                         0);
        turn(x);
        assert_int_equal(x->gone, 1);
        assert_int_equal(x->nanswers, 0);
        teardown((void **)&x);
    }
}

static void a_slot_given_out_anew_has_no_old_questions(void **state)
{
    static const struct spawn_request start = {
        .op = SPAWN_START, .slot = 7, .network = SPAWN_NETWORK_BRIDGE};
    struct fixture *x = *state;

    spawner_request(x->client, &start, on_answer, (void *)&start); /* somebody else's */
    ask(x, SPAWN_NEST_OPEN, 0);
    spawner_forget(x->client, &start);
    ask(x, SPAWN_OPEN, 0);
    answer(x, SPAWN_OPEN, 7, SPAWN_OPEN_FDS);
    turn(x);
    spawner_request(x->client, &start, on_answer, x);
    answer(x, SPAWN_START, 7, 0);
    answer(x, SPAWN_NEST_OPEN, 0, 0);
    turn(x);
    assert_int_equal(x->nanswers, 3);
    assert_int_equal(x->ops[1], SPAWN_START);
    assert_int_equal(x->gone, 0);
}

static void a_descriptor_goes_along_even_when_it_must_wait(void **state)
{
    struct spawn_request req = {.op = SPAWN_NEST_OPEN, .nest = 1};
    struct fixture *x = *state;
    int before = count_open(), fd = -1;
    uint32_t n = 0;
    size_t nfds = 0;

    do { /* until the socket is full */
        ask(x, SPAWN_USAGE, n++);
        uv_run(&x->loop, UV_RUN_NOWAIT);
    } while (n < 400);
    spawner_request_fd(x->client, &req, open("/dev/null", O_RDONLY | O_CLOEXEC), on_answer, x);
    assert_int_equal(count_open(), before + 1);
    while (n-- > 0) {
        while (heard(x).op == 0)
            uv_run(&x->loop, UV_RUN_ONCE);
    }
    turn(x);
    assert_int_equal(count_open(), before);
    assert_int_equal(fd_recv(x->spawner, &req, sizeof req, &fd, 1, &nfds, NULL), sizeof req);
    assert_int_equal(nfds, 1);
    fd_close(&fd);

    spawner_request_fd(x->client, &req, open("/dev/null", O_RDONLY | O_CLOEXEC), on_answer, x);
    fd_close(&x->spawner);
    turn(x);
    spawner_request_fd(x->client, &req, open("/dev/null", O_RDONLY | O_CLOEXEC), on_answer, x);
    assert_int_equal(count_open(), before - 1);
}

static void an_error_has_the_spawners_words_or_ours(void **state)
{
    struct spawn_reply reply = {.error = 2, .text = "no such layer"};
    struct err e = {0};

    spawner_reply_error(&e, &reply, "open an environment");
    assert_string_equal(e.text, "no such layer");
    assert_int_equal(e.errnum, 2);
    reply.text[0] = '\0';
    spawner_reply_error(&e, &reply, "open an environment");
    assert_string_equal(e.text, "open an environment: No such file or directory");
    memset(reply.text, 'x', sizeof reply.text); /* not terminated */
    spawner_reply_error(&e, &reply, "open an environment");
    assert_int_equal(strlen(e.text), sizeof reply.text);
}

static void a_full_socket_delays_requests_and_keeps_their_order(void **state)
{
    struct fixture *x = *state;

    for (uint32_t i = 0; i < ANSWERS_MAX; i++)
        ask(x, SPAWN_USAGE, i);
    for (uint32_t i = 0; i < ANSWERS_MAX; i++) {
        struct spawn_request req = heard(x);

        while (req.op == 0) {
            uv_run(&x->loop, UV_RUN_ONCE);
            req = heard(x);
        }
        assert_int_equal(req.slot, i);
        answer(x, SPAWN_USAGE, i, 0);
        uv_run(&x->loop, UV_RUN_NOWAIT);
    }
    turn(x);
    assert_int_equal(x->nanswers, ANSWERS_MAX);
    for (uint32_t i = 0; i < ANSWERS_MAX; i++)
        assert_int_equal(x->slots[i], i);
}

static void a_forgotten_open_is_closed_again(void **state)
{
    struct fixture *x = *state;
    int before;

    ask(x, SPAWN_OPEN, 0);
    assert_int_equal(heard(x).op, SPAWN_OPEN);
    before = count_open();
    spawner_forget(x->client, x);
    answer(x, SPAWN_OPEN, 7, SPAWN_OPEN_FDS);
    turn(x);
    assert_int_equal(x->nanswers, 0);
    assert_int_equal(count_open(), before);
    struct spawn_request req = heard(x);
    assert_int_equal(req.op, SPAWN_CLOSE);
    assert_int_equal(req.slot, 7);
}

static void a_forgotten_question_needs_no_close(void **state)
{
    struct fixture *x = *state;

    ask(x, SPAWN_USAGE, 4);
    assert_int_equal(heard(x).op, SPAWN_USAGE);
    spawner_forget(x->client, x);
    answer(x, SPAWN_USAGE, 4, 0);
    turn(x);
    assert_int_equal(x->nanswers, 0);
    assert_int_equal(heard(x).op, 0);
    assert_int_equal(x->gone, 0);
}

static void a_failed_open_has_no_descriptors(void **state)
{
    struct fixture *x = *state;
    struct spawn_reply reply = {.op = SPAWN_OPEN, .error = 11};

    ask(x, SPAWN_OPEN, 0);
    assert_int_equal(fd_send(x->spawner, &reply, sizeof reply, NULL, 0, NULL), 0);
    turn(x);
    assert_int_equal(x->nanswers, 1);
    assert_int_equal(x->gone, 0);
}

static void the_end_is_told_once_and_requests_are_then_lost(void **state)
{
    struct fixture *x = *state;

    ask(x, SPAWN_USAGE, 1);
    fd_close(&x->spawner);
    turn(x);
    assert_int_equal(x->gone, 1);
    assert_int_equal(x->nanswers, 0);
    ask(x, SPAWN_USAGE, 2);
    spawner_forget(x->client, x);
    turn(x);
    assert_int_equal(x->gone, 1);
}

static void an_answer_nobody_asked_for_is_the_end(void **state)
{
    struct fixture *x = *state;

    answer(x, SPAWN_USAGE, 0, 0);
    turn(x);
    assert_int_equal(x->gone, 1);
}

static void an_answer_to_another_question_is_the_end(void **state)
{
    struct fixture *x = *state;

    ask(x, SPAWN_USAGE, 0);
    answer(x, SPAWN_START, 0, 0);
    turn(x);
    assert_int_equal(x->gone, 1);
    assert_int_equal(x->nanswers, 0);
}

static void a_wrong_number_of_descriptors_is_the_end(void **state)
{
    static const struct {
        enum spawn_op op;
        size_t nfds;
    } wrong[] = {{SPAWN_OPEN, 0}, {SPAWN_OPEN, 2}, {SPAWN_OPEN, 4}, {SPAWN_USAGE, 1}};

    for (size_t i = 0; i < TEST_COUNT(wrong); i++) {
        struct fixture *x;
        int before;

        setup((void **)&x);
        ask(x, wrong[i].op, 0);
        before = count_open();
        answer(x, wrong[i].op, 0, wrong[i].nfds);
        turn(x);
        assert_int_equal(x->gone, 1);
        assert_int_equal(x->nanswers, 0);
        assert_int_equal(count_open(), before);
        teardown((void **)&x);
    }
}

static void a_message_of_another_size_is_the_end(void **state)
{
    struct fixture *x = *state;

    ask(x, SPAWN_USAGE, 0);
    assert_int_equal(send(x->spawner, "short", 5, 0), 5);
    turn(x);
    assert_int_equal(x->gone, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(answers_come_in_order),
        TEST(a_ping_may_be_answered_later_than_others),
        TEST(slow_answers_come_in_any_order),
        cmocka_unit_test(a_slow_answer_to_something_else_is_the_end),
        TEST(a_slot_given_out_anew_has_no_old_questions),
        TEST(a_descriptor_goes_along_even_when_it_must_wait),
        TEST(an_error_has_the_spawners_words_or_ours),
        TEST(a_full_socket_delays_requests_and_keeps_their_order),
        TEST(a_forgotten_open_is_closed_again),
        TEST(a_forgotten_question_needs_no_close),
        TEST(a_failed_open_has_no_descriptors),
        TEST(the_end_is_told_once_and_requests_are_then_lost),
        TEST(an_answer_nobody_asked_for_is_the_end),
        TEST(an_answer_to_another_question_is_the_end),
        cmocka_unit_test(a_wrong_number_of_descriptors_is_the_end),
        TEST(a_message_of_another_size_is_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

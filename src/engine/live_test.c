/* Tests of live, with a spawner and inits that do what the test wants. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test_support.h"
#include "engine/live_test_support.h"

enum { WORKSPACE = 9 };

static void send_reply(struct played *s, int error, int fd)
{
    struct spawn_reply r = {.op = s->x->req.op,
                            .slot = s->x->req.slot,
                            .layer = s->x->req.layer,
                            .error = error,
                            .bytes = 77};

    assert_int_equal(fd_send(s->x->spawner, &r, sizeof r, &fd, fd >= 0, NULL), 0);
}

static void reply_with(struct played *s, int error, int fd)
{
    send_reply(s, error, fd);
    turn(s->x);
}

static void hear_workspace(struct played *s, enum spawn_op op)
{
    hear(s->x, op, 0);
    assert_int_equal(s->x->req.layer, WORKSPACE);
}

/* A durable session, up to its sandbox. */
static void open_durable(struct played *s, bool is_new)
{
    open_live(s, (struct live_config){.workspace = WORKSPACE, .bytes = 100, .is_new = is_new});
    hear_workspace(s, is_new ? SPAWN_WORKSPACE_MAKE : SPAWN_WORKSPACE_OPEN);
    assert_int_equal(s->x->req.bytes, 100);
}

/* Up to the question for the mount, which has no answer yet. */
static void ask_for_the_mount(struct played *s, bool is_new)
{
    open_durable(s, is_new);
    reply_with(s, 0, -1);
    s->slot = make_box(s->x, 0, SPAWN_COLD);
    reply_start(s->x, s->slot);
    hear_workspace(s, SPAWN_WORKSPACE_ATTACH);
    assert_int_equal(s->x->req.slot, s->slot);
}

static void bring_up_durable(struct played *s)
{
    ask_for_the_mount(s, true);
    reply_with(s, 0, STDERR_FILENO);
    greet_live(s);
    assert_true(s->mount >= 0);
    say_op(s, SESSION_UP, 0, NULL, 0, NULL);
    assert_int_equal(s->nup, 1);
}

static void a_session_in_memory_comes_up_and_is_given_back(void **state)
{
    struct played *s = *state;

    bring_up(s);
    assert_true(live_is_up(s->live));
    assert_int_equal(s->mount, -1);
    assert_int_equal(live_busy(s->live), 0);
    close_live(s);
    hear(s->x, SPAWN_CLOSE, 0);
    assert_int_equal(s->x->req.slot, s->slot);
    assert_int_equal(s->nclosed, 1);
    assert_int_equal(s->nlost, 0);
    hear_nothing(s->x);
}

static void limits_are_in_force_before_it_is_told(void **state)
{
    struct played *s = *state;
    char byte;

    open_live(s, (struct live_config){.limits = {.memory_mb = 99}});
    s->slot = make_box(s->x, 0, SPAWN_COLD);
    hear(s->x, SPAWN_START, 0);
    assert_int_equal(s->x->req.limits.memory_mb, 99);
    assert_int_equal(read(s->x->boxes[s->slot].control, &byte, 1), -1);
    reply_with(s, 0, -1);
    greet_live(s);
    close_live(s);
    hear(s->x, SPAWN_CLOSE, 0);
}

static void a_workspace_is_mounted_and_closed_after_all_has_ended(void **state)
{
    struct played *s = *state;

    bring_up_durable(s);
    close_live(s);
    hear_op(s, SESSION_STOP);
    hear_nothing(s->x);
    say_op(s, SESSION_STOPPED, 0, NULL, 0, NULL);
    hear(s->x, SPAWN_CLOSE, 0);
    hear_workspace(s, SPAWN_WORKSPACE_CLOSE);
    assert_int_equal(s->nclosed, 0);
    reply_with(s, 0, -1);
    assert_int_equal(s->nclosed, 1);
    assert_int_equal(s->bytes, 77);
}

static void a_workspace_still_in_use_is_asked_for_again(void **state)
{
    struct played *s = *state;

    open_durable(s, false);
    reply_with(s, EAGAIN, -1);
    usleep(10000); /* so that it is asked before the limits are */
    turn(s->x);
    s->slot = make_box(s->x, 0, SPAWN_COLD);
    hear_workspace(s, SPAWN_WORKSPACE_OPEN);
    reply_with(s, 0, -1);
    reply_start(s->x, s->slot);
    hear_workspace(s, SPAWN_WORKSPACE_ATTACH);
    close_live(s);
    hear(s->x, SPAWN_CLOSE, 0);
    hear_workspace(s, SPAWN_WORKSPACE_CLOSE);
    reply_with(s, 0, -1);
    assert_int_equal(s->nclosed, 1);
}

static void a_mount_for_a_sandbox_not_yet_known_is_asked_for_again(void **state)
{
    struct played *s = *state;

    ask_for_the_mount(s, false);
    for (int i = 0; i < 3; i++) {
        reply_with(s, EAGAIN, -1);
        usleep(10000);
        turn(s->x);
        hear_workspace(s, SPAWN_WORKSPACE_ATTACH);
    }
    reply_with(s, 0, STDERR_FILENO);
    greet_live(s);
    close_live(s);
}

static void a_sandbox_lost_before_its_mount_is_replaced(void **state)
{
    struct played *s = *state;
    struct spawn_request asked;

    ask_for_the_mount(s, false);
    asked = s->x->req;
    end_init(s);
    hear(s->x, SPAWN_CLOSE, 0);
    s->x->req = asked;
    reply_with(s, ESRCH, -1); /* too late */
    s->slot = make_box(s->x, 0, SPAWN_COLD);
    reply_start(s->x, s->slot);
    hear_workspace(s, SPAWN_WORKSPACE_ATTACH);
    send_reply(s, EAGAIN, -1);
    end_init(s); /* between two attempts */
    hear(s->x, SPAWN_CLOSE, 0);
    s->slot = make_box(s->x, 0, SPAWN_COLD);
    reply_start(s->x, s->slot);
    hear_workspace(s, SPAWN_WORKSPACE_ATTACH);
    assert_int_equal(s->x->req.slot, s->slot);
    reply_with(s, 0, STDERR_FILENO);
    greet_live(s);
    close_live(s);
}

static void a_workspace_that_is_not_there_is_told(void **state)
{
    struct played *s = *state;

    open_durable(s, false);
    reply_with(s, ENOENT, -1);
    assert_int_equal(s->nlost, 1);
    assert_int_equal(s->lost.code, ERR_NOT_FOUND);
    close_live(s);
    assert_int_equal(s->nclosed, 1);
}

static void closing_waits_for_the_workspace_that_is_being_made(void **state)
{
    struct played *s = *state;

    open_durable(s, true);
    close_live(s);
    assert_int_equal(s->nclosed, 0);
    reply_with(s, 0, -1);
    hear(s->x, SPAWN_OPEN, 0);
    hear_workspace(s, SPAWN_WORKSPACE_CLOSE);
    reply_with(s, EIO, -1);
    assert_int_equal(s->nclosed, 1);
    assert_int_equal(s->bytes, 0);
}

static void a_sandbox_lost_before_it_is_up_is_replaced(void **state)
{
    struct played *s = *state;
    struct spawn_reply counters = {.op = SPAWN_USAGE};

    open_live(s, (struct live_config){.workspace = 0});
    for (int i = 0; i < 3; i++) {
        s->slot = make_box(s->x, 0, SPAWN_COLD);
        reply_start(s->x, s->slot);
        greet_live(s);
        end_init(s);
        if (i < 2)
            hear(s->x, SPAWN_CLOSE, 0);
    }
    hear(s->x, SPAWN_USAGE, 0);
    reply(s->x, &counters);
    hear(s->x, SPAWN_CLOSE, 0);
    assert_int_equal(s->nlost, 1);
    assert_int_equal(s->nup, 0);
    close_live(s);
    assert_int_equal(s->nclosed, 1);
}

static void the_end_of_init_is_told_to_all_and_memory_is_blamed(void **state)
{
    struct played *s = *state;
    struct spawn_reply counters = {.op = SPAWN_USAGE, .oom_kills = 1};
    const struct process_spec spec = a_program(1);

    bring_up(s);
    start_process(s, &spec);
    start_call(s, FILE_STAT);
    assert_int_equal(live_busy(s->live), 2);
    end_init(s);
    hear(s->x, SPAWN_USAGE, 0);
    reply(s->x, &counters);
    assert_int_equal(s->nlost, 1);
    assert_int_equal(s->lost.errnum, ENOMEM);
    assert_int_equal(s->nends, 1);
    assert_true(s->result.lost);
    assert_int_equal(s->ncalls_ended, 1);
    assert_int_equal(s->end.error, EIO);
    hear(s->x, SPAWN_CLOSE, 0);
    assert_null(process_start(s->live, &spec, &(struct process_events){0}, NULL));
    close_live(s);
    assert_int_equal(s->nclosed, 1);
    assert_int_equal(s->nlost, 1);
}

static void closing_tells_processes_but_not_its_own_loss(void **state)
{
    struct played *s = *state;
    const struct process_spec spec = a_program(1);

    bring_up(s);
    start_process(s, &spec);
    close_live(s);
    assert_int_equal(s->nends, 1);
    assert_true(s->result.lost);
    assert_int_equal(s->nlost, 0);
    hear(s->x, SPAWN_CLOSE, 0);
}

static void init_may_not_say_what_it_likes(void **state)
{
    static const struct session_ended ended;
    static const struct {
        uint32_t op, id;
        size_t len;
    } lies[] = {{SESSION_UP, 0, 0},
                {SESSION_STOPPED, 0, 0},
                {SESSION_ADMITTED, 1u << 31, 0},
                {SESSION_STARTED, 7, sizeof(struct session_started)},
                {SESSION_ENDED, 7, sizeof ended},
                {SESSION_EXEC, 1, 0},
                {99, 1, 0}};
    struct played *s = *state;

    for (size_t i = 0; i < TEST_COUNT(lies); i++) {
        s->nup = s->nlost = s->nclosed = 0;
        bring_up(s);
        say_op(s, lies[i].op, lies[i].id, &ended, lies[i].len, NULL);
        assert_int_equal(s->nlost, 1);
        hear(s->x, SPAWN_CLOSE, 0);
        close_live(s);
    }
}

static void a_failure_of_init_is_told_in_plain_text(void **state)
{
    struct played *s = *state;

    bring_up(s);
    say_op(s, SESSION_FAILED, 0, NULL, 0, "no\nroom\x1b[1m");
    assert_string_equal(s->lost.text, "no?room?[1m");
    hear(s->x, SPAWN_CLOSE, 0);
    close_live(s);
}

static void a_nest_that_ends_takes_its_sessions_along(void **state)
{
    struct played *s = *state;
    struct nest *nest = open_up(s->x, false, 0);

    open_live(s, (struct live_config){.nest = nest});
    s->slot = make_box(s->x, 1, SPAWN_COLD);
    reply_start(s->x, s->slot);
    greet_live(s);
    say_op(s, SESSION_UP, 0, NULL, 0, NULL);
    assert_int_equal(nest_busy(nest), 1);
    nest_close(nest, true, on_closed, s->x);
    hear(s->x, SPAWN_CLOSE, 0);
    hear(s->x, SPAWN_NEST_CLOSE, 1);
    reply_nest(s->x, 0, "");
    assert_int_equal(s->nlost, 1);
    close_live(s);
    assert_int_equal(s->nclosed, 1);
}

static struct live_usage usage;
static int nusages, nempty;

static void on_usage(void *data, const struct live_usage *u)
{
    nusages++;
    if (u != NULL)
        usage = *u;
    else
        nempty++;
}

static void usage_is_told_or_that_there_is_none(void **state)
{
    struct played *s = *state;
    struct spawn_reply counters = {.op = SPAWN_USAGE, .cpu_us = 5, .oom_kills = 2};

    bring_up(s);
    assert_int_equal(live_usage(s->live, on_usage, NULL, NULL), 0);
    hear(s->x, SPAWN_USAGE, 0);
    reply(s->x, &counters);
    assert_int_equal(usage.cpu_us, 5);
    assert_int_equal(usage.oom_kills, 2);
    assert_int_equal(live_usage(s->live, on_usage, NULL, NULL), 0);
    assert_int_equal(live_grow(s->live, 9, NULL, NULL, NULL), -1);
    close_live(s);
    assert_int_equal(nusages, 2);
    assert_int_equal(nempty, 1);
}

static void a_network_beyond_the_operators_is_refused(void **state)
{
    struct played *s = *state;
    const struct live_config config = {.network = SPAWN_NETWORK_HOST};
    struct err e = {0};

    assert_null(live_open(s->x->engine, &config, &e));
    assert_int_equal(e.code, ERR_INVALID);
}

static void the_engine_may_end_before_its_sessions(void **state)
{
    struct played *s = *state;
    const struct process_spec spec = a_program(1);

    bring_up_durable(s);
    start_process(s, &spec);
    start_call(s, FILE_STAT);
}

#define PLAYED(f) cmocka_unit_test_setup_teardown(f, setup_played, teardown_played)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAYED(a_session_in_memory_comes_up_and_is_given_back),
        PLAYED(limits_are_in_force_before_it_is_told),
        PLAYED(a_workspace_is_mounted_and_closed_after_all_has_ended),
        PLAYED(a_workspace_still_in_use_is_asked_for_again),
        PLAYED(a_mount_for_a_sandbox_not_yet_known_is_asked_for_again),
        PLAYED(a_sandbox_lost_before_its_mount_is_replaced),
        PLAYED(a_workspace_that_is_not_there_is_told),
        PLAYED(closing_waits_for_the_workspace_that_is_being_made),
        PLAYED(a_sandbox_lost_before_it_is_up_is_replaced),
        PLAYED(the_end_of_init_is_told_to_all_and_memory_is_blamed),
        PLAYED(closing_tells_processes_but_not_its_own_loss),
        PLAYED(init_may_not_say_what_it_likes),
        PLAYED(a_failure_of_init_is_told_in_plain_text),
        PLAYED(a_nest_that_ends_takes_its_sessions_along),
        PLAYED(usage_is_told_or_that_there_is_none),
        PLAYED(a_network_beyond_the_operators_is_refused),
        PLAYED(the_engine_may_end_before_its_sessions),
    };

    signal(SIGPIPE, SIG_IGN); /* as the server does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}

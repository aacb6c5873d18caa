/* Tests of the registry of processes. */
#include "service/session_process.h"

#include <signal.h>
#include <stdio.h>

#include "base/limits.h"
#include "service/session_test_engine.h"

/* Who listens, and what it has read. */
struct watcher {
    struct listener *l;
    char text[256];
    int told, writable;
    bool ended, closes; /* closes: itself, when it is told */
    uint64_t lost;
};

static void on_more(void *data)
{
    struct watcher *w = data;
    struct listener_piece piece;
    int r;

    w->told++;
    if (w->closes) {
        listener_close(w->l);
        w->l = NULL;
        return;
    }
    while ((r = listener_read(w->l, &piece)) == 1) {
        size_t len = strlen(w->text);

        snprintf(w->text + len, sizeof w->text - len, "%d:%.*s ", piece.stream, (int)piece.len,
                 piece.bytes);
        w->lost += piece.lost;
    }
    w->ended = r < 0;
}

static void on_writable(void *data)
{
    ((struct watcher *)data)->writable++;
}

static void watch(struct watcher *w, struct session_process *p, uint64_t from, bool holds)
{
    const struct listener_events events = {
        .on_more = on_more, .on_writable = on_writable, .data = w};

    w->l = session_process_listen(p, from, from, holds, &events);
    assert_non_null(w->l);
    assert_int_equal(w->told, 0);
}

static struct session_process *start(struct session *s, bool background)
{
    struct process_spec spec = {.background = background};
    struct err e = {0};
    struct session_process *p = session_process_start(fake_enter(s), &spec, "sleep 1", 1 << 20, &e);

    assert_string_equal(e.text, "");
    fake_settle();
    return p;
}

static void several_watch_one_process_from_different_points(void **state)
{
    struct session *s = fake_create("s", false);
    struct session_process *p = start(s, true);
    struct watcher all = {0}, late = {0}, middle = {0};
    struct session_process_view view;

    fake_print(1, "hello ");
    fake_print(2, "oh");
    watch(&all, p, 0, false);
    watch(&late, p, UINT64_MAX, false);
    watch(&middle, p, 1, false);
    fake_settle();
    fake_print(1, "world");
    fake_end(3);
    assert_string_equal(all.text, "1:hello  2:oh 1:world ");
    assert_string_equal(late.text, "1:world ");
    assert_string_equal(middle.text, "1:ello  2:h 1:world ");
    assert_true(all.ended && late.ended && middle.ended);
    session_process_view(p, &view);
    assert_true(view.ended);
    assert_int_equal(view.pid, 7);
    assert_int_equal(view.result.exit_code, 3);
    assert_int_equal(view.offset[0], 11);
    assert_int_equal(view.listeners, 3);
    listener_close(all.l);
    listener_close(late.l);
    listener_close(middle.l);
    memset(&late, 0, sizeof late);
    watch(&late, p, 0, false); /* the record is still there */
    fake_settle();
    assert_string_equal(late.text, "1:hello  2:oh 1:world ");
    assert_true(late.ended);
    listener_close(late.l);
}

static void who_is_told_may_close(void **state)
{
    struct session_process *p = start(fake_create("s", false), true);
    struct watcher a = {.closes = true}, b = {0}, c = {.closes = true};

    watch(&a, p, 0, false);
    watch(&b, p, 0, false);
    watch(&c, p, 0, false);
    fake_print(1, "x");
    assert_int_equal(a.told, 1);
    assert_int_equal(c.told, 1);
    assert_string_equal(b.text, "1:x ");
    fake_end(0);
    session_process_forget(p);
    listener_close(b.l);
}

static void a_process_waits_for_who_holds_it_only(void **state)
{
    static char block[LIMIT_STREAM_LAG + 1];
    struct session_process *p = start(fake_create("s", false), false);
    struct listener_events none = {.on_more = on_writable, .data = &(struct watcher){0}};
    struct listener *holds = session_process_listen(p, 0, 0, true, &none), *lags;
    struct listener_piece piece;

    memset(block, 'x', sizeof block - 1);
    lags = session_process_listen(p, 0, 0, false, &none);
    fake_print(1, block);
    assert_int_equal(fake.paused, 1);
    while (listener_read(holds, &piece) == 1)
        ;
    assert_int_equal(fake.paused, 0);
    fake_print(1, block);
    assert_int_equal(fake.paused, 1);
    listener_close(holds);
    assert_int_equal(fake.paused, 0);
    listener_close(lags);
    fake_end(0);
}

static void what_nobody_listens_to_keeps_no_session_awake(void **state)
{
    struct session *s = fake_create("s", false);
    struct session_process *p = start(s, true);
    struct watcher w = {0};
    struct session_process_view view;

    watch(&w, p, 0, false);
    fake_age(s, 1000);
    session_tick(fake.service);
    assert_int_equal(s->state, SESSION_AWAKE);
    listener_close(w.l);
    fake_age(s, 1000);
    session_tick(fake.service);
    fake_settle();
    assert_int_equal(s->state, SESSION_ASLEEP);
    session_process_view(p, &view);
    assert_true(view.ended && view.result.lost);
    assert_int_equal(s->running, 0);
    assert_ptr_equal(session_process_find(s, view.id), p);
}

static void ids_go_on_after_sleep(void **state)
{
    struct session *s = fake_create("s", false);
    struct session_process *first = start(s, true), *second;
    struct session_process_view a, b;
    struct told asleep = {0};

    session_process_view(first, &a);
    fake_end(0);
    session_sleep(s, fake_changed, &asleep, NULL);
    fake_settle();
    second = start(s, true);
    session_process_view(second, &b);
    assert_true(b.id > a.id);
    assert_ptr_equal(session_process_next(s, first), second);
    fake_end(0);
}

static void processes_and_their_records_are_limited(void **state)
{
    struct session *s = fake_create("s", false);
    struct process_spec spec = {.terminal = true};
    struct session_visit *v = fake_enter(s);
    struct session_process *p;
    struct err e = {0};

    for (int i = 0; i < LIMIT_SESSION_TERMINALS; i++) {
        assert_non_null(session_process_start(v, &spec, "sh", 0, &e));
        v = fake_enter(s);
    }
    assert_null(session_process_start(v, &spec, "sh", 0, &e));
    assert_int_equal(e.code, ERR_LIMIT);
    spec.terminal = false;
    for (int i = LIMIT_SESSION_TERMINALS; i < LIMIT_SESSION_PROCESSES; i++) {
        assert_non_null(session_process_start(v, &spec, "sh", 0, &e));
        v = fake_enter(s);
    }
    assert_null(session_process_start(v, &spec, "sh", 0, &e));
    assert_int_equal(e.code, ERR_LIMIT);
    p = session_process_next(s, NULL);
    for (int i = 0; i < LIMIT_PROCESSES_KEPT; i++) {
        fake_end(0);
        assert_non_null(session_process_start(v, &spec, "sh", 0, &e));
        v = fake_enter(s);
    }
    assert_int_equal(s->nprocesses, LIMIT_PROCESSES_KEPT);
    assert_ptr_equal(session_process_next(s, NULL), p); /* it is in progress */
    session_left(v);
}

static void records_are_forgotten_in_time_and_on_request(void **state)
{
    struct session *s = fake_create("s", false);
    struct session_process *p = start(s, true);
    struct watcher w = {0};

    session_process_forget(p); /* not while it runs */
    assert_int_equal(s->nprocesses, 1);
    watch(&w, p, 0, false);
    fake_print(1, "last words");
    fake_end(0);
    session_process_forget(p);
    assert_int_equal(s->nprocesses, 0);
    assert_string_equal(w.text, "1:last words ");
    listener_close(w.l);
    p = start(s, true);
    fake_end(0);
    session_processes_expire(fake.service);
    assert_int_equal(s->nprocesses, 1);
}

static void deleting_the_session_ends_them_and_listeners_learn_it(void **state)
{
    struct session *s = fake_create("s", true);
    struct session_process *p = start(s, false);
    struct watcher w = {0};
    struct told deleted = {0};

    watch(&w, p, 0, true);
    fake_print(1, "x");
    session_delete(s, fake_deleted, &deleted);
    fake_settle();
    assert_true(w.ended);
    assert_int_equal(deleted.times, 1);
    assert_null(session_process_session(p));
    listener_close(w.l);
    fake_assert_none_ending();
    assert_int_equal(fake.service->output_kept, 0);
}

static void input_and_signals_reach_it_while_it_runs(void **state)
{
    struct session_process *p = start(fake_create("s", false), false);

    assert_true(session_process_takes_input(p));
    session_process_write(p, "in", 2);
    assert_string_equal(fake.written, "in");
    assert_int_equal(session_process_write_last(p, "last", 4), 0);
    assert_string_equal(fake.written, "lastEOF");
    session_process_kill(p, SIGTERM, true);
    assert_int_equal(fake.signalled, SIGTERM);
    fake_end(0);
    session_process_kill(p, SIGKILL, true);
    assert_int_equal(fake.signalled, SIGTERM);
    assert_int_equal(session_process_write(p, "x", 1), 0);
    assert_false(session_process_takes_input(p));
}

static void output_of_all_together_is_limited(void **state)
{
    struct session *s = fake_create("s", false);
    char *block = malloc((1 << 20) + 1);

    memset(block, 'x', 1 << 20);
    block[1 << 20] = '\0';
    for (int i = 0; i < 140; i++) {
        start(s, true);
        fake_print(1, block);
        fake_print(2, block);
        if (i < 139)
            fake_end(0);
    }
    assert_true(fake.service->output_kept <= LIMIT_OUTPUT_KEPT);
    assert_true(s->nprocesses < 140);
    fake_end(0);
    free(block);
}

static void what_one_session_writes_costs_no_other_its_own(void **state)
{
    struct session *victim = fake_create("victim", false), *hog;
    struct session_process *own = start(victim, true);
    char *block = malloc((1 << 20) + 1);

    memset(block, 'x', 1 << 20);
    block[1 << 20] = '\0';
    fake_print(1, "mine");
    fake_end(0);
    hog = fake_create("hog", false);
    for (int i = 0; i < LIMIT_PROCESSES_KEPT; i++) {
        start(hog, true);
        fake_print(1, block);
        fake_print(2, block);
        if (i < LIMIT_PROCESSES_KEPT - 1)
            fake_end(0);
    }
    assert_true(fake.service->output_kept <= LIMIT_OUTPUT_KEPT);
    assert_true(hog->nprocesses < LIMIT_PROCESSES_KEPT);
    assert_ptr_equal(victim->processes, own);
    assert_int_equal(victim->output_kept, strlen("mine"));
    fake_end(0);
    free(block);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_set_up, fake_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(several_watch_one_process_from_different_points),
        TEST(who_is_told_may_close),
        TEST(a_process_waits_for_who_holds_it_only),
        TEST(what_nobody_listens_to_keeps_no_session_awake),
        TEST(ids_go_on_after_sleep),
        TEST(processes_and_their_records_are_limited),
        TEST(records_are_forgotten_in_time_and_on_request),
        TEST(deleting_the_session_ends_them_and_listeners_learn_it),
        TEST(input_and_signals_reach_it_while_it_runs),
        TEST(output_of_all_together_is_limited),
        TEST(what_one_session_writes_costs_no_other_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

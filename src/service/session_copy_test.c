/* Tests of snapshots, forks and restored sessions. */
#include <stdio.h>

#include "base/limits.h"
#include "service/session_test_engine.h"

static struct session *find(const char *id)
{
    return session_find(fake.service, "", id);
}

static void snapshot(struct session *s, struct told *told)
{
    snapshot_create(s, "before", fake_snapshot, told);
    assert_int_equal(told->times, 0);
    fake_settle();
    assert_int_equal(told->times, 1);
}

static int count(void *data, const struct snapshot_view *v)
{
    assert_string_equal(v->name, "before");
    ++*(int *)data;
    return 0;
}

static void a_snapshot_is_a_copy_that_outlives_its_session(void **state)
{
    struct session *s = fake_create("s", false);
    struct told told = {0}, made = {0};
    struct session_wanted w = {.owner = "", .id = "again", .snapshot = told.snapshot};
    int n = 0;

    snapshot(s, &told); /* one that has never been awake is made for it */
    assert_string_equal(told.e.text, "");
    session_delete(s, NULL, NULL);
    fake_settle();
    fake_restart();
    assert_int_equal(snapshot_list(fake.service, "", "s", count, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_int_equal(snapshot_list(fake.service, "you", NULL, count, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_int_equal(session_create(fake.service, &w, fake_made, &made, NULL), 0);
    fake_settle();
    assert_non_null(made.session);
    session_left(fake_enter(made.session));
    assert_int_equal(fake.nworkspaces, 2);
    assert_int_equal(snapshot_remove(fake.service, "", told.snapshot, NULL), 0);
    fake_settle();
    assert_int_equal(fake.nworkspaces, 1);
    assert_int_equal(snapshot_remove(fake.service, "", told.snapshot, NULL), -1);
}

static void a_fork_is_entered_when_it_is_complete(void **state)
{
    struct session *s = fake_create("s", false);
    struct session_wanted w = {.owner = "", .id = "fork", .from = s};
    struct session_wanted early = {.owner = "", .id = "early"};
    struct told made = {0}, told = {0};
    struct session_visit *v, *in = fake_enter(s);
    struct err e = {0};

    fake.hold_copy = true;
    assert_int_equal(session_create(fake.service, &w, fake_made, &made, NULL), 0);
    early.from = find("fork");
    assert_int_equal(session_create(fake.service, &early, fake_made, &told, &e), -1);
    assert_int_equal(e.code, ERR_EXISTS);
    v = session_enter(find("fork"), fake_entered, &told, NULL);
    fake_settle();
    assert_int_equal(made.times + told.times, 0);
    fake_go_on();
    assert_int_equal(made.times, 1);
    assert_non_null(told.live);
    assert_non_null(session_visit_live(in));
    session_left(v);
    session_left(in);
    fake_restart();
    assert_true(find("fork")->record.is_made);
}

static void a_fork_that_is_deleted_on_the_way_leaves_nothing(void **state)
{
    struct session *s = fake_create("s", false);
    struct session_wanted w = {.owner = "", .id = "fork", .from = s};
    struct told made = {0}, deleted = {0};

    session_left(fake_enter(s));
    fake.hold_copy = true;
    assert_int_equal(session_create(fake.service, &w, fake_made, &made, NULL), 0);
    session_delete(find("fork"), fake_deleted, &deleted);
    fake_settle();
    assert_int_equal(deleted.times, 0);
    fake_go_on();
    assert_int_equal(made.e.code, ERR_NOT_FOUND);
    assert_int_equal(deleted.times, 1);
    assert_int_equal(fake.nworkspaces, 1);
    fake_assert_none_ending();
}

static void a_copy_that_fails_leaves_no_session(void **state)
{
    struct session *s = fake_create("s", false);
    struct session_wanted w = {.owner = "", .id = "fork", .from = s};
    struct told made = {0};
    struct told asleep = {0};

    session_left(fake_enter(s));
    session_sleep(s, fake_changed, &asleep, NULL);
    fake_settle();
    fake.nworkspaces = 0;
    assert_int_equal(session_create(fake.service, &w, fake_made, &made, NULL), 0);
    fake_settle();
    assert_int_equal(made.times, 1);
    assert_null(made.session);
    assert_null(find("fork"));
}

static void what_runs_ends_when_a_session_is_restored(void **state)
{
    struct session *s = fake_create("s", false);
    struct told told = {0}, restored = {0}, waits = {0};
    struct session_visit *in, *v;
    uint64_t before;

    session_left(fake_enter(s));
    snapshot(s, &told);
    before = s->record.workspace;
    in = fake_enter(s);
    fake.hold_copy = true;
    snapshot_restore(s, told.snapshot, fake_changed, &restored);
    v = session_enter(s, fake_entered, &waits, NULL);
    fake_settle();
    assert_non_null(session_visit_live(in)); /* until the copy is there */
    assert_int_equal(waits.times, 0);
    fake_go_on();
    assert_int_equal(restored.times, 1);
    assert_string_equal(restored.e.text, "");
    assert_null(session_visit_live(in));
    assert_non_null(waits.live);
    assert_true(s->record.workspace != before);
    assert_false(fake_has_workspace(before));
    session_left(in);
    session_left(v);
    fake_restart();
    session_left(fake_enter(find("s")));
}

static void deleting_while_it_is_restored_leaves_nothing(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct session *s = fake_create("s", false);
        struct told told = {0}, restored = {0}, deleted = {0};

        session_left(fake_enter(s));
        snapshot(s, &told);
        fake.hold_copy = i == 0;
        fake.hold_close = i == 1;
        snapshot_restore(s, told.snapshot, fake_changed, &restored);
        fake_settle();
        session_delete(s, fake_deleted, &deleted);
        fake_settle();
        fake_go_on();
        assert_int_equal(restored.e.code, ERR_NOT_FOUND);
        assert_int_equal(deleted.times, 1);
        assert_int_equal(snapshot_remove(fake.service, "", told.snapshot, NULL), 0);
        fake_settle();
        assert_int_equal(fake.nworkspaces, 0);
        fake_assert_none_ending();
    }
}

static void sessions_in_memory_are_refused_with_words(void **state)
{
    struct session *s = fake_create("s", true);
    struct session_wanted w = {.owner = "", .from = s};
    struct told told = {0}, restored = {0};
    struct err e = {0};

    snapshot(s, &told);
    assert_int_equal(told.e.code, ERR_INVALID);
    assert_contains(told.e.text, "memory");
    snapshot_restore(s, "x", fake_changed, &restored);
    fake_settle();
    assert_int_equal(restored.e.code, ERR_INVALID);
    assert_int_equal(session_create(fake.service, &w, fake_made, &told, &e), -1);
    assert_int_equal(e.code, ERR_INVALID);
}

static void snapshots_that_are_being_made_count_too(void **state)
{
    struct session *s = fake_create("s", false);
    struct told told[LIMIT_SNAPSHOTS + 1] = {0};

    session_left(fake_enter(s));
    fake.hold_copy = true;
    for (int i = 0; i <= LIMIT_SNAPSHOTS; i++)
        snapshot_create(s, "before", fake_snapshot, &told[i]);
    fake_settle();
    assert_int_equal(told[LIMIT_SNAPSHOTS].e.code, ERR_LIMIT);
    assert_int_equal(told[0].times, 0);
    fake_go_on();
}

static void a_session_has_so_many_snapshots(void **state)
{
    struct session *s = fake_create("s", false);
    struct told told = {0};

    session_left(fake_enter(s));
    for (int i = 0; i < 60; i++)
        fake.workspaces[i] = s->record.workspace; /* copies are not counted here */
    for (int i = 0; i < LIMIT_SNAPSHOTS; i++) {
        told = (struct told){0};
        fake.nworkspaces = 1;
        snapshot(s, &told);
        assert_string_equal(told.e.text, "");
    }
    told = (struct told){0};
    snapshot(s, &told);
    assert_int_equal(told.e.code, ERR_LIMIT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_set_up, fake_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_snapshot_is_a_copy_that_outlives_its_session),
        TEST(a_fork_is_entered_when_it_is_complete),
        TEST(a_fork_that_is_deleted_on_the_way_leaves_nothing),
        TEST(a_copy_that_fails_leaves_no_session),
        TEST(what_runs_ends_when_a_session_is_restored),
        TEST(deleting_while_it_is_restored_leaves_nothing),
        TEST(sessions_in_memory_are_refused_with_words),
        TEST(snapshots_that_are_being_made_count_too),
        TEST(a_session_has_so_many_snapshots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

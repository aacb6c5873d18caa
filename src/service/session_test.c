/* Tests of the life of sessions. */
#include <errno.h>
#include <stdio.h>

#include "service/session_test_engine.h"

static struct session *find(const char *id)
{
    return session_find(fake.service, "", id);
}

static int create(const struct session_wanted *w, struct told *told, struct err *e)
{
    int r = session_create(fake.service, w, fake_made, told, e);

    fake_settle();
    return r;
}

static enum err_code refusal(const struct session_wanted *w)
{
    struct told told = {0};
    struct err e = {0};

    assert_int_equal(create(w, &told, &e), -1);
    assert_int_equal(told.times, 0);
    assert_true(e.text[0] != '\0');
    return (enum err_code)e.code;
}

/* -- ids and owners ---------------------------------------------------------------------------- */

static void an_id_is_letters_digits_and_a_few_signs(void **state)
{
    char longest[130];

    memset(longest, 'a', sizeof longest);
    longest[128] = '\0';
    assert_true(session_id_is_valid("a"));
    assert_true(session_id_is_valid("0_a.B-9"));
    assert_true(session_id_is_valid(longest));
    longest[128] = 'a';
    longest[129] = '\0';
    assert_false(session_id_is_valid(longest));
    for (const char *const *bad = (const char *const[]){"", "..", "-a", "_a", ".a", "a\n", "a/b",
                                                        "a b", "\xc3\xa9", "a%00", NULL};
         *bad != NULL; bad++)
        assert_false(session_id_is_valid(*bad));
}

static void an_id_that_is_made_cannot_be_guessed(void **state)
{
    struct session *a = fake_create(NULL, true), *b = fake_create(NULL, true);

    assert_int_equal(strlen(a->record.id), 32);
    assert_true(session_id_is_valid(a->record.id));
    assert_string_not_equal(a->record.id, b->record.id);
}

static void nobody_sees_the_sessions_of_another(void **state)
{
    const struct session_wanted w = {.owner = "you", .id = "s"};
    struct session *mine = fake_create("s", false);
    struct told told = {0};

    assert_null(session_find(fake.service, "you", "s"));
    assert_null(session_next(fake.service, "you", NULL));
    assert_int_equal(create(&w, &told, NULL), 0);
    assert_ptr_not_equal(told.session, mine);
    assert_ptr_equal(session_find(fake.service, "you", "s"), told.session);
    assert_ptr_equal(find("s"), mine);
    assert_null(session_next(fake.service, "", mine));
    assert_int_equal(session_count(fake.service, "you", NULL), 1);
}

static void wrong_wishes_are_refused(void **state)
{
    assert_int_equal(refusal(&(struct session_wanted){.owner = "", .id = "../x"}), ERR_INVALID);
    assert_int_equal(refusal(&(struct session_wanted){.owner = "", .bytes = 1000}), ERR_INVALID);
    assert_int_equal(refusal(&(struct session_wanted){.owner = "", .bytes = UINT64_MAX}),
                     ERR_INVALID);
    assert_int_equal(refusal(&(struct session_wanted){.owner = "", .ttl_s = -2}), ERR_INVALID);
    assert_int_equal(refusal(&(struct session_wanted){.owner = "", .idle_s = INT64_MAX}),
                     ERR_INVALID);
    assert_int_equal(refusal(&(struct session_wanted){.owner = "", .network = "host"}),
                     ERR_INVALID);
    assert_int_equal(refusal(&(struct session_wanted){.owner = "", .environment = "none-such"}),
                     ERR_NOT_FOUND);
    assert_int_equal(refusal(&(struct session_wanted){.owner = "", .snapshot = "none-such"}),
                     ERR_NOT_FOUND);
    fake_create("taken", false);
    assert_int_equal(refusal(&(struct session_wanted){.owner = "", .id = "taken"}), ERR_EXISTS);
    assert_int_equal(fake.service->count, 1);
}

/* -- waking and sleeping ----------------------------------------------------------------------- */

static void entering_wakes_and_all_wait_for_one_waking(void **state)
{
    struct session *s = fake_create("s", false);
    struct session_visit *v[3];
    struct told told[3] = {0};

    fake.hold_up = true;
    for (int i = 0; i < 3; i++)
        v[i] = session_enter(s, fake_entered, &told[i], NULL);
    fake_settle();
    assert_int_equal(s->state, SESSION_WAKING);
    session_left(v[1]);
    fake_go_on();
    assert_int_equal(told[0].times, 1);
    assert_int_equal(told[1].times, 0);
    assert_int_equal(told[2].times, 1);
    assert_ptr_equal(told[0].live, told[2].live);
    assert_int_equal(fake.opened, 1);
    assert_ptr_equal(session_visit_live(v[0]), told[0].live);
    assert_int_equal(s->state, SESSION_AWAKE);
    session_left(v[0]);
    session_left(v[2]);
}

static void an_idle_one_falls_asleep_and_keeps_its_workspace(void **state)
{
    struct session *s = fake_create("s", false);
    struct session_visit *v = fake_enter(s);

    fake_age(s, 1000);
    session_tick(fake.service);
    assert_int_equal(s->state, SESSION_AWAKE);
    session_left(v);
    session_tick(fake.service);
    assert_int_equal(s->state, SESSION_AWAKE);
    fake_age(s, 1000);
    session_tick(fake.service);
    assert_int_equal(s->state, SESSION_FALLING_ASLEEP);
    fake_settle();
    assert_int_equal(s->state, SESSION_ASLEEP);
    assert_int_equal(s->record.disk_bytes, 5000);
    assert_int_equal(fake.entered, 0);
    assert_true(fake_has_workspace(s->record.workspace));
    session_left(fake_enter(s));
    assert_int_equal(fake.opened, 2);
}

static void one_in_memory_stays_awake(void **state)
{
    struct session *s = fake_create("s", true);
    struct err e = {0};
    struct told asleep = {0};

    session_left(fake_enter(s));
    fake_age(s, 80000);
    session_tick(fake.service);
    fake_settle();
    assert_int_equal(s->state, SESSION_AWAKE);
    assert_int_equal(session_sleep(s, fake_changed, &asleep, &e), -1);
    assert_int_equal(e.code, ERR_INVALID);
    fake_age(s, 80000);
    assert_null(find("s"));
    fake_settle();
    assert_int_equal(fake.nlives, 0);
}

static void who_enters_while_it_falls_asleep_wakes_it_again(void **state)
{
    struct session *s = fake_create("s", false);
    struct told told = {0};
    struct session_visit *v;
    struct told asleep = {0};

    session_left(fake_enter(s));
    fake.hold_close = true;
    assert_int_equal(session_sleep(s, fake_changed, &asleep, NULL), 0);
    v = session_enter(s, fake_entered, &told, NULL);
    fake_settle();
    assert_int_equal(told.times, 0);
    assert_int_equal(asleep.times, 0);
    assert_int_equal(s->state, SESSION_FALLING_ASLEEP);
    fake_go_on();
    assert_int_equal(told.times, 1);
    assert_int_equal(asleep.times, 1);
    assert_int_equal(asleep.e.code, ERR_NONE);
    assert_non_null(told.live);
    assert_int_equal(fake.opened, 2);
    session_left(v);
}

static void one_in_use_does_not_go_to_sleep(void **state)
{
    struct session *s = fake_create("s", false);
    struct session_visit *v = fake_enter(s);
    struct err e = {0};
    struct told asleep = {0};

    assert_int_equal(session_sleep(s, fake_changed, &asleep, &e), -1);
    assert_int_equal(e.code, ERR_EXISTS);
    session_left(v);
    assert_int_equal(asleep.times, 0);
    assert_int_equal(session_sleep(s, fake_changed, &asleep, NULL), 0);
    assert_int_equal(session_sleep(s, fake_changed, &asleep, NULL), 0);
    fake_settle();
    assert_int_equal(asleep.times, 2);
    assert_int_equal(s->state, SESSION_ASLEEP);
    assert_int_equal(session_sleep(s, fake_changed, &asleep, NULL), 0);
    fake_settle();
    assert_int_equal(asleep.times, 3);
}

static void who_waits_for_a_sleep_waits_in_vain_at_most_ten_seconds(void **state)
{
    struct session *s = fake_create("s", false), *t = fake_create("t", false);
    struct told asleep[2] = {0};

    fake.hold_close = true;
    session_left(fake_enter(s));
    session_left(fake_enter(t));
    assert_int_equal(session_sleep(s, fake_changed, &asleep[0], NULL), 0);
    assert_int_equal(session_sleep(t, fake_changed, &asleep[1], NULL), 0);
    session_tick(fake.service);
    fake_settle();
    assert_int_equal(asleep[0].times, 0);
    for (struct session_answer *a = fake.service->sleepers; a != NULL; a = a->next)
        a->until_us -= a->session == s ? UINT64_C(10) * 1000000 : 0;
    session_tick(fake.service);
    fake_settle();
    assert_int_equal(asleep[0].times, 1);
    assert_int_equal(s->state, SESSION_FALLING_ASLEEP);
    session_delete(t, NULL, NULL);
    fake_go_on();
    assert_int_equal(asleep[1].times, 1);
    assert_int_equal(asleep[1].e.code, ERR_NOT_FOUND);
}

static void a_failed_waking_is_told_to_all_and_may_be_tried_again(void **state)
{
    struct session *s = fake_create("s", false);
    struct told told[2] = {0};

    err_set(&fake.fail_open, ERR_UNAVAILABLE, ENOSPC, "no room");
    session_enter(s, fake_entered, &told[0], NULL);
    session_enter(s, fake_entered, &told[1], NULL);
    fake_settle();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(told[i].times, 1);
        assert_null(told[i].live);
        assert_int_equal(told[i].e.errnum, ENOSPC);
    }
    assert_int_equal(s->state, SESSION_ASLEEP);
    assert_int_equal(fake.service->seats, 0);
    assert_int_equal(fake.entered, 0);
    session_left(fake_enter(s));
}

static void a_lost_sandbox_is_a_sleep_and_its_visits_see_it(void **state)
{
    struct session *s = fake_create("s", false), *memory = fake_create("m", true);
    struct session_visit *old = fake_enter(s), *v;

    fake_lose(s);
    assert_null(session_visit_live(old));
    assert_int_equal(s->state, SESSION_ASLEEP);
    v = fake_enter(s);
    assert_null(session_visit_live(old));
    assert_non_null(session_visit_live(v));
    session_left(v);
    session_left(old);
    v = fake_enter(memory);
    fake_lose(memory);
    assert_null(find("m"));
    session_left(v);
}

static void one_whose_image_is_gone_says_so(void **state)
{
    struct session *s = fake_create("s", false);
    struct told told = {0};
    struct told asleep = {0};

    session_left(fake_enter(s));
    session_sleep(s, fake_changed, &asleep, NULL);
    fake_settle();
    fake.nworkspaces = 0;
    session_enter(s, fake_entered, &told, NULL);
    fake_settle();
    assert_int_equal(told.e.code, ERR_NOT_FOUND);
    assert_contains(told.e.text, "is gone");
}

static void an_image_that_a_crash_has_left_unrecorded_is_found(void **state)
{
    struct session *s = fake_create("s", false);

    fake.workspaces[fake.nworkspaces++] = s->record.workspace;
    session_left(fake_enter(s));
    assert_true(s->record.is_made);
}

/* -- environments ------------------------------------------------------------------------------ */

static void one_in_an_environment_that_is_built_waits(void **state)
{
    struct session *s = fake_create("s", false);
    struct told told = {0};
    struct session_visit *v;

    fake.environment_builds = true;
    v = session_enter(s, fake_entered, &told, NULL);
    fake_settle();
    assert_int_equal(told.times, 0);
    fake_go_on();
    assert_non_null(told.live);
    session_left(v);
}

static void a_deleted_environment_is_named(void **state)
{
    struct session *s = fake_create("s", false);
    struct told told = {0};

    fake.environment_gone = true;
    session_enter(s, fake_entered, &told, NULL);
    fake_settle();
    assert_int_equal(told.e.code, ERR_NOT_FOUND);
    assert_contains(told.e.text, "environment 'default'");
}

/* -- deletion ---------------------------------------------------------------------------------- */

static void deleting_leaves_nothing(void **state)
{
    struct session *s = fake_create("s", false);
    struct told told = {0};

    session_left(fake_enter(s));
    fake.busy_removals = 3;
    session_delete(s, fake_deleted, &told);
    assert_null(find("s"));
    assert_int_equal(told.times, 0);
    fake_create("s", false); /* the name is free at once */
    for (int i = 0; i < 50 && told.times == 0; i++)
        fake_settle();
    assert_int_equal(told.times, 1);
    assert_int_equal(fake.nworkspaces, 0);
    assert_int_equal(fake.nlives, 0);
    assert_int_equal(fake.entered, 0);
    assert_int_equal(fake.service->seats, 0);
    fake_assert_none_ending();
}

static void deleting_tells_whoever_waits_or_is_inside(void **state)
{
    struct session *s = fake_create("s", false);
    struct told in = {0}, waits = {0}, deleted[2] = {0};
    struct session_visit *v = fake_enter(s);

    session_delete(s, fake_deleted, &deleted[0]);
    assert_null(session_visit_live(v));
    session_enter(s, fake_entered, &waits, NULL);
    session_delete(s, fake_deleted, &deleted[1]);
    fake_settle();
    assert_int_equal(waits.e.code, ERR_NOT_FOUND);
    assert_int_equal(deleted[0].times + deleted[1].times, 2);
    session_left(v);
    fake_assert_none_ending();
    assert_int_equal(in.times, 0);
}

static void deleting_while_it_wakes_ends_both(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct session *s = fake_create("s", i == 0);
        struct told told = {0}, deleted = {0};

        fake.hold_up = i == 0;
        fake.environment_builds = i == 1;
        session_enter(s, fake_entered, &told, NULL);
        fake_settle();
        session_delete(s, fake_deleted, &deleted);
        fake_settle();
        assert_int_equal(told.e.code, ERR_NOT_FOUND);
        assert_int_equal(deleted.times, 1);
        assert_int_equal(fake.nlives, 0);
        assert_int_equal(fake.service->seats, 0);
        assert_int_equal(fake.entered, 0);
        fake_go_on();
    }
}

static void deleting_while_it_falls_asleep_waits_for_that(void **state)
{
    struct session *s = fake_create("s", false);
    struct told deleted = {0};
    struct told asleep = {0};

    session_left(fake_enter(s));
    fake.hold_close = true;
    session_sleep(s, fake_changed, &asleep, NULL);
    session_delete(s, fake_deleted, &deleted);
    fake_settle();
    assert_int_equal(deleted.times, 0);
    fake_go_on();
    assert_int_equal(deleted.times, 1);
    assert_int_equal(fake.nworkspaces, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_set_up, fake_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_id_is_letters_digits_and_a_few_signs),
        TEST(an_id_that_is_made_cannot_be_guessed),
        TEST(nobody_sees_the_sessions_of_another),
        TEST(wrong_wishes_are_refused),
        TEST(entering_wakes_and_all_wait_for_one_waking),
        TEST(an_idle_one_falls_asleep_and_keeps_its_workspace),
        TEST(one_in_memory_stays_awake),
        TEST(who_enters_while_it_falls_asleep_wakes_it_again),
        TEST(one_in_use_does_not_go_to_sleep),
        TEST(who_waits_for_a_sleep_waits_in_vain_at_most_ten_seconds),
        TEST(a_failed_waking_is_told_to_all_and_may_be_tried_again),
        TEST(a_lost_sandbox_is_a_sleep_and_its_visits_see_it),
        TEST(one_whose_image_is_gone_says_so),
        TEST(an_image_that_a_crash_has_left_unrecorded_is_found),
        TEST(one_in_an_environment_that_is_built_waits),
        TEST(a_deleted_environment_is_named),
        TEST(deleting_leaves_nothing),
        TEST(deleting_tells_whoever_waits_or_is_inside),
        TEST(deleting_while_it_wakes_ends_both),
        TEST(deleting_while_it_falls_asleep_waits_for_that),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

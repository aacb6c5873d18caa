/* Tests of what bounds sessions: time, numbers, disk, memory; and of what a restart leaves. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
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

/* -- time -------------------------------------------------------------------------------------- */

static void one_that_is_used_outlives_its_idle_ttl_but_not_its_age(void **state)
{
    const struct session_wanted w = {.owner = "", .id = "s", .idle_ttl_s = 100, .ttl_s = 1000};
    struct told told = {0};
    struct session_visit *v;
    struct session_view view;

    assert_int_equal(create(&w, &told, NULL), 0);
    v = fake_enter(told.session);
    fake_age(told.session, 500);
    session_tick(fake.service);
    assert_ptr_equal(find("s"), told.session);
    session_view(told.session, &view);
    assert_false(view.expires_soon);
    fake_age(told.session, 420);
    session_view(told.session, &view);
    assert_true(view.expires_soon);
    fake_age(told.session, 100);
    session_tick(fake.service);
    assert_null(find("s"));
    fake_settle();
    assert_null(session_visit_live(v));
    session_left(v);
    assert_int_equal(fake.nworkspaces, 0);
}

static void unused_ones_are_deleted_in_time(void **state)
{
    const struct session_wanted never = {.owner = "", .id = "never", .idle_ttl_s = -1};
    struct session *s = fake_create("s", false);
    struct told told = {0};

    assert_int_equal(create(&never, &told, NULL), 0);
    fake_age(s, 86401);
    fake_age(told.session, 864010);
    session_tick(fake.service);
    session_tick(fake.service);
    fake_settle();
    assert_int_equal(fake.service->count, 1);
    assert_ptr_equal(find("never"), told.session);
}

/* As if the time of day had been so many seconds less until now. */
static void set_clock(int64_t seconds)
{
    fake.service->clock_offset_ms -= seconds * 1000;
}

static void a_clock_that_is_set_brings_no_session_nearer_to_its_end(void **state)
{
    static const int64_t steps[] = {
        5, -5, 86400, -86400, 20 * INT64_C(31557600), -20 * INT64_C(31557600)};
    struct session *s = fake_create("s", false);
    struct session_view before, after;

    fake_age(s, 3600);
    for (size_t i = 0; i < TEST_COUNT(steps); i++) {
        session_view(s, &before);
        set_clock(steps[i]);
        session_tick(fake.service);
        assert_ptr_equal(find("s"), s);
        session_view(s, &after);
        /* Two clocks are read one after the other: the step is known but for the time between. */
        int64_t moved = after.created_ms - before.created_ms;
        assert_in_range(llabs(moved - steps[i] * 1000), 0, 1000);
        assert_int_equal(after.used_ms - before.used_ms, moved);
        assert_int_equal(after.expires_ms - before.expires_ms, moved);
    }
    fake_age(s, 86400);
    assert_null(find("s")); /* and time that passes still counts */
}

static void a_clock_that_is_slewed_moves_nothing(void **state)
{
    struct session *s = fake_create("s", false);
    int64_t used = s->record.used_ms;

    for (int i = 0; i < 10; i++) {
        set_clock(1);
        session_tick(fake.service);
    }
    assert_int_equal(s->record.used_ms, used);
}

static void times_of_a_clock_that_was_ahead_are_now(void **state)
{
    struct session_record r = {.created_ms = INT64_MAX / 2, .used_ms = INT64_MAX / 2};
    int64_t now = session_now_ms(fake.service);

    session_clock_bound(fake.service, &r);
    assert_in_range(r.created_ms, now, now + 60000);
    assert_in_range(r.used_ms, now, now + 60000);
    r = (struct session_record){.created_ms = 1, .used_ms = 2};
    session_clock_bound(fake.service, &r);
    assert_int_equal(r.created_ms, 1);
    assert_int_equal(r.used_ms, 2);
}

/* -- limits ------------------------------------------------------------------------------------ */

static void the_number_is_limited(void **state)
{
    struct session *s;

    fake.service->rules.sessions_max = 2;
    s = fake_create("a", false);
    fake_create("b", true);
    assert_int_equal(refusal(&(struct session_wanted){.owner = ""}), ERR_LIMIT);
    fake_age(s, 86401); /* one whose time is over makes room */
    fake_create("c", false);
}

static void a_seat_is_made_by_the_longest_unused(void **state)
{
    struct session *a = fake_create("a", false), *b = fake_create("b", false),
                   *c = fake_create("c", false);

    fake.service->rules.awake_max = 2;
    session_left(fake_enter(a));
    session_left(fake_enter(b));
    session_left(fake_enter(a));
    session_left(fake_enter(c));
    assert_int_equal(a->state, SESSION_AWAKE);
    assert_int_equal(b->state, SESSION_ASLEEP);
    assert_int_equal(c->state, SESSION_AWAKE);
    assert_int_equal(fake.nlives, 2);
}

static uint64_t unused_since(char *nest, uint32_t entered)
{
    return fake.guests.unused_since(fake.guests.data, (struct nest *)nest, entered);
}

static void an_environment_is_left_by_sessions_that_nobody_uses(void **state)
{
    static char nests[2];
    struct session *a, *b, *c, *m;

    fake.nest = (struct nest *)&nests[0];
    session_left(fake_enter(a = fake_create("a", false)));
    session_left(fake_enter(b = fake_create("b", false)));
    fake.nest = (struct nest *)&nests[1];
    session_left(fake_enter(c = fake_create("c", false)));
    fake_age(a, 20);
    assert_int_equal(unused_since(&nests[0], 2), b->used_us);
    assert_int_equal(unused_since(&nests[0], 3), 0); /* somebody else is there too */
    struct session_visit *v = fake_enter(b);
    assert_int_equal(unused_since(&nests[0], 2), 0);
    session_left(v);
    fake.guests.leave(fake.guests.data, (struct nest *)&nests[0]);
    assert_int_equal(a->state, SESSION_FALLING_ASLEEP);
    assert_int_equal(b->state, SESSION_FALLING_ASLEEP);
    assert_int_equal(c->state, SESSION_AWAKE);
    fake_settle();
    assert_int_equal(fake.entered, 1);
    session_left(fake_enter(m = fake_create("m", true)));
    assert_int_equal(unused_since(&nests[1], 2), 0); /* one in memory cannot sleep */
    session_delete(m, NULL, NULL);
    fake_settle();
    assert_int_equal(unused_since(&nests[1], 1), c->used_us);
    session_delete(c, NULL, NULL);
    fake_settle();
    assert_int_equal(fake.entered, 0);
}

static void without_a_seat_to_be_made_waking_is_refused(void **state)
{
    struct session *a = fake_create("a", false), *b = fake_create("b", false);
    struct session_visit *v;
    struct told told = {0};

    fake.service->rules.awake_max = 1;
    v = fake_enter(a);
    session_enter(b, fake_entered, &told, NULL);
    fake_settle();
    assert_int_equal(told.e.code, ERR_UNAVAILABLE);
    assert_int_equal(b->state, SESSION_ASLEEP);
    session_left(v);
    session_left(fake_enter(b));
}

static void many_wait_for_few_seats_and_all_come_in(void **state)
{
    struct session *s[6];
    struct told told[6] = {0};
    struct session_visit *v[6];
    char id[8];

    fake.service->rules.awake_max = 3;
    for (int i = 0; i < 6; i++) {
        snprintf(id, sizeof id, "s%d", i);
        s[i] = fake_create(id, false);
        if (i < 3)
            session_left(fake_enter(s[i]));
    }
    for (int i = 3; i < 6; i++)
        v[i] = session_enter(s[i], fake_entered, &told[i], NULL);
    for (int i = 0; i < 5; i++)
        fake_settle();
    for (int i = 3; i < 6; i++) {
        assert_non_null(told[i].live);
        session_left(v[i]);
    }
    assert_int_equal(fake.service->seats, 3);
    assert_int_equal(fake.service->nqueue, 0);
}

static void the_disk_is_limited_by_what_they_take_up(void **state)
{
    struct session *s = fake_create("s", false);
    struct told asleep = {0};

    fake.service->rules.disk = 5000;
    session_left(fake_enter(s));
    session_sleep(s, fake_changed, &asleep, NULL);
    fake_settle();
    assert_int_equal(refusal(&(struct session_wanted){.owner = ""}), ERR_LIMIT);
    fake_create("memory", true);
    session_delete(s, NULL, NULL);
    fake_settle();
    fake_create("s", false);
}

static void short_memory_ends_unused_ones_and_refuses_wakings(void **state)
{
    struct session *a = fake_create("a", false), *used = fake_create("used", false),
                   *memory = fake_create("memory", true);
    struct session_visit *v = fake_enter(used);
    struct told told = {0};

    session_left(fake_enter(a));
    session_left(fake_enter(memory));
    fake.service->is_short = true;
    session_relieve(fake.service);
    fake_settle();
    assert_int_equal(a->state, SESSION_ASLEEP);
    assert_int_equal(used->state, SESSION_AWAKE);
    session_enter(a, fake_entered, &told, NULL);
    fake_settle();
    assert_int_equal(told.e.code, ERR_UNAVAILABLE);
    session_relieve(fake.service);
    assert_ptr_equal(find("memory"), memory); /* it has been idle for a moment only */
    fake_age(memory, 700);
    session_relieve(fake.service);
    assert_null(find("memory"));
    session_left(v);
}

/* -- changes ----------------------------------------------------------------------------------- */

static void a_workspace_grows_asleep_and_awake_but_never_shrinks(void **state)
{
    struct session *s = fake_create("s", false);
    const uint64_t size = s->record.bytes;
    struct told told = {0};

    session_change(s, &(struct session_change){.bytes = 2 * size}, fake_changed, &told);
    fake_settle();
    assert_string_equal(told.e.text, "");
    assert_int_equal(s->record.bytes, 2 * size);
    session_left(fake_enter(s));
    session_change(s, &(struct session_change){.bytes = 3 * size}, fake_changed, &told);
    fake_settle();
    assert_int_equal(s->record.bytes, 3 * size);
    session_change(s, &(struct session_change){.bytes = size}, fake_changed, &told);
    fake_settle();
    assert_int_equal(told.e.code, ERR_INVALID);
    session_change(s, &(struct session_change){.bytes = 9 * size}, fake_changed, &told);
    fake_settle();
    assert_int_equal(told.e.code, ERR_INVALID);
    assert_int_equal(told.times, 4);
}

static void variables_and_times_change_and_stay(void **state)
{
    struct session *s = fake_create("s", false);
    const struct session_change c = {.env = "{\"A\": \"b=c\", \"D\": \"\"}",
                                     .labels = "{\"x\": \"y\"}",
                                     .idle_s = 5,
                                     .ttl_s = -1};
    struct session_view v;
    struct told told = {0};

    session_change(s, &c, fake_changed, &told);
    session_left(fake_enter(s));
    assert_string_equal(told.e.text, "");
    assert_string_equal(session_env(s)[0], "A=b=c");
    assert_string_equal(session_env(s)[1], "D=");
    assert_null(session_env(s)[2]);
    fake_restart();
    s = find("s");
    session_view(s, &v);
    assert_string_equal(v.labels, "{\"x\": \"y\"}");
    assert_int_equal(v.idle_s, 5);
    assert_int_equal(v.ttl_s, -1);
}

/* -- restarts ---------------------------------------------------------------------------------- */

static void after_a_restart_all_are_there_asleep(void **state)
{
    struct session *s = fake_create("s", false);
    int64_t used;
    uint32_t process;

    fake_create("memory", true);
    session_left(fake_enter(s));
    fake_age(s, 100);
    process = session_process_id(s);
    session_touch(s);
    used = s->record.used_ms;
    fake_restart();
    s = find("s");
    assert_non_null(s);
    assert_null(find("memory"));
    assert_int_equal(s->state, SESSION_ASLEEP);
    assert_int_equal(s->record.used_ms, used);
    assert_int_equal(session_process_id(s), process + 1);
    session_left(fake_enter(s));
}

/* An image that is on the disk already when the server starts. */
static void put_image(const char *name)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof path, "%s/workspaces", fake.dir);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/workspaces/%s", fake.dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
}

static void images_that_were_never_finished_are_removed_at_the_start(void **state)
{
    struct session *s = fake_create("s", false);
    uint64_t unfinished;

    session_left(fake_enter(s));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(store_workspace_number(fake.store, &unfinished, NULL), 0);
        fake.workspaces[fake.nworkspaces++] = unfinished;
    }
    fake_restart();
    fake_settle();
    assert_int_equal(fake.nworkspaces, 1);
    assert_true(fake_has_workspace(find("s")->record.workspace));
    fake.workspaces[fake.nworkspaces++] = unfinished;
    fake_restart();
    fake_settle();
    assert_true(fake_has_workspace(unfinished)); /* nobody's: the number was forgotten */
}

static void what_could_not_be_removed_is_removed_by_the_next_start(void **state)
{
    struct session *s = fake_create("s", false);
    uint64_t number = s->record.workspace;

    session_left(fake_enter(s));
    fake.busy_removals = 1000; /* more than are tried until the restart */
    session_delete(s, NULL, NULL);
    fake_settle();
    assert_true(fake_has_workspace(number));
    fake.busy_removals = 0;
    fake_restart();
    fake_settle();
    assert_false(fake_has_workspace(number));
}

/* The first is as after a database was moved away, the second as after a backup was put back. */
static void images_of_another_database_are_left_alone_and_never_taken_over(void **state)
{
    struct session *s;

    put_image("7.img");
    put_image("40.img");
    put_image("900.img.part");
    put_image("0800.img");
    fake.workspaces[fake.nworkspaces++] = 7;
    fake.workspaces[fake.nworkspaces++] = 40;
    fake_restart();
    s = fake_create("s", false);
    assert_int_equal(s->record.workspace, 41);
    session_left(fake_enter(s));
    put_image("41.img");
    put_image("50.img");
    fake.workspaces[fake.nworkspaces++] = 50;
    fake_restart();
    assert_int_equal(fake_create("t", false)->record.workspace, 51);
    fake_settle();
    for (uint64_t at = 7; at != 0; at = at == 7 ? 40 : at == 40 ? 50 : 0)
        assert_true(fake_has_workspace(at));
    session_delete(find("s"), NULL, NULL);
    fake_settle();
    assert_false(fake_has_workspace(41));
}

static void ten_thousand_are_found_and_listed_quickly(void **state)
{
    struct session_view view;
    struct session *at = NULL;
    uint64_t started;
    char id[16];
    int n = 0;

    for (int i = 0; i < 10000; i++) {
        const struct session_wanted w = {.owner = "", .ephemeral = true, .id = id};
        static struct told told;

        snprintf(id, sizeof id, "s%d", i);
        assert_int_equal(session_create(fake.service, &w, fake_made, &told, NULL), 0);
    }
    fake_settle();
    started = clock_now_us();
    while ((at = session_next(fake.service, "", at)) != NULL) {
        session_view(at, &view);
        n++;
    }
    print_message("listing 10000: %d us\n", (int)(clock_now_us() - started));
    assert_int_equal(n, 10000);
    assert_true(clock_now_us() - started < 200000); /* noisy machines included */
    started = clock_now_us();
    for (int i = 0; i < 10000; i++) {
        snprintf(id, sizeof id, "s%d", i);
        assert_non_null(find(id));
    }
    print_message("finding 10000: %d us\n", (int)(clock_now_us() - started));
    assert_true(clock_now_us() - started < 200000); /* noisy machines included */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_set_up, fake_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_that_is_used_outlives_its_idle_ttl_but_not_its_age),
        TEST(unused_ones_are_deleted_in_time),
        TEST(a_clock_that_is_set_brings_no_session_nearer_to_its_end),
        TEST(a_clock_that_is_slewed_moves_nothing),
        TEST(times_of_a_clock_that_was_ahead_are_now),
        TEST(the_number_is_limited),
        TEST(a_seat_is_made_by_the_longest_unused),
        TEST(an_environment_is_left_by_sessions_that_nobody_uses),
        TEST(without_a_seat_to_be_made_waking_is_refused),
        TEST(many_wait_for_few_seats_and_all_come_in),
        TEST(the_disk_is_limited_by_what_they_take_up),
        TEST(short_memory_ends_unused_ones_and_refuses_wakings),
        TEST(a_workspace_grows_asleep_and_awake_but_never_shrinks),
        TEST(variables_and_times_change_and_stay),
        TEST(after_a_restart_all_are_there_asleep),
        TEST(images_that_were_never_finished_are_removed_at_the_start),
        TEST(what_could_not_be_removed_is_removed_by_the_next_start),
        TEST(images_of_another_database_are_left_alone_and_never_taken_over),
        TEST(ten_thousand_are_found_and_listed_quickly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

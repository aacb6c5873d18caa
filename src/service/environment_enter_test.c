/* Tests of environment_enter and environment_nest: runs on their way into environments. */
#include "service/environment.h"

#include <stdio.h>

#include "base/settings.h"
#include "service/environment_test_engine.h"

#define FACTS "{\"python\":\"3.11.2\"}"

struct guest {
    struct run_spec *spec;
    int calls;
    enum environment_entry how;
    char status[16], words[240];
    struct environment_visit *visit;
};

static void on_entered(void *data, enum environment_entry how, const char *status,
                       const struct err *e)
{
    struct guest *g = data;

    g->calls++;
    g->how = how;
    snprintf(g->status, sizeof g->status, "%s", status);
    snprintf(g->words, sizeof g->words, "%s", e != NULL ? e->text : "");
}

static void enter(struct guest *g, const char *name)
{
    if (g->spec == NULL)
        g->spec = run_spec_create();
    g->calls = 0;
    g->visit = environment_enter(fake.service, name, g->spec, on_entered, g);
}

static void leave(struct guest *g, const char *name, const char *modules)
{
    environment_left(fake.service, name, g->spec->nest, modules);
    run_spec_destroy(g->spec);
    *g = (struct guest){0};
    fake_settle();
}

static void finish(struct guest *g)
{
    run_spec_destroy(g->spec);
}

static void make(const char *name, int job)
{
    fake_create(name, name);
    fake_end_job(job, NULL, 0, FACTS);
}

static void the_built_in_environment_is_always_there(void **state)
{
    static const char *const names[] = {NULL, "", "default"};

    for (size_t i = 0; i < TEST_COUNT(names); i++) {
        struct guest g = {0};

        enter(&g, names[i]);
        assert_int_equal(g.calls, 1);
        assert_int_equal(g.how, ENVIRONMENT_ENTERED);
        assert_null(g.spec->nest);
        assert_int_equal(fake_view("default").runs, 1);
        leave(&g, names[i], "numpy");
    }
    assert_int_equal(fake_view("default").runs, 0);
    assert_int_equal(fake_view("default").runs_total, 3);
    assert_int_equal(fake.nests_made, 0);
}

static void its_network_is_that_of_the_settings(void **state)
{
    struct guest g = {.spec = run_spec_create()};

    g.spec->network = SPAWN_NETWORK_BRIDGE;
    g.spec->network_set = true;
    enter(&g, "default");
    assert_int_equal(g.how, ENVIRONMENT_REFUSED);
    assert_contains(g.words, "network 'bridge' is more than environment 'default' has (none)");
    finish(&g);
}

static void an_unknown_name_is_unknown(void **state)
{
    struct guest g = {0};

    enter(&g, "nobody");
    assert_int_equal(g.how, ENVIRONMENT_UNKNOWN);
    assert_null(g.visit);
    finish(&g);
}

static void a_ready_one_is_opened_once_and_fills_what_is_open(void **state)
{
    const struct environment_wanted defaults = {.memory_mb = 700, .timeout_s = 9, .processes = 33};
    struct guest one = {.spec = run_spec_create()}, two = {0};

    make("e1", 0);
    assert_int_equal(environment_patch(fake.service, "e1", &defaults, NULL), 0);
    one.spec->limits.processes = 5;
    enter(&one, "e1");
    assert_int_equal(one.how, ENVIRONMENT_ENTERED);
    assert_int_equal(one.spec->limits.memory_mb, 700);
    assert_int_equal(one.spec->limits.processes, 5);
    assert_int_equal(one.spec->timeout_ms, 9000);
    assert_int_equal(one.spec->limits.cpu_milli, 0);
    assert_int_equal(fake.last.kind, SPAWN_NEST_RUN);
    assert_int_equal(fake.last.warm, 1);
    assert_int_equal(fake.last.layers[0], fake_view("e1").record->layer);
    assert_int_equal(fake.last.layers[1], fake_view("e1").record->base_layer);
    enter(&two, "e1");
    assert_ptr_equal(two.spec->nest, one.spec->nest);
    assert_int_equal(fake.nests_made, 2);
    assert_int_equal(fake_view("e1").runs, 2);
    assert_non_null(fake_view("e1").record->last_used);
    assert_true(fake_view("e1").warm);
    leave(&one, "e1", NULL);
    leave(&two, "e1", NULL);
    assert_int_equal(fake_view("e1").runs, 0);
    assert_int_equal(fake_view("e1").runs_total, 2);
}

static void a_building_one_is_waited_for(void **state)
{
    struct guest g = {0};

    fake_create("e1", "true");
    enter(&g, "e1");
    fake_settle();
    assert_int_equal(g.calls, 0);
    assert_non_null(g.visit);
    fake_end_job(0, NULL, 0, FACTS);
    assert_int_equal(g.calls, 1);
    assert_int_equal(g.how, ENVIRONMENT_ENTERED);
    leave(&g, "e1", NULL);
}

static void but_not_for_longer_than_the_run_may_take(void **state)
{
    struct guest g = {.spec = run_spec_create()}, failing = {0}, gone = {0}, impatient = {0};

    fake_create("e1", "true");
    g.spec->timeout_ms = 1;
    enter(&g, "e1");
    uv_sleep(5);
    fake_settle();
    assert_int_equal(g.how, ENVIRONMENT_NOT_READY);
    assert_string_equal(g.status, "building");
    enter(&failing, "e1");
    enter(&impatient, "e1");
    environment_enter_cancel(impatient.visit);
    fake_end_job(0, NULL, 1, NULL);
    assert_int_equal(failing.how, ENVIRONMENT_NOT_READY);
    assert_string_equal(failing.status, "failed");
    fake_create("e2", "true");
    enter(&gone, "e2");
    assert_int_equal(environment_delete(fake.service, "e2", NULL), 0);
    fake_settle();
    assert_int_equal(gone.how, ENVIRONMENT_UNKNOWN);
    assert_int_equal(impatient.calls, 0);
    finish(&g);
    finish(&failing);
    finish(&gone);
    finish(&impatient);
}

static void a_rebuild_is_not_waited_for(void **state)
{
    struct guest old = {0}, new = {0};

    make("e1", 0);
    assert_int_equal(environment_rebuild(fake.service, "e1", NULL), 0);
    fake_settle();
    enter(&old, "e1");
    assert_int_equal(old.how, ENVIRONMENT_ENTERED);
    fake_end_job(1, NULL, 0, FACTS);
    /* The one that is in there keeps its layer until it leaves. */
    assert_true(fake_has_layer(2));
    enter(&new, "e1");
    assert_ptr_not_equal(new.spec->nest, old.spec->nest);
    leave(&old, "e1", NULL);
    assert_false(fake_has_layer(2));
    leave(&new, "e1", NULL);
}

static void a_deleted_one_lets_its_runs_finish(void **state)
{
    struct guest g = {0};
    uint64_t layer;

    make("e1", 0);
    enter(&g, "e1");
    layer = fake_view("e1").record->layer;
    assert_int_equal(environment_delete(fake.service, "e1", NULL), 0);
    fake_settle();
    assert_int_equal(fake.open_nests, 1);
    assert_true(fake_has_layer(layer));
    leave(&g, "e1", "numpy");
    assert_int_equal(fake.open_nests, 0);
    assert_false(fake_has_layer(layer));
}

static void there_are_only_so_many_and_the_idle_one_makes_room(void **state)
{
    struct guest one = {0}, two = {0}, three = {0};

    fake.settings.environments_warm = 2;
    fake_restart();
    make("e1", 0);
    make("e2", 1);
    make("e3", 2);
    enter(&one, "e1");
    enter(&two, "e2");
    enter(&three, "e3");
    fake_settle();
    assert_int_equal(three.calls, 0);
    leave(&one, "e1", NULL);
    fake_settle();
    assert_int_equal(three.calls, 1);
    assert_int_equal(three.how, ENVIRONMENT_ENTERED);
    assert_false(fake_view("e1").warm);
    assert_int_equal(fake.open_nests, 2);
    leave(&two, "e2", NULL);
    leave(&three, "e3", NULL);
}

static struct {
    const struct nest *unused, *left;
} guests;

static uint64_t unused_since(void *data, const struct nest *nest, uint32_t entered)
{
    assert_int_equal(entered, 1);
    return nest == guests.unused ? 1 : 0;
}

static void leave_nest(void *data, const struct nest *nest)
{
    assert_null(guests.left); /* asked once */
    guests.left = nest;
}

static void guests_leave_when_none_is_idle(void **state)
{
    const struct environment_guests callbacks = {.unused_since = unused_since, .leave = leave_nest};
    struct guest one = {0}, two = {0}, three = {0};

    guests.unused = guests.left = NULL;
    fake.settings.environments_warm = 2;
    fake_restart();
    environment_set_guests(fake.service, &callbacks);
    make("e1", 0);
    make("e2", 1);
    make("e3", 2);
    enter(&one, "e1");
    enter(&two, "e2");
    guests.unused = two.spec->nest;
    enter(&three, "e3");
    assert_int_equal(three.calls, 0);
    assert_ptr_equal(guests.left, two.spec->nest);
    fake_settle();
    leave(&two, "e2", NULL);
    assert_int_equal(three.calls, 1);
    assert_int_equal(three.how, ENVIRONMENT_ENTERED);
    leave(&one, "e1", NULL);
    leave(&three, "e3", NULL);
}

static void when_none_makes_room_the_reason_is_told(void **state)
{
    struct guest one = {0}, two = {.spec = run_spec_create()};

    fake.settings.environments_warm = 1;
    fake_restart();
    make("e1", 0);
    make("e2", 1);
    enter(&one, "e1");
    two.spec->timeout_ms = 1;
    enter(&two, "e2");
    uv_sleep(5);
    fake_settle();
    assert_int_equal(two.how, ENVIRONMENT_REFUSED);
    assert_contains(two.words, "ENVIRONMENTS_WARM");
    leave(&one, "e1", NULL);
    finish(&two);
}

static void a_nest_that_fails_is_opened_anew(void **state)
{
    struct guest one = {0}, two = {0};

    make("e1", 0);
    enter(&one, "e1");
    fake_fail_nest(one.spec->nest, "it broke");
    fake_settle();
    assert_int_equal(fake.open_nests, 1); /* somebody still names it */
    enter(&two, "e1");
    assert_ptr_not_equal(two.spec->nest, one.spec->nest);
    leave(&one, "e1", NULL);
    assert_int_equal(fake.open_nests, 1);
    leave(&two, "e1", NULL);
    fake.refuse_nests = true;
    assert_int_equal(
        environment_patch(fake.service, "e1", &(struct environment_wanted){.warm = "os"}, NULL), 0);
    enter(&one, "e1");
    assert_int_equal(one.how, ENVIRONMENT_REFUSED);
    assert_string_equal(one.words, "no nest today");
    finish(&one);
}

static void modules_are_learned_unless_they_are_given(void **state)
{
    struct guest g = {0};

    make("e1", 0);
    for (int i = 0; i < 3; i++) {
        enter(&g, "e1");
        assert_string_equal(fake.modules, "");
        leave(&g, "e1", "numpy,../x,pandas");
    }
    assert_string_equal(fake_view("e1").record->learned, "numpy,pandas");
    fake_restart();
    enter(&g, "e1");
    assert_string_equal(fake.modules, "numpy\npandas\n");
    leave(&g, "e1", NULL);
    assert_int_equal(
        environment_patch(fake.service, "e1", &(struct environment_wanted){.warm = "json"}, NULL),
        0);
    fake_settle();
    enter(&g, "e1");
    assert_string_equal(fake.modules, "json\n");
    leave(&g, "e1", NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_set_up, fake_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_built_in_environment_is_always_there),
        TEST(its_network_is_that_of_the_settings),
        TEST(an_unknown_name_is_unknown),
        TEST(a_ready_one_is_opened_once_and_fills_what_is_open),
        TEST(a_building_one_is_waited_for),
        TEST(but_not_for_longer_than_the_run_may_take),
        TEST(a_rebuild_is_not_waited_for),
        TEST(a_deleted_one_lets_its_runs_finish),
        TEST(there_are_only_so_many_and_the_idle_one_makes_room),
        TEST(guests_leave_when_none_is_idle),
        TEST(when_none_makes_room_the_reason_is_told),
        TEST(a_nest_that_fails_is_opened_anew),
        TEST(modules_are_learned_unless_they_are_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tests of environments: life of records and builds, with an engine that does as it is told. */
#include "service/environment.h"

#include <stdio.h>

#include "base/settings.h"
#include "service/environment_test_engine.h"
#include "service/image.h"

#define FACTS "{\"python\":\"3.11.2\",\"packages\":[]}"

static void refuse_creation(const struct environment_wanted *w, int code, const char *words)
{
    struct err e = {0};

    assert_int_equal(environment_create(fake.service, w, &e), -1);
    assert_int_equal(e.code, code);
    assert_contains(e.text, words);
}

static char *log_of(const char *name)
{
    static char text[65536];
    long n = environment_log_read(fake.service, name, 0, text, sizeof text - 1, NULL);

    assert_true(n >= 0);
    text[n] = '\0';
    return text;
}

static int add_name(void *data, const struct environment_view *v)
{
    strcat(data, v->record->name);
    strcat(data, " ");
    return 0;
}

static const char *all_names(void)
{
    static char names[64];

    names[0] = '\0';
    assert_int_equal(environment_each(fake.service, add_name, names), 0);
    return names;
}

/* A ready environment; its build is job number `job`. */
static void make_ready(const char *name, const char *script, int job)
{
    fake_create(name, script);
    fake_end_job(job, NULL, 0, FACTS);
    assert_int_equal(fake_view(name).record->status, ENVIRONMENT_READY);
}

static void a_build_makes_the_base_once_and_then_runs_the_script(void **state)
{
    struct environment_view v;

    fake_create("e1", "echo hi");
    assert_int_equal(fake.made_host, 1);
    assert_int_equal(fake.njobs, 1);
    assert_int_equal(fake.last.kind, SPAWN_NEST_BUILD);
    assert_string_equal(fake.jobs[0].spec->program[0], "/opt/dunlin/build/setup");
    assert_string_equal(fake.jobs[0].spec->files[0].name, "setup.sh");
    assert_string_equal(fake.jobs[0].spec->files[0].data, "echo hi");
    v = fake_view("e1");
    assert_int_equal(v.record->status, ENVIRONMENT_BUILDING);
    assert_string_equal(v.phase, "setup");
    fake_end_job(0, "hi\n", 0, FACTS);
    v = fake_view("e1");
    assert_int_equal(v.record->status, ENVIRONMENT_READY);
    assert_null(v.phase);
    assert_string_equal(v.record->base, "host");
    assert_string_equal(v.record->packages, "[]");
    assert_string_equal(v.actual_python, "3.11.2");
    assert_int_equal(v.record->bytes, 5000);
    assert_int_equal(v.shared_bytes, 1000);
    assert_true(fake_has_layer(v.record->layer));
    assert_contains(log_of("e1"), "Z hi\n");
    assert_contains(log_of("e1"), "dunlin: ready");
    make_ready("e2", "echo other", 1);
    assert_int_equal(fake.made_host, 1);
}

static void a_script_that_fails_is_told_with_its_last_lines(void **state)
{
    struct environment_view v;
    uint64_t target;

    fake_create("e1", "exit 7");
    target = fake.last.target;
    fake_end_job(0, "E: no package\nsorry\n", 7, NULL);
    v = fake_view("e1");
    assert_int_equal(v.record->status, ENVIRONMENT_FAILED);
    assert_string_equal(v.record->error,
                        "the setup script ended with exit status 7\nE: no package\nsorry");
    assert_false(fake_has_layer(target));
    /* And the name can be used again. */
    make_ready("e1", "true", 1);
    assert_string_equal(fake_view("e1").record->error, "");
}

static void a_layer_that_cannot_be_made_safe_is_no_layer(void **state)
{
    fake.fail_seal = true;
    fake_create("e1", "true");
    fake_end_job(0, NULL, 0, FACTS);
    assert_string_equal(fake_view("e1").record->error, "cannot make it safe");
    assert_int_equal(fake.nlayers, 1);
}

static void nothing_is_built_where_the_disk_is_nearly_full(void **state)
{
    fake.settings.disk_reserve = INT64_MAX / 2;
    fake_restart();
    fake_create("e1", "true");
    assert_contains(fake_view("e1").record->error, "nearly full (DISK_RESERVE)");
    assert_int_equal(fake.njobs, 0);
    assert_int_equal(fake.nlayers, 1);
}

static void equal_input_takes_over_the_layer_and_a_rebuild_does_not(void **state)
{
    uint64_t layer;

    make_ready("e1", "true", 0);
    layer = fake_view("e1").record->layer;
    fake_create("e2", "true");
    assert_int_equal(fake.njobs, 1);
    assert_int_equal(fake_view("e2").record->layer, layer);
    assert_int_equal(fake_view("e2").record->status, ENVIRONMENT_READY);
    assert_string_equal(fake_view("e2").actual_python, "3.11.2");
    assert_contains(log_of("e2"), "reused");
    assert_int_equal(environment_delete(fake.service, "e1", NULL), 0);
    fake_settle();
    assert_true(fake_has_layer(layer));
    assert_int_equal(environment_rebuild(fake.service, "e2", NULL), 0);
    fake_settle();
    assert_int_equal(fake.njobs, 2);
    assert_int_equal(fake_view("e2").record->layer, layer);
    fake_end_job(1, NULL, 0, FACTS);
    assert_true(fake_view("e2").record->layer != layer);
    assert_false(fake_has_layer(layer));
}

static void a_failed_rebuild_leaves_what_was(void **state)
{
    uint64_t layer;
    struct err e = {0};

    make_ready("e1", "true", 0);
    layer = fake_view("e1").record->layer;
    assert_int_equal(environment_rebuild(fake.service, "e1", NULL), 0);
    assert_int_equal(environment_rebuild(fake.service, "e1", &e), -1);
    assert_int_equal(e.code, ERR_EXISTS);
    fake_settle();
    assert_int_equal(fake_view("e1").record->status, ENVIRONMENT_BUILDING);
    fake_end_job(1, "bad day\n", 1, NULL);
    assert_int_equal(fake_view("e1").record->status, ENVIRONMENT_READY);
    assert_int_equal(fake_view("e1").record->layer, layer);
    assert_contains(fake_view("e1").record->error, "the rebuild failed");
    assert_true(fake_has_layer(layer));
}

static void builds_wait_for_their_turn_and_say_so(void **state)
{
    fake_create("e1", "1");
    fake_create("e2", "2");
    fake_create("e3", "3");
    assert_int_equal(fake.njobs, 1);
    assert_false(fake_view("e1").queued);
    assert_true(fake_view("e2").queued);
    assert_string_equal(fake_view("e2").phase, "queued");
    assert_int_equal(fake_view("e2").queue_place, 1);
    assert_int_equal(fake_view("e3").queue_place, 2);
    assert_int_equal(environment_delete(fake.service, "e2", NULL), 0);
    assert_int_equal(fake_view("e3").queue_place, 1);
    fake_end_job(0, NULL, 0, FACTS);
    assert_int_equal(fake.njobs, 2);
    assert_string_equal(fake_view("e3").phase, "setup");
}

static void deleting_ends_the_build_and_removes_its_layer(void **state)
{
    struct err e = {0};
    struct environment_view v;

    fake_create("e1", "sleep 1000");
    assert_int_equal(fake.nlayers, 2);
    assert_int_equal(environment_delete(fake.service, "e1", NULL), 0);
    assert_int_equal(environment_get(fake.service, "e1", &v, &e), -1);
    assert_int_equal(e.code, ERR_NOT_FOUND);
    fake_settle();
    assert_int_equal(fake.open_nests, 0);
    assert_int_equal(fake.nlayers, 1); /* the host's */
    make_ready("e1", "true", 1);
    assert_int_equal(environment_delete(fake.service, "e1", NULL), 0);
    fake_settle();
    assert_int_equal(fake.nlayers, 1);
}

static void a_build_that_a_crash_cut_off_has_failed(void **state)
{
    fake_create("e1", "1");
    fake_create("queued", "2");
    fake.layers[fake.nlayers++] = 77; /* nobody's */
    fake_restart();
    assert_int_equal(fake_view("e1").record->status, ENVIRONMENT_FAILED);
    assert_contains(fake_view("e1").record->error, "interrupted");
    assert_int_equal(fake_view("queued").record->status, ENVIRONMENT_FAILED);
    assert_contains(log_of("e1"), "interrupted");
    assert_int_equal(fake.nlayers, 1);
}

static void a_rebuild_that_a_crash_cut_off_changes_nothing(void **state)
{
    uint64_t layer;

    make_ready("e1", "1", 0);
    layer = fake_view("e1").record->layer;
    assert_int_equal(environment_rebuild(fake.service, "e1", NULL), 0);
    fake_settle();
    fake_restart();
    assert_int_equal(fake_view("e1").record->status, ENVIRONMENT_READY);
    assert_int_equal(fake_view("e1").record->layer, layer);
    assert_true(fake_has_layer(layer));
    assert_int_equal(fake.nlayers, 2);
}

static void what_may_not_be_is_refused(void **state)
{
    struct environment_wanted w = {.name = "e1", .setup_script = "mkfs"};

    refuse_creation(&w, ERR_INVALID, "脚本包含危险命令: mkfs");
    w.setup_script = "true";
    w.network = "bridge";
    refuse_creation(&w, ERR_INVALID, "MAX_NETWORK none");
    w.network = "host";
    refuse_creation(&w, ERR_INVALID, "neither none nor bridge");
    w.network = NULL;
    w.memory_mb = 1 << 20;
    refuse_creation(&w, ERR_INVALID, "ceiling");
    w.memory_mb = 0;
    w.python_version = "three";
    refuse_creation(&w, ERR_INVALID, "python_version");
    w.python_version = NULL;
    w.name = "default";
    refuse_creation(&w, ERR_EXISTS, "default");
    w.name = "e1";
    fake_create("e1", "true");
    refuse_creation(&w, ERR_EXISTS, "e1");
    assert_string_equal(all_names(), "e1 ");
}

static void all_are_told_in_order_with_the_end_of_their_logs(void **state)
{
    struct environment_view v;
    char log[200];

    fake_create("e1", "true");
    fake_create("e2", "false");
    assert_string_equal(all_names(), "e1 e2 ");
    fake_end_job(0, "one\ntwo\n", 0, FACTS);
    v = fake_view("e1");
    log[environment_log_tail(fake.service, &v, log, sizeof log - 1)] = '\0';
    assert_true(strlen(log) > 20 && strncmp(log, "20", 2) == 0);
    assert_int_equal(log[strlen(log) - 1], '\n');
    v = fake_view("default");
    assert_int_equal(environment_log_tail(fake.service, &v, log, sizeof log), 0);
}

static void a_lint_that_only_warns_says_so_in_the_log(void **state)
{
    free(fake.settings.forbidden_scripts);
    fake.settings.forbidden_scripts = strdup("warn");
    fake_restart();
    fake_create("e1", "rm -rf /tmp/x");
    assert_contains(log_of("e1"), "warning: 脚本包含危险命令: rm -rf /");
}

static void without_a_base_the_error_names_every_place(void **state)
{
    struct environment_wanted w = {.name = "e1", .setup_script = "true", .python_version = "3.12"};
    const char *error;

    assert_int_equal(environment_create(fake.service, &w, NULL), 0);
    fake_settle();
    error = fake_view("e1").record->error;
    assert_contains(error, "this host has Python 3.11");
    assert_contains(error, "there is no image python:3.12-slim here");
    assert_contains(error, "pull python:3.12-slim: its registry is not in REGISTRIES");
    assert_contains(error, "dunlin image import FILE NAME");
}

static void a_missing_image_is_made_with_the_tools_and_kept(void **state)
{
    struct environment_wanted w = {
        .name = "e1", .setup_script = "true", .base_image = "debootstrap:trixie"};
    struct environment_view v;

    assert_int_equal(environment_create(fake.service, &w, NULL), 0);
    fake_settle();
    assert_int_equal(fake.njobs, 1);
    assert_int_equal(fake.last.kind, SPAWN_NEST_TOOL);
    assert_int_equal(fake.last.network, SPAWN_NETWORK_HOST);
    assert_string_equal(fake.jobs[0].spec->program[1], "debootstrap");
    assert_string_equal(fake.jobs[0].spec->program[2], "trixie");
    assert_string_equal(fake_view("e1").phase, "base");
    /* It is in the log while the tool goes on. */
    fake_print(0, "unpacking\n");
    assert_contains(log_of("e1"), "Z unpacking\n");
    fake_end_job(0, NULL, 0, "{\"python\":\"3.13.5\"}");
    assert_int_equal(fake.njobs, 2);
    fake_end_job(1, NULL, 0, "{\"python\":\"3.13.5\"}");
    v = fake_view("e1");
    assert_string_equal(v.record->base, "image debootstrap:trixie");
    assert_string_equal(v.actual_python, "3.13.5");
    /* A second one with that Python needs no new base. */
    w.name = "e2";
    w.base_image = NULL;
    w.python_version = "3.13";
    w.setup_script = "false";
    assert_int_equal(environment_create(fake.service, &w, NULL), 0);
    fake_settle();
    assert_int_equal(fake.njobs, 3);
    assert_int_equal(fake.last.kind, SPAWN_NEST_BUILD);
}

static void a_base_that_fails_says_what_the_tool_said_last(void **state)
{
    struct environment_wanted w = {
        .name = "e1", .setup_script = "true", .base_image = "debootstrap:trixie"};

    assert_int_equal(environment_create(fake.service, &w, NULL), 0);
    fake_settle();
    fake_end_job(0, "noise\nthe mirror does not answer\n", 1, NULL);
    assert_contains(fake_view("e1").record->error,
                    "make debootstrap:trixie: the mirror does not answer; bring an image");
    assert_int_equal(fake.nlayers, 1); /* the tools */
}

static void a_base_that_several_want_is_made_once(void **state)
{
    struct environment_wanted w = {.setup_script = "true", .base_image = "debootstrap:trixie"};

    fake.settings.build_concurrency = 3;
    fake_restart();
    w.name = "e1";
    assert_int_equal(environment_create(fake.service, &w, NULL), 0);
    w.name = "e2";
    assert_int_equal(environment_create(fake.service, &w, NULL), 0);
    fake_settle();
    assert_int_equal(fake.njobs, 1);
    /* One of them goes, the other still gets it. */
    assert_int_equal(environment_delete(fake.service, "e1", NULL), 0);
    fake_end_job(0, NULL, 0, "{}");
    assert_int_equal(fake.njobs, 2);
    fake_end_job(1, NULL, 0, "{}");
    assert_int_equal(fake_view("e2").record->status, ENVIRONMENT_READY);
}

static void a_base_that_nobody_wants_any_more_is_given_up(void **state)
{
    struct environment_wanted w = {
        .name = "e1", .setup_script = "true", .base_image = "debootstrap:trixie"};

    assert_int_equal(environment_create(fake.service, &w, NULL), 0);
    fake_settle();
    assert_int_equal(environment_delete(fake.service, "e1", NULL), 0);
    assert_int_equal(environment_create(fake.service, &w, NULL), 0);
    fake_settle();
    /* The second does not get the ruins of the first. */
    assert_int_equal(fake.njobs, 2);
    fake_end_job(1, NULL, 0, "{}");
    fake_end_job(2, NULL, 0, "{}");
    assert_int_equal(fake_view("e1").record->status, ENVIRONMENT_READY);
}

/* -- images -- */

static int imported, failed_imports;

static void on_imported(void *data, const struct err *e)
{
    imported++;
    failed_imports += e != NULL;
}

static int count_image(void *data, const struct image_record *r, uint32_t environments)
{
    *(int *)data += 1 + 10 * (int)environments;
    return 0;
}

static int images(void)
{
    int n = 0;

    assert_int_equal(image_list(fake.service, count_image, &n, NULL), 0);
    return n;
}

static uint32_t collected;

static void on_collected(void *data, uint32_t removed, uint64_t bytes)
{
    collected = removed;
}

static void an_import_is_used_removed_and_collected(void **state)
{
    const struct image_wanted image = {"mine", 3};
    struct environment_wanted w = {.name = "e1", .setup_script = "x", .base_image = "mine"};
    struct err e = {0};

    imported = failed_imports = 0;
    assert_int_equal(image_import(fake.service, &image, on_imported, NULL, NULL), 0);
    assert_int_equal(image_import(fake.service, &image, on_imported, NULL, &e), -1);
    assert_int_equal(e.code, ERR_EXISTS);
    fake_settle();
    assert_int_equal(fake.last.input, 3);
    assert_int_equal(fake.last.network, SPAWN_NETWORK_NONE);
    fake_end_job(0, NULL, 0, "{\"python\":\"3.9.1\"}");
    assert_int_equal(imported, 1);
    assert_int_equal(failed_imports, 0);
    assert_int_equal(images(), 1);
    assert_int_equal(environment_create(fake.service, &w, NULL), 0);
    fake_settle();
    fake_end_job(1, NULL, 0, "{}");
    assert_int_equal(images(), 11);
    assert_int_equal(image_remove(fake.service, "mine", &e), -1);
    assert_int_equal(e.code, ERR_EXISTS);
    assert_contains(e.text, "e1");
    assert_int_equal(environment_delete(fake.service, "e1", NULL), 0);
    assert_int_equal(image_gc(fake.service, on_collected, NULL, NULL), 0);
    fake_settle();
    assert_int_equal(collected, 1);
    assert_int_equal(images(), 0);
    assert_int_equal(fake.nlayers, 1); /* the tools */
    assert_int_equal(image_remove(fake.service, "mine", &e), -1);
    assert_int_equal(e.code, ERR_NOT_FOUND);
}

static void a_bad_archive_leaves_nothing(void **state)
{
    const struct image_wanted image = {"mine", 3};

    imported = failed_imports = 0;
    assert_int_equal(image_import(fake.service, &image, on_imported, NULL, NULL), 0);
    fake_settle();
    fake_end_job(0, "it is no archive\n", 1, NULL);
    assert_int_equal(failed_imports, 1);
    assert_int_equal(images(), 0);
    assert_int_equal(fake.nlayers, 1);
}

/* -- waiting -- */

static int waited, more_calls, ended_calls;

static void on_waited(void *data)
{
    waited++;
}

static void on_more(void *data, bool ended)
{
    more_calls++;
    ended_calls += ended;
}

static void waiters_and_followers_are_told_later_and_once(void **state)
{
    waited = more_calls = ended_calls = 0;
    fake_create("e1", "true");
    assert_non_null(environment_wait(fake.service, "e1", 100000, on_waited, NULL));
    environment_wait_cancel(environment_wait(fake.service, "e1", 100000, on_waited, NULL));
    assert_non_null(environment_log_follow(fake.service, "e1", on_more, NULL));
    environment_log_unfollow(environment_log_follow(fake.service, "e1", on_more, NULL));
    assert_int_equal(waited + more_calls, 0);
    fake_settle();
    assert_int_equal(waited, 0);
    assert_int_equal(more_calls, 1);
    fake_end_job(0, "x\n", 0, FACTS);
    assert_int_equal(waited, 1);
    assert_int_equal(ended_calls, 1);
    /* Without a build there is nothing to wait for. */
    assert_non_null(environment_wait(fake.service, "e1", 100000, on_waited, NULL));
    assert_non_null(environment_wait(fake.service, "nobody", 100000, on_waited, NULL));
    assert_non_null(environment_log_follow(fake.service, "e1", on_more, NULL));
    fake_settle();
    assert_int_equal(waited, 3);
    assert_int_equal(ended_calls, 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_set_up, fake_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_build_makes_the_base_once_and_then_runs_the_script),
        TEST(a_script_that_fails_is_told_with_its_last_lines),
        TEST(a_layer_that_cannot_be_made_safe_is_no_layer),
        TEST(nothing_is_built_where_the_disk_is_nearly_full),
        TEST(equal_input_takes_over_the_layer_and_a_rebuild_does_not),
        TEST(a_failed_rebuild_leaves_what_was),
        TEST(builds_wait_for_their_turn_and_say_so),
        TEST(deleting_ends_the_build_and_removes_its_layer),
        TEST(a_build_that_a_crash_cut_off_has_failed),
        TEST(a_rebuild_that_a_crash_cut_off_changes_nothing),
        TEST(what_may_not_be_is_refused),
        TEST(all_are_told_in_order_with_the_end_of_their_logs),
        TEST(a_lint_that_only_warns_says_so_in_the_log),
        TEST(without_a_base_the_error_names_every_place),
        TEST(a_missing_image_is_made_with_the_tools_and_kept),
        TEST(a_base_that_fails_says_what_the_tool_said_last),
        TEST(a_base_that_several_want_is_made_once),
        TEST(a_base_that_nobody_wants_any_more_is_given_up),
        TEST(an_import_is_used_removed_and_collected),
        TEST(a_bad_archive_leaves_nothing),
        TEST(waiters_and_followers_are_told_later_and_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tests of rules. */
#include "api/rules.h"

#include "base/settings.h"
#include "base/test_support.h"

#define MB (INT64_C(1) << 20)

static struct settings make_settings(void)
{
    return (struct settings){
        .sandbox_timeout = 30,
        .max_timeout = 300,
        .max_code_length = 100000,
        .max_file_size = 10 * MB,
        .max_body_size = 64 * MB,
        .memory_limit = 512 * MB,
        .max_memory = 2048 * MB,
        .cpu_milli = 1000,
        .process_limit = 64,
        .max_processes = 512,
        .workspace_limit = 128 * MB,
        .max_workspace = 1024 * MB,
        .output_limit = 4 * MB,
        .max_output = 64 * MB,
    };
}

static struct request_rules rules_of(const struct settings *s, uint64_t budget_mb)
{
    struct request_rules rules;
    struct err e = {0};
    if (rules_from_settings(&rules, s, budget_mb, &e) < 0)
        fail_msg("%s", e.text);
    return rules;
}

static void test_the_defaults_are_the_contracts(void **state)
{
    struct settings s = make_settings();
    struct request_rules rules = rules_of(&s, 100000);
    assert_int_equal(rules.timeout_default_s, 30);
    assert_int_equal(rules.timeout_model_max_s, 300);
    assert_int_equal(rules.timeout_max_s, 300);
    assert_int_equal(rules.usual.memory_mb, 512);
    assert_int_equal(rules.usual.output_kb, 4096);
    assert_int_equal(rules.max.memory_mb, 2048);
    assert_int_equal(rules.max.output_kb, 65536);
    assert_true(rules.max.cpu_milli >= 1000);
    assert_int_equal(rules.policy, POLICY_OFF);
}

static void test_timeouts_are_bounded_by_the_lower_of_two_settings(void **state)
{
    struct settings s = make_settings();
    s.max_execution_time = 10;
    struct request_rules rules = rules_of(&s, 100000);
    assert_int_equal(rules.timeout_max_s, 10);
    assert_int_equal(rules.timeout_default_s, 10);
    assert_int_equal(rules.timeout_model_max_s, 300);
    s.max_execution_time = 0;
    s.max_timeout = 600;
    rules = rules_of(&s, 100000);
    assert_int_equal(rules.timeout_max_s, 600);
    assert_int_equal(rules.timeout_model_max_s, 600);
}

static void test_a_default_above_its_ceiling_raises_it(void **state)
{
    struct settings s = make_settings();
    s.memory_limit = 4096 * MB;
    s.process_limit = 1000;
    struct request_rules rules = rules_of(&s, 100000);
    assert_int_equal(rules.max.memory_mb, 4096);
    assert_int_equal(rules.max.processes, 1000);
}

static void test_nobody_may_ask_for_more_memory_than_all_share(void **state)
{
    struct settings s = make_settings();
    struct request_rules rules = rules_of(&s, 300);
    assert_int_equal(rules.max.memory_mb, 300);
    assert_int_equal(rules.usual.memory_mb, 300);
}

static void test_sizes_are_rounded_up_to_the_unit(void **state)
{
    struct settings s = make_settings();
    s.memory_limit = 16 * MB + 1;
    s.output_limit = 1025;
    struct request_rules rules = rules_of(&s, 100000);
    assert_int_equal(rules.usual.memory_mb, 17);
    assert_int_equal(rules.usual.output_kb, 2);
}

static void test_an_unknown_security_level_is_an_error(void **state)
{
    struct settings s = make_settings();
    struct request_rules rules;
    struct err e = {0};
    char level[] = "Strict", unknown[] = "high";
    s.security_level = level;
    assert_int_equal(rules_of(&s, 100000).policy, POLICY_STRICT);
    s.security_level = unknown;
    assert_int_equal(rules_from_settings(&rules, &s, 100000, &e), -1);
    assert_contains(e.text, "SECURITY_LEVEL");
}

static void test_a_run_is_completed_within_the_ceilings(void **state)
{
    struct settings s = make_settings();
    struct request_rules rules = rules_of(&s, 100000);
    struct run_spec spec = {.limits = {.memory_mb = 64, .processes = rules.max.processes + 1}};
    rules_complete(&rules, &spec);
    assert_int_equal(spec.timeout_ms, rules.timeout_default_s * 1000);
    assert_int_equal(spec.limits.memory_mb, 64);
    assert_int_equal(spec.limits.processes, rules.max.processes);
    assert_int_equal(spec.limits.cpu_milli, rules.usual.cpu_milli);
    assert_int_equal(spec.limits.workspace_mb, rules.usual.workspace_mb);
    assert_int_equal(spec.limits.output_kb, rules.usual.output_kb);
    spec.timeout_ms = rules.timeout_max_s * 1000 + 1;
    rules_complete(&rules, &spec);
    assert_int_equal(spec.timeout_ms, rules.timeout_max_s * 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_defaults_are_the_contracts),
        cmocka_unit_test(test_timeouts_are_bounded_by_the_lower_of_two_settings),
        cmocka_unit_test(test_a_default_above_its_ceiling_raises_it),
        cmocka_unit_test(test_nobody_may_ask_for_more_memory_than_all_share),
        cmocka_unit_test(test_sizes_are_rounded_up_to_the_unit),
        cmocka_unit_test(test_an_unknown_security_level_is_an_error),
        cmocka_unit_test(test_a_run_is_completed_within_the_ceilings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tests of policy: no number passes unchecked, none is quietly changed. */
#include "spawner/policy.h"

#include "base/limits.h"
#include "base/test_support.h"

static struct spawn_config good_config(void)
{
    return (struct spawn_config){.data = "/d",
                                 .system = "/s",
                                 .runtime = "/r",
                                 .programs = "/p",
                                 .init = "/i",
                                 .work_dir = "/sandbox",
                                 .defaults = {128, 1000, 64, 32},
                                 .ceilings = {1024, 2000, 256, 64},
                                 .slots = 10};
}

static void zero_means_the_default(void **state)
{
    struct spawn_config config = good_config();
    struct spawn_limits limits = {0};

    assert_int_equal(policy_clamp(&config, SPAWN_NEST_RUN, &limits), 0);
    assert_memory_equal(&limits, &config.defaults, sizeof limits);
}

static void the_ceiling_itself_is_allowed(void **state)
{
    struct spawn_config config = good_config();
    struct spawn_limits limits = config.ceilings;

    assert_int_equal(policy_clamp(&config, SPAWN_NEST_RUN, &limits), 0);
    assert_memory_equal(&limits, &config.ceilings, sizeof limits);
}

static void one_beyond_any_ceiling_is_refused(void **state)
{
    struct spawn_config config = good_config();

    for (size_t i = 0; i < sizeof(struct spawn_limits) / sizeof(uint32_t); i++) {
        uint32_t words[sizeof(struct spawn_limits) / sizeof(uint32_t)];
        struct spawn_limits limits;

        memcpy(words, &config.ceilings, sizeof words);
        words[i]++;
        memcpy(&limits, words, sizeof limits);
        assert_int_equal(policy_clamp(&config, SPAWN_NEST_RUN, &limits), -1);
        words[i] = UINT32_MAX;
        memcpy(&limits, words, sizeof limits);
        assert_int_equal(policy_clamp(&config, SPAWN_NEST_RUN, &limits), -1);
    }
}

static void memory_that_init_could_not_live_in_is_refused(void **state)
{
    struct spawn_config config = good_config();
    struct spawn_limits limits = {.memory_mb = 15};

    assert_int_equal(policy_clamp(&config, SPAWN_NEST_RUN, &limits), -1);
    limits = (struct spawn_limits){.memory_mb = 16};
    assert_int_equal(policy_clamp(&config, SPAWN_NEST_RUN, &limits), 0);
}

static void a_good_configuration_is_taken(void **state)
{
    struct spawn_config config = good_config();

    assert_int_equal(policy_check_config(&config), 0);
    strcpy(config.python, "/usr/bin/python3");
    config.slots = LIMIT_SLOTS;
    assert_int_equal(policy_check_config(&config), 0);
}

static void paths_are_absolute_and_end(void **state)
{
    for (size_t i = 0; i < 6; i++) {
        struct spawn_config config = good_config();
        char *paths[] = {config.data,     config.system, config.runtime,
                         config.programs, config.init,   config.work_dir};

        strcpy(paths[i], "relative");
        assert_int_equal(policy_check_config(&config), -1);
        paths[i][0] = '\0';
        assert_int_equal(policy_check_config(&config), -1);
        memset(paths[i], '/', SPAWN_PATH);
        assert_int_equal(policy_check_config(&config), -1);
    }
}

static void texts_end(void **state)
{
    struct spawn_config config = good_config();

    memset(config.python, 'p', sizeof config.python);
    assert_int_equal(policy_check_config(&config), -1);
    config = good_config();
    memset(config.modules, 'm', sizeof config.modules);
    assert_int_equal(policy_check_config(&config), -1);
}

static void the_number_of_slots_is_bounded(void **state)
{
    struct spawn_config config = good_config();

    config.slots = 0;
    assert_int_equal(policy_check_config(&config), -1);
    config.slots = LIMIT_SLOTS + 1;
    assert_int_equal(policy_check_config(&config), -1);
}

static void defaults_are_set_and_within_the_ceilings(void **state)
{
    struct spawn_config config = good_config();

    config.defaults.processes = 0;
    assert_int_equal(policy_check_config(&config), -1);
    config = good_config();
    config.defaults.memory_mb = config.ceilings.memory_mb + 1;
    assert_int_equal(policy_check_config(&config), -1);
    config = good_config();
    config.ceilings = (struct spawn_limits){0};
    assert_int_equal(policy_check_config(&config), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_means_the_default),
        cmocka_unit_test(the_ceiling_itself_is_allowed),
        cmocka_unit_test(one_beyond_any_ceiling_is_refused),
        cmocka_unit_test(memory_that_init_could_not_live_in_is_refused),
        cmocka_unit_test(a_good_configuration_is_taken),
        cmocka_unit_test(paths_are_absolute_and_end),
        cmocka_unit_test(texts_end),
        cmocka_unit_test(the_number_of_slots_is_bounded),
        cmocka_unit_test(defaults_are_set_and_within_the_ceilings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

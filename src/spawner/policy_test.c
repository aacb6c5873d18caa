/* Tests of policy: no number passes unchecked, none is quietly changed. */
#include "spawner/policy.h"

#include "base/limits.h"
#include "base/test_support.h"
#include "wire/workspace.h"

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

static void a_workspace_is_as_large_as_the_operator_says_at_most(void **state)
{
    struct spawn_config config = good_config();

    assert_false(policy_check_workspace(&config, WORKSPACE_BYTES_MIN));
    config.workspace_bytes_max = 1 << 20;
    assert_true(policy_check_workspace(&config, WORKSPACE_BYTES_MIN));
    assert_true(policy_check_workspace(&config, 1 << 20));
    assert_false(policy_check_workspace(&config, (1 << 20) + 1));
    assert_false(policy_check_workspace(&config, WORKSPACE_BYTES_MIN - 1));
    assert_false(policy_check_workspace(&config, 0));
    assert_false(policy_check_workspace(&config, UINT64_MAX));
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

static void a_build_has_limits_of_its_own(void **state)
{
    struct spawn_config config = good_config();
    struct spawn_limits limits = {.memory_mb = 2000};

    config.build_ceilings = (struct spawn_limits){4096, 3000, 512, 2048};
    assert_int_equal(policy_clamp(&config, SPAWN_NEST_RUN, &limits), -1);
    limits = (struct spawn_limits){.memory_mb = 2000};
    assert_int_equal(policy_clamp(&config, SPAWN_NEST_BUILD, &limits), 0);
    assert_int_equal(limits.memory_mb, 2000);
    assert_int_equal(limits.processes, 512);
    limits = (struct spawn_limits){.memory_mb = 4097};
    assert_int_equal(policy_clamp(&config, SPAWN_NEST_TOOL, &limits), -1);
}

static struct spawn_nest good_nest(enum spawn_nest_kind kind)
{
    struct spawn_nest make = {.kind = kind, .nlayers = 2, .layers = {6, 5}};

    if (kind != SPAWN_NEST_RUN) {
        make.target = 7;
        make.target_mb = 64;
    }
    return make;
}

static void good_nests_are_made(void **state)
{
    struct spawn_config config = good_config();

    config.build_ceilings.workspace_mb = 64;
    config.network = SPAWN_NETWORK_HOST;
    for (enum spawn_nest_kind kind = SPAWN_NEST_RUN; kind <= SPAWN_NEST_TOOL; kind++) {
        struct spawn_nest make = good_nest(kind);

        assert_int_equal(policy_check_nest(&config, &make), 0);
        make.network = SPAWN_NETWORK_BRIDGE;
        assert_int_equal(policy_check_nest(&config, &make), 0);
        make.network = SPAWN_NETWORK_HOST;
        assert_int_equal(policy_check_nest(&config, &make), kind == SPAWN_NEST_TOOL ? 0 : -1);
        make = good_nest(kind);
        make.warm = 1;
        assert_int_equal(policy_check_nest(&config, &make), kind == SPAWN_NEST_RUN ? 0 : -1);
        make = good_nest(kind);
        make.input = 3;
        assert_int_equal(policy_check_nest(&config, &make), kind == SPAWN_NEST_TOOL ? 0 : -1);
    }
}

static void nests_that_make_no_sense_are_refused(void **state)
{
    struct spawn_config config = good_config();
    struct spawn_nest bad[14];

    config.build_ceilings.workspace_mb = 64;
    for (size_t i = 0; i < TEST_COUNT(bad); i++)
        bad[i] = good_nest(i < 11 ? SPAWN_NEST_BUILD : SPAWN_NEST_RUN);
    bad[0].kind = SPAWN_NEST_TOOL + 1;
    bad[1].nlayers = 0;
    bad[2].nlayers = SPAWN_LAYERS + 1;
    bad[3].nlayers = UINT32_MAX;
    bad[4].layers[1] = 0;
    bad[5].layers[0] = UINT64_C(1) << 48;
    bad[6].target = 0;
    bad[7].target = bad[7].layers[1];
    bad[8].target_mb = 0;
    bad[9].target_mb = 65;
    bad[10].network = SPAWN_NETWORK_BRIDGE; /* the operator allows none */
    bad[11].warm = 2;
    bad[12].target = 7;
    bad[13].target_mb = 1;
    for (size_t i = 0; i < TEST_COUNT(bad); i++)
        assert_int_equal(policy_check_nest(&config, &bad[i]), -1);
}

static void lists_of_networks_are_bounded_and_end(void **state)
{
    struct spawn_config config = good_config();

    config.ndns = SPAWN_DNS;
    config.nallowed = SPAWN_ALLOWED;
    assert_int_equal(policy_check_config(&config), 0);
    memset(config.dns[SPAWN_DNS - 1], '1', SPAWN_ADDRESS);
    assert_int_equal(policy_check_config(&config), -1);
    config = good_config();
    config.nallowed = SPAWN_ALLOWED;
    memset(config.allowed[0], '1', SPAWN_CIDR);
    assert_int_equal(policy_check_config(&config), -1);
    config = good_config();
    config.ndns = SPAWN_DNS + 1;
    assert_int_equal(policy_check_config(&config), -1);
    config = good_config();
    config.nallowed = SPAWN_ALLOWED + 1;
    assert_int_equal(policy_check_config(&config), -1);
    config = good_config();
    config.network = SPAWN_NETWORK_HOST + 1;
    assert_int_equal(policy_check_config(&config), -1);
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
        cmocka_unit_test(a_workspace_is_as_large_as_the_operator_says_at_most),
        cmocka_unit_test(zero_means_the_default),
        cmocka_unit_test(the_ceiling_itself_is_allowed),
        cmocka_unit_test(one_beyond_any_ceiling_is_refused),
        cmocka_unit_test(memory_that_init_could_not_live_in_is_refused),
        cmocka_unit_test(a_build_has_limits_of_its_own),
        cmocka_unit_test(good_nests_are_made),
        cmocka_unit_test(nests_that_make_no_sense_are_refused),
        cmocka_unit_test(lists_of_networks_are_bounded_and_end),
        cmocka_unit_test(a_good_configuration_is_taken),
        cmocka_unit_test(paths_are_absolute_and_end),
        cmocka_unit_test(texts_end),
        cmocka_unit_test(the_number_of_slots_is_bounded),
        cmocka_unit_test(defaults_are_set_and_within_the_ceilings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tests of network_rules: what the text says.  What the kernel makes of it is
 * tests/test_network.py's matter. */
#include "spawner/network_rules.h"

#include <stdio.h>

#include "base/test_support.h"

static char rules[NETWORK_RULES_BYTES];

static const char *write_rules(const struct spawn_config *config, bool has_ipv6)
{
    struct network_plan plan;

    assert_int_equal(network_plan_init(&plan, config, "dunlin-0123456789abcdef", NULL), 0);
    plan.pool = 0xc6120000;
    plan.has_ipv6 = has_ipv6;
    assert_int_equal(network_rules_write(&plan, rules), 0);
    return rules;
}

static void assert_lacks(const char *text, const char *part)
{
    if (strstr(text, part) != NULL)
        fail_msg("%s is in it", part);
}

static void the_table_replaces_that_of_an_earlier_start(void **state)
{
    struct spawn_config config = {0};

    assert_ptr_equal(strstr(write_rules(&config, false),
                            "add table inet dunlin_0123456789abcdef\n"
                            "delete table inet dunlin_0123456789abcdef\n"
                            "table inet dunlin_0123456789abcdef {\n"),
                     rules);
}

static void addresses_are_sorted_by_family(void **state)
{
    struct spawn_config config = {.ndns = 2,
                                  .dns = {"10.0.0.53", "FD00::53"},
                                  .nallowed = 3,
                                  .allowed = {"10.1.0.0/16", "fd01::/32", "10.2.3.4"}};

    write_rules(&config, true);
    assert_contains(rules, "set dns4 { type ipv4_addr; flags interval; auto-merge; elements = { "
                           "10.0.0.53/32, } }");
    assert_contains(rules, "elements = { fd00::53/128, } }");
    assert_contains(rules, "elements = { 10.1.0.0/16, 10.2.3.4/32, } }");
    assert_contains(rules, "elements = { fd01::/32, } }");
}

static void without_ipv6_nothing_of_it_passes(void **state)
{
    struct spawn_config config = {0};

    assert_contains(write_rules(&config, false), "meta nfproto ipv6 drop");
    assert_lacks(write_rules(&config, true), "meta nfproto ipv6 drop");
}

static void no_limit_means_no_rule(void **state)
{
    struct spawn_config config = {0};

    write_rules(&config, false);
    assert_lacks(rules, "kbytes");
    assert_lacks(rules, "ct count");
    config.rate_kb = 4096;
    config.connections = 12;
    write_rules(&config, false);
    assert_contains(rules, "update @sent { iif limit rate 4096 kbytes/second burst 128 kbytes }");
    assert_contains(rules, "update @received { oif limit rate 4096 kbytes/second");
    assert_contains(rules, "add @connections { iif ct count 12 } accept");
}

static void the_fullest_configuration_has_room(void **state)
{
    struct spawn_config config = {.ndns = SPAWN_DNS,
                                  .nallowed = SPAWN_ALLOWED,
                                  .connections = UINT32_MAX,
                                  .rate_kb = UINT32_MAX,
                                  .ports = {65535, 65534, 65533, 65532}};

    for (int i = 0; i < SPAWN_DNS; i++)
        snprintf(config.dns[i], SPAWN_ADDRESS, "1111:2222:3333:4444:5555:6666:7777:%d", 1000 + i);
    for (int i = 0; i < SPAWN_ALLOWED; i++)
        snprintf(config.allowed[i], SPAWN_CIDR, "1111:2222:3333:4444:5555:6666:7777:%d/128",
                 1000 + i);
    write_rules(&config, true);
}

static void tools_in_the_hosts_network_are_kept_from_the_api(void **state)
{
    struct spawn_config config = {.ports = {8000, 0, 8443}};
    struct network_plan plan;

    assert_int_equal(network_plan_init(&plan, &config, "dunlin-0123456789abcdef", NULL), 0);
    assert_int_equal(network_rules_write_api(&plan, rules), 0);
    assert_contains(rules, "table inet dunlin_0123456789abcdef_api {");
    assert_contains(rules, "meta skuid 1879113728-1883308031 fib daddr type local tcp dport 8000 ");
    assert_contains(rules, "tcp dport 8443 ");
    assert_lacks(rules, "dport 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_replaces_that_of_an_earlier_start),
        cmocka_unit_test(addresses_are_sorted_by_family),
        cmocka_unit_test(without_ipv6_nothing_of_it_passes),
        cmocka_unit_test(no_limit_means_no_rule),
        cmocka_unit_test(the_fullest_configuration_has_room),
        cmocka_unit_test(tools_in_the_hosts_network_are_kept_from_the_api),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

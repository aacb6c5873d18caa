/* Tests of network_plan: what is read, and where sandboxes get their addresses.  The routes are the
 * kernel's own, in a network namespace of the test's. */
#include "spawner/network_plan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/test_support.h"

#define INSTANCE "dunlin-0123456789abcdef"

static struct network_plan plan_of(const struct spawn_config *config)
{
    struct network_plan plan;
    struct err e = {0};

    if (network_plan_init(&plan, config, INSTANCE, &e) < 0)
        fail_msg("%s", e.text);
    return plan;
}

static void everything_follows_from_the_instances_name(void **state)
{
    struct spawn_config config = {.connections = 7, .rate_kb = 9};
    struct network_plan plan = plan_of(&config);
    char text[INET6_ADDRSTRLEN];
    struct link_address a;

    assert_string_equal(plan.table, "dunlin_0123456789abcdef");
    assert_string_equal(plan.links, "dunlin012345");
    assert_int_equal(plan.tag, 0x89abcdef);
    assert_int_equal(plan.connections, 7);
    assert_int_equal(plan.rate_kb, 9);
    a = network_ipv6(&plan, 0x1234);
    inet_ntop(AF_INET6, a.bytes, text, sizeof text);
    assert_string_equal(text, "fd67:89ab:cdef::1234");
}

static void names_that_are_no_instance_are_refused(void **state)
{
    static const char *const names[] = {"",
                                        "dunlin-",
                                        "dunlin-0123456789abcde",
                                        "dunlin-0123456789abcdefa",
                                        "dunlin-0123456789ABCDEF",
                                        "Xunlin-0123456789abcdef",
                                        "dunlin-0123456789abcde;"};
    struct spawn_config config = {0};
    struct network_plan plan;
    struct err e;

    for (size_t i = 0; i < TEST_COUNT(names); i++)
        assert_int_equal(network_plan_init(&plan, &config, names[i], &e), -1);
}

static void only_addresses_pass(void **state)
{
    static const char *const good[] = {"10.0.0.0/8",  "1.2.3.4",        "::1",       "2a00::/16",
                                       "0.0.0.0/0",   "::/0",           "fe80::/10", "1.2.3.4/32",
                                       "2a00::1/128", "::ffff:10.0.0.1"};
    static const char *const bad[] = {"",
                                      "10.0.0.0/",
                                      "10.0.0.0/33",
                                      "10.0.0/8",
                                      "/8",
                                      "10.0.0.0/-1",
                                      "::/129",
                                      "10.0.0.0/8 ",
                                      "host",
                                      "10.0.0.0/8;",
                                      "1.2.3.4\n",
                                      "10.0.0.0/+8",
                                      "fe80::1%eth0",
                                      "10.0.0.0/8/8",
                                      "10.0.0.0/0x8",
                                      "10.0.0.0/99999999999999999999",
                                      "1111111111111111111111111111111111111111111111111111/8"};
    struct network_range range;

    for (size_t i = 0; i < TEST_COUNT(good); i++)
        if (network_range_parse(good[i], &range) < 0)
            fail_msg("%s is good", good[i]);
    for (size_t i = 0; i < TEST_COUNT(bad); i++)
        if (network_range_parse(bad[i], &range) == 0)
            fail_msg("%s is bad", bad[i]);
}

static void assert_refused(const struct spawn_config *config, const char *text)
{
    struct network_plan plan;
    struct err e = {0};

    assert_int_equal(network_plan_init(&plan, config, INSTANCE, &e), -1);
    assert_contains(e.text, text);
}

static void a_configuration_with_other_words_is_refused(void **state)
{
    struct spawn_config dns = {.ndns = 1, .dns = {"10.0.0.1/8"}};
    struct spawn_config allowed = {.nallowed = 1, .allowed = {"everything"}};
    struct spawn_config endless = {.ndns = 1};
    struct spawn_config many = {.nallowed = SPAWN_ALLOWED + 1};

    assert_refused(&dns, "10.0.0.1/8 is not the address of a name server");
    assert_refused(&allowed, "everything is not a network like");
    memset(endless.dns[0], '1', sizeof endless.dns[0]);
    assert_refused(&endless, "is not the address of a name server");
    assert_refused(&many, "more addresses than there is room for");
}

/* -- with routes */

static int host_socket;

static void reserve(const char *range, uint32_t metric)
{
    struct network_range parsed;
    struct link_route route = {.metric = metric};

    assert_int_equal(network_range_parse(range, &parsed), 0);
    route.to = parsed.base;
    route.prefix = parsed.prefix;
    assert_int_equal(link_add_route(host_socket, &route), 0);
}

static void assert_pool(const struct spawn_config *config, const char *base)
{
    struct network_plan plan = plan_of(config);
    char text[INET_ADDRSTRLEN];
    struct link_address a;

    assert_int_equal(network_plan_settle(&plan, host_socket), 0);
    if (base == NULL) {
        assert_false(plan.has_pool);
        return;
    }
    assert_true(plan.has_pool);
    a = network_ipv4(&plan, 0);
    inet_ntop(AF_INET, a.bytes, text, sizeof text);
    assert_string_equal(text, base);
}

/* A network without routes, for this test alone. */
static int enter_network(void **state)
{
    if (unshare(CLONE_NEWNET) < 0)
        return -1;
    host_socket = link_socket();
    return host_socket < 0 ? -1 : 0;
}

static int leave_network(void **state)
{
    return close(host_socket);
}

static void a_range_in_use_is_not_taken(void **state)
{
    struct spawn_config config = {0};

    assert_pool(&config, "198.19.192.0");
    reserve("198.19.200.7", 1);
    assert_pool(&config, "198.18.0.0");
    reserve("198.18.0.0/16", 1);
    assert_pool(&config, "198.19.0.0");
    reserve("198.18.0.0/15", 1);
    assert_pool(&config, "100.64.0.0");
    reserve("100.64.0.0/10", 1);
    assert_pool(&config, "10.88.0.0");
    reserve("10.0.0.0/8", 1);
    assert_pool(&config, NULL);
}

static void what_the_operator_names_is_in_use(void **state)
{
    struct spawn_config config = {.ndns = 2,
                                  .dns = {"198.19.192.53", "fd00::53"},
                                  .nallowed = 2,
                                  .allowed = {"198.18.0.0/17", "0.0.0.0/0"}};

    assert_pool(&config, "198.18.128.0");
}

static void ones_own_reservation_is_free(void **state)
{
    struct spawn_config config = {0};

    reserve("198.19.192.0/18", 0x89abcdef);
    assert_pool(&config, "198.19.192.0");
    reserve("198.19.192.0/18", 0x89abcdee);
    assert_pool(&config, "198.18.0.0");
}

static void a_host_without_a_way_out_gives_no_ipv6(void **state)
{
    struct spawn_config config = {0};
    struct network_plan plan = plan_of(&config);

    assert_int_equal(network_plan_settle(&plan, host_socket), 0);
    assert_false(plan.has_ipv6);
    assert_int_equal(plan.mtu, 1500);
}

static void missing_links_are_told_apart(void **state)
{
    assert_int_equal(link_delete(host_socket, "dunlin012345000"), -1);
    assert_int_equal(errno, ENODEV);
    assert_int_equal(link_delete_group(host_socket, 0x89abcdef), 0);
    assert_int_equal(link_set_up(host_socket, 4711), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_follows_from_the_instances_name),
        cmocka_unit_test(names_that_are_no_instance_are_refused),
        cmocka_unit_test(only_addresses_pass),
        cmocka_unit_test(a_configuration_with_other_words_is_refused),
        cmocka_unit_test_setup_teardown(a_range_in_use_is_not_taken, enter_network, leave_network),
        cmocka_unit_test_setup_teardown(what_the_operator_names_is_in_use, enter_network,
                                        leave_network),
        cmocka_unit_test_setup_teardown(ones_own_reservation_is_free, enter_network, leave_network),
        cmocka_unit_test_setup_teardown(a_host_without_a_way_out_gives_no_ipv6, enter_network,
                                        leave_network),
        cmocka_unit_test_setup_teardown(missing_links_are_told_apart, enter_network, leave_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

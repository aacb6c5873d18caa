/* Tests of settings_networks: each part of a list is right, or refused by its name. */
#include <stdlib.h>

#include "base/settings_test_support.h"

static void assert_good(const char *name, const char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct load l;
        setenv(name, texts[i], 1);
        LOAD(&l, NULL, "--pool-min=1");
        assert_loaded(&l);
        settings_finish(&l.s);
    }
    unsetenv(name);
}

static void assert_bad(const char *name, const char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct load l;
        setenv(name, texts[i], 1);
        LOAD(&l, NULL, "--pool-min=1");
        assert_refused(&l, name);
    }
    unsetenv(name);
}

#define GOOD(name, ...)                                                                            \
    do {                                                                                           \
        static const char *const texts_[] = {__VA_ARGS__};                                         \
        assert_good(name, texts_, TEST_COUNT(texts_));                                             \
    } while (0)
#define BAD(name, ...)                                                                             \
    do {                                                                                           \
        static const char *const texts_[] = {__VA_ARGS__};                                         \
        assert_bad(name, texts_, TEST_COUNT(texts_));                                              \
    } while (0)

static void resolvers_are_addresses_that_a_sandbox_can_reach(void **state)
{
    GOOD("NETWORK_DNS", "", "192.0.2.1", "192.0.2.1,2001:db8::53", "10.0.0.1,10.0.0.2,10.0.0.3");
    BAD("NETWORK_DNS", "one.example", "127.0.0.53", "::1", "0.0.0.0", "::", "192.0.2.1,",
        ",192.0.2.1", "192.0.2.1,,192.0.2.2", "192.0.2.1, 192.0.2.2", "fe80::1%eth0", "1.2.3",
        "10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4", "192.0.2.1\n");
}

static void networks_have_a_length_and_no_bits_behind_it(void **state)
{
    GOOD("NETWORK_ALLOW", "", "10.1.0.0/16", "10.1.2.3/32,fd00:1::/32", "2001:db8::1/128");
    BAD("NETWORK_ALLOW", "10.1.0.0", "10.1.0.0/", "10.1.0.0/33", "10.1.2.0/16", "0.0.0.0/0", "::/0",
        "fd00::1/32", "10.1.0.0/1x", "10.1.0.0/0016", "/8", "10.0.0.0/8;drop");
}

static void registries_are_hosts_with_or_without_a_port(void **state)
{
    GOOD("REGISTRIES", "", "registry.example", "localhost:5000,10.1.2.3:80", "[::1]:5000");
    GOOD("REGISTRY_INSECURE", "127.0.0.1:5000");
    BAD("REGISTRIES", "https://registry.example", "registry.example/path", "-x", ".example", "a:0",
        "a:65536", "a:", "a b", "[::1", "[x]", "a,", "a:5000x");
    GOOD("REGISTRY_MIRROR", "mirror.example", "mirror.example:5000/docker-hub");
    BAD("REGISTRY_MIRROR", "a,b", "mirror.example/a b", "mirror.example/../x", "/path",
        "mirror.example?x");
    GOOD("DEBIAN_MIRROR", "http://mirror.example/debian", "https://mirror.example:8443/debian/");
    BAD("DEBIAN_MIRROR", "mirror.example/debian", "ftp://mirror.example/debian", "http://",
        "http://mirror.example/$(x)", "file:///srv/debian");
}

static void the_default_network_is_within_the_most_permitted(void **state)
{
    struct load l;

    LOAD(&l, NULL, "--network-mode=bridge", "--max-network=none");
    assert_refused(&l, "NETWORK_MODE (bridge) is above MAX_NETWORK (none)");
    LOAD(&l, NULL, "--network-mode=bridge");
    assert_loaded(&l);
    assert_string_equal(l.s.network_mode, "bridge");
    settings_finish(&l.s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SETTINGS_TEST(resolvers_are_addresses_that_a_sandbox_can_reach),
        SETTINGS_TEST(networks_have_a_length_and_no_bits_behind_it),
        SETTINGS_TEST(registries_are_hosts_with_or_without_a_port),
        SETTINGS_TEST(the_default_network_is_within_the_most_permitted),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

/* Tests of launch_config: which resolvers and limits the spawner is told. */
#include "engine/launch_config.h"

#include "base/settings.h"
#include "base/test_support.h"
#include "engine/launch.h"

static void resolvers_that_no_sandbox_reaches_are_left_out(void **state)
{
    static const struct {
        const char *text;
        size_t n;
        const char *first;
    } cases[] = {
        {"", 0, NULL},
        {"nameserver 192.0.2.1\n", 1, "192.0.2.1"},
        {"# nameserver 192.0.2.9\nsearch a.example\nnameserver\t192.0.2.1 # ours", 1, "192.0.2.1"},
        {"nameserver 127.0.0.53\nnameserver ::1\nnameserver fe80::1\nnameserver fe80::1%eth0\n", 0,
         NULL},
        {"nameserver 127.0.0.53\r\nnameserver 2001:db8::53\r\n", 1, "2001:db8::53"},
        {"nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n",
         SPAWN_DNS, "192.0.2.1"},
        {"nameserver\nnameserver x\nnameserver 1.2.3\nnameserver "
         "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb\n",
         0, NULL},
    };

    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        char found[SPAWN_DNS][SPAWN_ADDRESS];

        assert_int_equal(launch_resolvers(cases[i].text, found), cases[i].n);
        if (cases[i].first != NULL)
            assert_string_equal(found[0], cases[i].first);
    }
}

static void load(struct settings *s, int argc, const char *const *argv)
{
    struct err e = {0};
    int rest;

    if (settings_load(s, NULL, argc, (char **)argv, &rest, NULL, &e) < 0)
        fail_msg("%s", e.text);
}

#define LOAD(s, ...)                                                                               \
    do {                                                                                           \
        const char *const words_[] = {"dunlin", __VA_ARGS__};                                      \
        load(s, (int)TEST_COUNT(words_), words_);                                                  \
    } while (0)

static void lists_and_limits_arrive_as_they_were_set(void **state)
{
    static struct spawn_config c;
    struct settings s;

    LOAD(&s, "--network-dns=192.0.2.1,2001:db8::53", "--network-allow=10.1.0.0/16,fd00::/8",
         "--network-rate=1m", "--network-connections=9", "--build-memory=3g", "--build-disk=1g",
         "--build-cpu=0.5", "--build-weight=7", "--zygote-forks=5", "--zygote-minutes=6",
         "--session-max-size=7m", "--port=8123", "--se-port=9123");
    assert_int_equal(launch_config_fill(&s, &c, NULL), 0);
    assert_int_equal(c.ndns, 2);
    assert_string_equal(c.dns[1], "2001:db8::53");
    assert_int_equal(c.nallowed, 2);
    assert_string_equal(c.allowed[0], "10.1.0.0/16");
    assert_string_equal(c.allowed[1], "fd00::/8");
    assert_int_equal(c.rate_kb, 1024);
    assert_int_equal(c.connections, 9);
    assert_int_equal(c.build_ceilings.memory_mb, 3072);
    assert_int_equal(c.build_ceilings.workspace_mb, 1024);
    assert_int_equal(c.build_ceilings.cpu_milli, 500);
    assert_int_equal(c.build_weight, 7);
    assert_int_equal(c.zygote_forks, 5);
    assert_int_equal(c.zygote_minutes, 6);
    assert_int_equal(c.workspace_bytes_max, 7 << 20);
    assert_int_equal(c.ports[0], 8123);
    assert_int_equal(c.ports[1], 9123);
    assert_int_equal(c.slots, launch_slots(&s));
    settings_finish(&s);
}

static void the_highest_network_follows_what_is_permitted(void **state)
{
    static struct spawn_config c;
    struct settings s;

    LOAD(&s, "--max-network=none", "--build-network=none");
    assert_int_equal(launch_config_fill(&s, &c, NULL), 0);
    assert_int_equal(c.network, SPAWN_NETWORK_NONE);
    settings_finish(&s);
    LOAD(&s, "--build-network=none");
    assert_int_equal(launch_config_fill(&s, &c, NULL), 0);
    assert_int_equal(c.network, SPAWN_NETWORK_BRIDGE);
    settings_finish(&s);
    LOAD(&s, "--build-network=none", "--max-network=none", "--registries=localhost:5000");
    assert_int_equal(launch_config_fill(&s, &c, NULL), 0);
    assert_int_equal(c.network, SPAWN_NETWORK_HOST);
    settings_finish(&s);
}

static void sessions_fit_into_the_descriptors_there_are(void **state)
{
    struct settings s;
    uint32_t most = 0;

    LOAD(&s, "--session-live-limit=1000");
    assert_int_equal(launch_live_sessions(&s, 65536), 1000);
    assert_int_equal(launch_live_sessions(&s, 20000), 1000);
    assert_int_equal(launch_live_sessions(&s, 0), 1);
    for (uint64_t files = 0; files < 65536; files += 512) {
        uint32_t fit = launch_live_sessions(&s, files);
        uint32_t runs = launch_slots(&s) - 1000;

        assert_true(fit >= most);
        most = fit;
        if (fit > 1 && fit < 1000) {
            assert_true(SPAWN_OWN_FDS + (fit + runs) * SPAWN_SLOT_FDS <= files);
            assert_true(files / 2 + fit * 6 + runs * 2 <= files);
        }
    }
    settings_finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resolvers_that_no_sandbox_reaches_are_left_out),
        cmocka_unit_test(lists_and_limits_arrive_as_they_were_set),
        cmocka_unit_test(the_highest_network_follows_what_is_permitted),
        cmocka_unit_test(sessions_fit_into_the_descriptors_there_are),
    };
    clearenv();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

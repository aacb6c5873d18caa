/* Tests of hosts. */
#include "server/hosts.h"

#include "base/test_support.h"

static void a_list_is_split_at_commas_and_blanks(void **state)
{
    char *hosts[HOSTS_MAX];
    size_t n;

    assert_int_equal(hosts_split(" ,127.0.0.1, ::1,,localhost ", hosts, &n, NULL), 0);
    assert_int_equal(n, 3);
    assert_string_equal(hosts[0], "127.0.0.1");
    assert_string_equal(hosts[1], "::1");
    assert_string_equal(hosts[2], "localhost");
    hosts_free(hosts, n);
}

static void an_empty_list_is_refused(void **state)
{
    static const char *const texts[] = {"", " ", ",", " , ,"};
    char *hosts[HOSTS_MAX];
    size_t n;

    for (size_t i = 0; i < TEST_COUNT(texts); i++) {
        struct err e = {0};

        assert_int_equal(hosts_split(texts[i], hosts, &n, &e), -1);
        assert_int_equal(e.code, ERR_INVALID);
    }
}

static void the_number_is_bounded(void **state)
{
    char text[4 * (HOSTS_MAX + 1) + 1] = "", *hosts[HOSTS_MAX];
    struct err e = {0};
    size_t n;

    for (int i = 0; i < HOSTS_MAX; i++)
        strcat(text, "::1,");
    assert_int_equal(hosts_split(text, hosts, &n, NULL), 0);
    assert_int_equal(n, HOSTS_MAX);
    hosts_free(hosts, n);
    strcat(text, "::1");
    assert_int_equal(hosts_split(text, hosts, &n, &e), -1);
    assert_contains(e.text, "more than 16");
}

static bool is_loopback(const char *text)
{
    char *hosts[HOSTS_MAX];
    size_t n;
    bool is;

    assert_int_equal(hosts_split(text, hosts, &n, NULL), 0);
    is = hosts_are_loopback(hosts, n);
    hosts_free(hosts, n);
    return is;
}

static void only_addresses_of_this_machine_are_loopback(void **state)
{
    assert_true(is_loopback("127.0.0.1"));
    assert_true(is_loopback("127.255.255.254,::1, localhost"));
    assert_false(is_loopback("0.0.0.0"));
    assert_false(is_loopback("::"));
    assert_false(is_loopback("127.0.0.1,10.0.0.1"));
    assert_false(is_loopback("fe80::1"));
    assert_false(is_loopback("::ffff:10.0.0.1"));
    assert_false(is_loopback("128.0.0.1"));
}

/* Whoever is not sure is asked for a key (R96). */
static void what_cannot_be_read_is_not_loopback(void **state)
{
    assert_false(is_loopback("127.1"));
    assert_false(is_loopback("127.0.0.1.example.org"));
    assert_false(is_loopback("localhost.localdomain"));
    assert_false(is_loopback("LOCALHOST."));
    assert_false(is_loopback("[::1]"));
    assert_false(is_loopback("0177.0.0.1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_split_at_commas_and_blanks),
        cmocka_unit_test(an_empty_list_is_refused),
        cmocka_unit_test(the_number_is_bounded),
        cmocka_unit_test(only_addresses_of_this_machine_are_loopback),
        cmocka_unit_test(what_cannot_be_read_is_not_loopback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

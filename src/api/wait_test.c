/* Tests of wait: the query, and preferences as RFC 7240 writes them. */
#include "api/wait.h"

#include "base/test_support.h"

static void test_without_a_wish_it_is_a_few_seconds(void **state)
{
    static const char *const ignored[] = {
        NULL,      "",          "wait",           "wait=", "wait=x",   "wait=-1",
        "wait=5x", "waiting=5", "return=minimal", ",,;",   "wait=5 6", "respond-asyncx"};
    for (size_t i = 0; i < TEST_COUNT(ignored); i++) {
        struct wait_wish wish;
        assert_int_equal(wait_parse(NULL, ignored[i], &wish), 0);
        assert_int_equal(wish.ms, WAIT_USUAL_MS);
        assert_string_equal(wish.applied, "");
    }
}

static void test_a_preference_is_followed_and_told(void **state)
{
    static const struct {
        const char *prefer;
        uint64_t ms;
        const char *applied;
    } rows[] = {
        {"wait=10", 10000, "wait=10"},
        {"WAIT = 0", 0, "wait=0"},
        {"wait=\"7\"", 7000, "wait=7"},
        {"return=minimal, wait=3;foo=1", 3000, "wait=3"},
        {"respond-async", 0, "respond-async"},
        {"respond-async, wait=2", 2000, "wait=2"},
        {"wait=99999999999999999999999", WAIT_LONG_MS, "wait=86400"},
    };
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        struct wait_wish wish;
        assert_int_equal(wait_parse(NULL, rows[i].prefer, &wish), 0);
        assert_int_equal(wish.ms, rows[i].ms);
        assert_string_equal(wish.applied, rows[i].applied);
    }
}

static void test_the_query_comes_first(void **state)
{
    struct wait_wish wish;
    assert_int_equal(wait_parse("true", "wait=3", &wish), 0);
    assert_int_equal(wish.ms, WAIT_LONG_MS);
    assert_string_equal(wish.applied, "");
    assert_int_equal(wait_parse("False", "wait=3", &wish), 0);
    assert_int_equal(wish.ms, 0);
    assert_int_equal(wait_parse("10", NULL, &wish), -1);
    assert_int_equal(wait_parse("", NULL, &wish), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_wish_it_is_a_few_seconds),
        cmocka_unit_test(test_a_preference_is_followed_and_told),
        cmocka_unit_test(test_the_query_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tests of origin. */
#include "api/origin.h"

#include "base/test_support.h"

static void test_pages_of_this_host_are_our_own(void **state)
{
    assert_true(origin_is_own(NULL, "localhost:8000"));
    assert_true(origin_is_own(NULL, NULL));
    assert_true(origin_is_own("http://localhost:8000", "localhost:8000"));
    assert_true(origin_is_own("https://Dunlin.example", "dunlin.example"));
}

static void test_pages_of_others_are_not(void **state)
{
    assert_false(origin_is_own("http://evil.example", "localhost:8000"));
    assert_false(origin_is_own("http://localhost:8001", "localhost:8000"));
    assert_false(origin_is_own("http://localhost:8000.evil.example", "localhost:8000"));
    assert_false(origin_is_own("null", "localhost:8000"));
    assert_false(origin_is_own("http://", ""));
    assert_false(origin_is_own("http://localhost", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_of_this_host_are_our_own),
        cmocka_unit_test(test_pages_of_others_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

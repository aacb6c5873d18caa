/* Tests of session_path. */
#include "api/session_path.h"

#include "base/test_support.h"

static void test_paths_within_pass(void **state)
{
    static const char *const good[] = {"",    "a",   "a/b", "a/",    ".",
                                       "./a", "..a", "a..", "a/...", "a b"};
    for (size_t i = 0; i < TEST_COUNT(good); i++)
        assert_null(session_path_fault(good[i]));
}

static void test_paths_that_lead_out_do_not(void **state)
{
    static const char *const bad[] = {"/", "/etc", "..", "../x", "a/..", "a/../b", "a/b/.."};
    char longest[5000];
    for (size_t i = 0; i < TEST_COUNT(bad); i++)
        assert_non_null(session_path_fault(bad[i]));
    memset(longest, 'a', sizeof longest);
    longest[256] = '\0';
    assert_non_null(session_path_fault(longest));
    for (size_t i = 0; i < sizeof longest; i += 2)
        longest[i] = 'a', longest[i + 1] = '/';
    longest[4096] = '\0';
    assert_non_null(session_path_fault(longest));
    longest[4095] = '\0';
    assert_null(session_path_fault(longest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_within_pass),
        cmocka_unit_test(test_paths_that_lead_out_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

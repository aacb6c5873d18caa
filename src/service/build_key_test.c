/* Tests of build_key. */
#include "service/build_key.h"

#include "base/test_support.h"

static void equal_input_gives_an_equal_key(void **state)
{
    char one[BUILD_KEY], two[BUILD_KEY];

    assert_int_equal(build_key("base", "script", "none", one, NULL), 0);
    assert_int_equal(build_key("base", "script", "none", two, NULL), 0);
    assert_string_equal(one, two);
    assert_int_equal(strlen(one), 64);
}

static void every_part_counts_and_none_runs_into_the_next(void **state)
{
    static const char *const inputs[][3] = {
        {"base", "script", "none"},   {"base2", "script", "none"}, {"base", "script2", "none"},
        {"base", "script", "bridge"}, {"bases", "cript", "none"},  {"", "basescript", "none"},
    };
    char keys[TEST_COUNT(inputs)][BUILD_KEY];

    for (size_t i = 0; i < TEST_COUNT(inputs); i++) {
        assert_int_equal(build_key(inputs[i][0], inputs[i][1], inputs[i][2], keys[i], NULL), 0);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(keys[i], keys[j]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_input_gives_an_equal_key),
        cmocka_unit_test(every_part_counts_and_none_runs_into_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tests of session_size. */
#include "api/session_size.h"

#include "base/test_support.h"

static void test_every_unit_is_understood(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {
        {"1", 1},
        {"104857600", 104857600},
        {"100M", 100 << 20},
        {"100m", 100 << 20},
        {"2G", 2ull << 30},
        {"2g", 2ull << 30},
        {"64k", 64 << 10},
        {"64K", 64 << 10},
        {"50%", 500},
        {"100%", 1001},
        {"007", 7},
        {"18446744073709551615", UINT64_MAX},
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        uint64_t bytes = 0;
        assert_int_equal(session_size_parse(cases[i].text, strlen(cases[i].text), 1001, &bytes), 0);
        assert_int_equal(bytes, cases[i].bytes);
    }
}

static void test_what_is_no_size_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "M",
        "0",
        "0M",
        "-1",
        "+1",
        "1.5G",
        "1 M",
        " 1M",
        "1M ",
        "1MB",
        "1MiB",
        "1T",
        "0x10",
        "101%",
        "0%",
        "1e3",
        "1M,uid=0",
        "1M,exec",
        "１M",
        "%",
        "50%%",
        "1\n",
        "18446744073709551616",
        "18014398509481984k",
        "99999999999999999999999999",
    };
    for (size_t i = 0; i < TEST_COUNT(wrong); i++) {
        uint64_t bytes;
        assert_int_equal(session_size_parse(wrong[i], strlen(wrong[i]), 1000, &bytes), -1);
    }
    uint64_t bytes;
    assert_int_equal(session_size_parse("1M\0", 3, 1000, &bytes), -1);
    assert_int_equal(session_size_parse("1%", 2, 3, &bytes), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_unit_is_understood),
        cmocka_unit_test(test_what_is_no_size_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tests of clock. */
#include "base/clock.h"

#include <time.h>
#include <unistd.h>

#include "base/test_support.h"

static void the_monotonic_clock_advances(void **state)
{
    uint64_t before = clock_now_us();
    usleep(2000);
    uint64_t passed = clock_now_us() - before;
    assert_true(passed >= 2000);
    assert_true(passed < 5000000);
}

static void the_wall_clock_is_the_time_of_day(void **state)
{
    int64_t seconds = (int64_t)(clock_wall_us() / 1000000);
    assert_true(llabs(seconds - (int64_t)time(NULL)) <= 1);
}

static void utc_is_formatted_with_microseconds(void **state)
{
    static const struct {
        uint64_t us;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000000Z"},
        {UINT64_C(951782400000001), "2000-02-29T00:00:00.000001Z"},
        {UINT64_C(1795188955744442), "2026-11-20T15:35:55.744442Z"},
        {UINT64_C(253402300799999999), "9999-12-31T23:59:59.999999Z"},
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        char out[32];
        clock_format_utc(cases[i].us, out);
        assert_string_equal(out, cases[i].text);
    }
}

static void the_last_representable_time_fits(void **state)
{
    char out[32];
    clock_format_utc(UINT64_MAX, out);
    assert_true(strlen(out) < sizeof out);
    assert_int_equal(out[strlen(out) - 1], 'Z');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_monotonic_clock_advances),
        cmocka_unit_test(the_wall_clock_is_the_time_of_day),
        cmocka_unit_test(utc_is_formatted_with_microseconds),
        cmocka_unit_test(the_last_representable_time_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

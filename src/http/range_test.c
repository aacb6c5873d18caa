/* Tests of range, etag and date: the pure parts of conditional and partial requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/date.h"
#include "http/etag.h"
#include "http/range.h"

static void expect_part(const char *header, uint64_t size, uint64_t first, uint64_t length)
{
    struct range r = {0};

    assert_int_equal(range_parse(header, size, &r), RANGE_PART);
    assert_int_equal(r.first, first);
    assert_int_equal(r.length, length);
}

static void test_single_ranges_are_clipped_to_the_file(void **state)
{
    expect_part("bytes=0-0", 10, 0, 1);
    expect_part("bytes=2-5", 10, 2, 4);
    expect_part("bytes=2-", 10, 2, 8);
    expect_part("BYTES= 2-99999999999999999999999 ", 10, 2, 8);
    expect_part("bytes=-3", 10, 7, 3);
    expect_part("bytes=-300", 10, 0, 10);
    expect_part("bytes=9-", 10, 9, 1);
}

static void test_ranges_outside_the_file_are_unsatisfiable(void **state)
{
    static const char *const headers[] = {"bytes=10-", "bytes=10-12", "bytes=-0",
                                          "bytes=99999999999999999999999-"};
    struct range r;

    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        assert_int_equal(range_parse(headers[i], 10, &r), RANGE_UNSATISFIABLE);
    assert_int_equal(range_parse("bytes=0-", 0, &r), RANGE_UNSATISFIABLE);
    assert_int_equal(range_parse("bytes=-1", 0, &r), RANGE_UNSATISFIABLE);
}

static void test_what_is_no_single_range_is_ignored(void **state)
{
    static const char *const headers[] = {"",          "bytes",      "bytes=",   "bytes=-",
                                          "bytes=a-b", "bytes=5-2",  "bytes=1",  "bytes=0-1,4-5",
                                          "lines=1-2", "bytes=1-2x", "bytes=--1"};
    struct range r;

    assert_int_equal(range_parse(NULL, 10, &r), RANGE_ALL);
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        assert_int_equal(range_parse(headers[i], 10, &r), RANGE_ALL);
}

static void test_if_range_wants_the_strong_tag_or_the_exact_date(void **state)
{
    assert_true(range_is_current(NULL, "\"a\"", 784111777));
    assert_true(range_is_current("\"a\"", "\"a\"", 784111777));
    assert_false(range_is_current("\"b\"", "\"a\"", 784111777));
    assert_false(range_is_current("W/\"a\"", "\"a\"", 784111777));
    assert_false(range_is_current("\"a\"", "W/\"a\"", 784111777));
    assert_true(range_is_current("Sun, 06 Nov 1994 08:49:37 GMT", "\"a\"", 784111777));
    assert_false(range_is_current("Sun, 06 Nov 1994 08:49:38 GMT", "\"a\"", 784111777));
    assert_false(range_is_current("yesterday", "\"a\"", 784111777));
}

static void test_a_list_of_tags_is_searched(void **state)
{
    assert_true(etag_list_has("*", "\"a\"", false));
    assert_true(etag_list_has("\"x\", \"a\"", "\"a\"", false));
    assert_true(etag_list_has("\"x,\"  ,,W/\"a\" ", "\"a\"", true));
    assert_false(etag_list_has("W/\"a\"", "\"a\"", false));
    assert_true(etag_list_has("\"a\"", "W/\"a\"", true));
    assert_false(etag_list_has("", "\"a\"", true));
    assert_false(etag_list_has("a", "\"a\"", true));
    assert_false(etag_list_has("\"a", "\"a\"", true));
    assert_false(etag_list_has("\"x\"\"a\"", "\"a\"", true));
    assert_false(etag_list_has("*a", "\"a\"", true));
}

static void test_dates_are_read_in_all_three_forms(void **state)
{
    static const char *const texts[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
                                        "Sunday, 06-Nov-94 08:49:37 GMT",
                                        "Sun Nov  6 08:49:37 1994"};
    static const char *const wrong[] = {"",
                                        "Sun, 06 Nov 1994 08:49:37",
                                        "Sun, 06 Nov 1994 08:49:37 UTC",
                                        "Sun, 31 Feb 1994 08:49:37 GMT",
                                        "Sun, 06 Nov 1994 25:49:37 GMT",
                                        "Sun, 06 Nix 1994 08:49:37 GMT",
                                        "Sun, 06 Nov 1994 08:49:37 GMT ",
                                        "Sun, -6 Nov 1994 08:49:37 GMT"};
    char text[HTTP_DATE_SIZE];
    time_t when = 0;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(http_date_parse(texts[i], &when), 0);
        assert_int_equal(when, 784111777);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(http_date_parse(wrong[i], &when), -1);
    http_date_format(784111777, text);
    assert_string_equal(text, texts[0]);
    http_date_format(INT64_MAX, text);
    assert_string_equal(text, "Thu, 01 Jan 1970 00:00:00 GMT");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_ranges_are_clipped_to_the_file),
        cmocka_unit_test(test_ranges_outside_the_file_are_unsatisfiable),
        cmocka_unit_test(test_what_is_no_single_range_is_ignored),
        cmocka_unit_test(test_if_range_wants_the_strong_tag_or_the_exact_date),
        cmocka_unit_test(test_a_list_of_tags_is_searched),
        cmocka_unit_test(test_dates_are_read_in_all_three_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

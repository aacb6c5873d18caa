/* Tests of client_text: what is shown of hostile texts, times and sizes. */
#include "cli/client_text.h"

#include <locale.h>
#include <stdio.h>
#include <time.h>

#include "base/test_support.h"
#include "cli/words.h"

static void assert_escaped(const char *s, bool lines, const char *wanted)
{
    _cleanup_buf_ struct buf b = {0};

    assert_int_equal(client_text_escape(&b, s, strlen(s), lines), 0);
    assert_int_equal(buf_append(&b, "", 1), 0);
    assert_string_equal(b.data, wanted);
}

static void ordinary_text_is_shown_as_it_is(void **state)
{
    assert_escaped("pandas 2.1 — 环境 ✅", false, "pandas 2.1 — 环境 ✅");
}

static void nothing_that_a_terminal_obeys_gets_through(void **state)
{
    assert_escaped("\x1b]0;title\x07", false, "\\x1b]0;title\\x07");
    assert_escaped("\x7f\r\b", true, "\\x7f\\x0d\\x08");
    assert_escaped("\xc2\x9b"
                   "31m",
                   true, "\\u009b31m");
    assert_escaped("\xff\xc3(", true, "\\xff\\xc3(");
    assert_escaped("a\u202eb\u2066c\u2028d", true, "a\\u202eb\\u2066c\\u2028d");
    assert_escaped("\U000e0041", true, "\\U000e0041");
}

static void line_feeds_and_tabs_stay_only_in_texts_of_lines(void **state)
{
    assert_escaped("a\n\tb", true, "a\n\tb");
    assert_escaped("a\n\tb", false, "a\\x0a\\x09b");
}

static void a_character_cut_between_two_pieces_is_joined(void **state)
{
    const char text[] = "a环境é✅\xe7\x8e";

    for (size_t cut = 0; cut < sizeof text - 1; cut++) {
        struct client_text_tail tail = {0};
        _cleanup_buf_ struct buf b = {0};

        client_text_escape_piece(&b, &tail, text, cut);
        client_text_escape_piece(&b, &tail, text + cut, sizeof text - 1 - cut);
        assert_int_equal(tail.n, cut == sizeof text - 1 ? 0 : 2);
        client_text_escape_piece(&b, &tail, NULL, 0);
        assert_int_equal(buf_append(&b, "", 1), 0);
        assert_string_equal(b.data, "a环境é✅\\xe7\\x8e");
    }
}

static void bytes_that_are_no_text_are_not_held_back(void **state)
{
    struct client_text_tail tail = {0};
    _cleanup_buf_ struct buf b = {0};

    client_text_escape_piece(&b, &tail, "\x80\x80\x80", 3);
    assert_int_equal(tail.n, 0);
    assert_int_equal(b.len, 12);
}

static void a_wide_character_takes_two_columns(void **state)
{
    size_t columns;

    assert_int_equal(client_text_fit("环境abc", 5, &columns), 7);
    assert_int_equal(columns, 5);
    assert_int_equal(client_text_fit("环境", 3, &columns), 3);
    assert_int_equal(columns, 2);
    assert_int_equal(client_text_fit("", 3, NULL), 0);
}

static void times_are_read_with_any_zone_and_fraction(void **state)
{
    static const char *const same[] = {"2026-11-20T15:37:37Z", "2026-11-20T15:37:37.123638+00:00",
                                       "2026-11-20T15:37:37.1Z", "2026-11-20T23:37:37+08:00",
                                       "2026-11-20T12:07:37-0330"};
    int64_t t;

    for (size_t i = 0; i < TEST_COUNT(same); i++) {
        assert_int_equal(client_time_parse(same[i], &t), 0);
        assert_int_equal(t, 1795189057);
    }
}

static void what_is_no_time_is_refused(void **state)
{
    static const char *const wrong[] = {"",
                                        "now",
                                        "2026-11-20",
                                        "2026-11-20T15:37:37",
                                        "2026-11-20T15:37:37.Z",
                                        "2026-11-20T15:37:37+",
                                        "2026-11-20T15:37:37+25:00",
                                        "2026-11-20T15:37:37Zx",
                                        "2026-13-20T15:37:37Z"};
    int64_t t;

    for (size_t i = 0; i < TEST_COUNT(wrong); i++)
        assert_int_equal(client_time_parse(wrong[i], &t), -1);
}

static void ages_are_told_in_the_largest_unit(void **state)
{
    static const struct {
        int64_t seconds;
        const char *english, *chinese;
    } ages[] = {{-5, "", ""},
                {0, "just now", "刚刚"},
                {59, "just now", "刚刚"},
                {60, "1 minute ago", "1 分钟前"},
                {7200, "2 hours ago", "2 小时前"},
                {86400 * 400, "400 days ago", "400 天前"}};
    char age[CLIENT_AGE_MAX];

    for (size_t i = 0; i < TEST_COUNT(ages); i++) {
        words_choose("en");
        client_time_age(ages[i].seconds, age);
        assert_string_equal(age, ages[i].english);
        words_choose("zh");
        client_time_age(ages[i].seconds, age);
        assert_string_equal(age, ages[i].chinese);
    }
}

static void sizes_have_at_most_three_digits(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } sizes[] = {{0, "0 B"},         {999, "999 B"},        {1000, "1.0 kB"},
                 {9949, "9.9 kB"},   {9950, "10 kB"},       {999499, "999 kB"},
                 {999500, "1.0 MB"}, {123456789, "123 MB"}, {UINT64_MAX, "18 EB"}};
    char text[CLIENT_SIZE_MAX];

    for (size_t i = 0; i < TEST_COUNT(sizes); i++) {
        client_size_format(sizes[i].bytes, text);
        assert_string_equal(text, sizes[i].text);
    }
}

static int set_up(void **state)
{
    setenv("TZ", "UTC", 1);
    return setlocale(LC_CTYPE, "C.UTF-8") != NULL ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_text_is_shown_as_it_is),
        cmocka_unit_test(nothing_that_a_terminal_obeys_gets_through),
        cmocka_unit_test(line_feeds_and_tabs_stay_only_in_texts_of_lines),
        cmocka_unit_test(a_character_cut_between_two_pieces_is_joined),
        cmocka_unit_test(bytes_that_are_no_text_are_not_held_back),
        cmocka_unit_test(a_wide_character_takes_two_columns),
        cmocka_unit_test(times_are_read_with_any_zone_and_fraction),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(ages_are_told_in_the_largest_unit),
        cmocka_unit_test(sizes_have_at_most_three_digits),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}

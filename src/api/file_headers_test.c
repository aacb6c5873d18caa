/* Tests of file_headers. */
#include "api/file_headers.h"

#include "base/test_support.h"

static const struct file_info info = {
    .size = 1000, .inode = 0x2a, .modified_ns = 1795272493000000000};

static void test_validators_change_with_the_file(void **state)
{
    char etag[FILE_ETAG_SIZE], other[FILE_ETAG_SIZE], date[FILE_DATE_SIZE];
    struct file_info later = info;
    later.modified_ns++;
    file_etag(&info, etag);
    file_etag(&later, other);
    assert_string_not_equal(etag, other);
    file_date(&info, date);
    assert_string_equal(date, "Sat, 21 Nov 2026 14:48:13 GMT");
    assert_true(file_is_unchanged(&info, NULL));
    assert_true(file_is_unchanged(&info, etag));
    assert_true(file_is_unchanged(&info, date));
    assert_false(file_is_unchanged(&info, other));
    assert_false(file_is_unchanged(&info, "W/\"1\""));
}

static void test_lists_of_tags_are_searched(void **state)
{
    assert_true(file_etag_is_among("\"a\"", "*"));
    assert_true(file_etag_is_among("\"a\"", "\"a\""));
    assert_true(file_etag_is_among("\"a\"", "\"b\" , W/\"a\""));
    assert_false(file_etag_is_among("\"a\"", "\"b\", \"c\""));
    assert_false(file_etag_is_among("\"a\"", "a"));
    assert_false(file_etag_is_among("\"a\"", "\"a"));
    assert_false(file_etag_is_among("\"a\"", ""));
}

static void assert_range(const char *text, enum range_kind kind, uint64_t first, uint64_t len)
{
    struct byte_range r = byte_range_parse(text, 1000);
    assert_int_equal(r.kind, kind);
    assert_int_equal(r.first, first);
    assert_int_equal(r.len, len);
}

static void test_ranges(void **state)
{
    assert_range(NULL, RANGE_WHOLE, 0, 1000);
    assert_range("bytes=0-99", RANGE_PART, 0, 100);
    assert_range("bytes=990-", RANGE_PART, 990, 10);
    assert_range("bytes=-10", RANGE_PART, 990, 10);
    assert_range("bytes=-5000", RANGE_PART, 0, 1000);
    assert_range("bytes=999-99999999999999999999999999", RANGE_PART, 999, 1);
    assert_range("bytes=1000-", RANGE_OUTSIDE, 0, 0);
    assert_range("bytes=-0", RANGE_OUTSIDE, 0, 0);
    assert_range("bytes=99999999999999999999-", RANGE_OUTSIDE, 0, 0);
    static const char *const ignored[] = {"bytes=5-1", "bytes=",        "bytes=-",    "bytes=a-b",
                                          "items=0-1", "bytes=0-1,5-6", "bytes=-1-2", "0-1"};
    for (size_t i = 0; i < TEST_COUNT(ignored); i++)
        assert_range(ignored[i], RANGE_WHOLE, 0, 1000);
    assert_int_equal(byte_range_parse("bytes=0-", 0).kind, RANGE_OUTSIDE);
}

static void assert_name(const char *name, const char *expected)
{
    struct buf out = {0};
    assert_int_equal(disposition_append(&out, name), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal(out.data, expected);
    buf_finish(&out);
}

static void test_no_name_breaks_the_header(void **state)
{
    assert_name("a b.txt", "attachment; filename=\"a b.txt\"");
    assert_name("a\"\r\nX: y.txt", "attachment; filename=\"a___X_ y.txt\"; "
                                   "filename*=UTF-8''a%22%0D%0AX%3A%20y.txt");
    assert_name("\xE9\xB8\x9F.csv", "attachment; filename=\"___.csv\"; "
                                    "filename*=UTF-8''%E9%B8%9F.csv");
    assert_name("a\\b%", "attachment; filename=\"a_b_\"; filename*=UTF-8''a%5Cb%25");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_validators_change_with_the_file),
        cmocka_unit_test(test_lists_of_tags_are_searched),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_no_name_breaks_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tests of file_headers. */
#include "api/file_headers.h"

#include "base/test_support.h"

static const struct file_info info = {
    .size = 1000, .inode = 0x2a, .modified_ns = 1795272493000000000};

static void test_the_tag_changes_with_the_file(void **state)
{
    char etag[FILE_ETAG_SIZE], other[FILE_ETAG_SIZE];
    struct file_info later = info;
    later.modified_ns++;
    file_etag(&info, etag);
    file_etag(&later, other);
    assert_string_equal(etag, "\"2a-18ea16d2144b8200-3e8\"");
    assert_string_not_equal(etag, other);
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
        cmocka_unit_test(test_the_tag_changes_with_the_file),
        cmocka_unit_test(test_no_name_breaks_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

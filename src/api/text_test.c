/* Tests of text.  Escapes are those of Python's json.dumps(ensure_ascii=False). */
#include "api/text.h"

#include "base/test_support.h"

static void test_blank_is_what_pythons_strip_leaves_nothing_of(void **state)
{
    static const char *const blank[] = {
        "",
        " ",
        "\t\n\v\f\r",
        "\x1C\x1D\x1E\x1F",
        "\xC2\x85\xC2\xA0",
        "\xE1\x9A\x80",
        "\xE2\x80\x80\xE2\x80\x8A\xE2\x80\xA8\xE2\x80\xA9\xE2\x80\xAF\xE2\x81\x9F\xE3\x80\x80",
    };
    static const char *const not_blank[] = {" x ", "\x1B", "\xE2\x80\x8B", "\xEF\xBB\xBF", "\xFF"};
    for (size_t i = 0; i < TEST_COUNT(blank); i++)
        assert_true(text_is_blank(blank[i], strlen(blank[i])));
    for (size_t i = 0; i < TEST_COUNT(not_blank); i++)
        assert_false(text_is_blank(not_blank[i], strlen(not_blank[i])));
    assert_false(text_is_blank("\0", 1));
}

static void assert_json(const char *text, size_t len, const char *expected)
{
    _cleanup_buf_ struct buf b = {0};
    assert_int_equal(text_append_json(&b, text, len), 0);
    assert_int_equal(b.len, strlen(expected));
    assert_memory_equal(b.data, expected, b.len);
}

static void test_strings_become_json(void **state)
{
    assert_json("", 0, "\"\"");
    assert_json(NULL, 0, "\"\""); /* as an empty struct buf has it */
    assert_json("a\"b\\c/", 6, "\"a\\\"b\\\\c/\"");
    assert_json("\b\f\n\r\t\0\x1F\x7F", 8, "\"\\b\\f\\n\\r\\t\\u0000\\u001f\x7F\"");
    assert_json("\xE8\xAF\xAD\xF0\x9F\x98\x80\xE2\x80\xA8", 10,
                "\"\xE8\xAF\xAD\xF0\x9F\x98\x80\xE2\x80\xA8\"");
    assert_json("a\xFF\xE8\xAF", 4, "\"a\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

static void test_pieces_of_any_size_join_to_the_same_text(void **state)
{
    static const char text[] = "plain\n\x01\xE8\xAF\xAD\"\xFF end \xF0\x9F\x98\x80 \xF0\x9F";
    static const char whole[] = "plain\\n\\u0001\xE8\xAF\xAD\\\"\xEF\xBF\xBD end "
                                "\xF0\x9F\x98\x80 \xEF\xBF\xBD";
    for (size_t cap = TEXT_ESCAPED_MAX; cap < 40; cap++) {
        struct text_escaper t = {.at = text, .end = text + sizeof text - 1};
        char out[128];
        size_t len = 0, n;
        while (t.at < t.end) {
            n = text_escape(&t, out + len, cap);
            assert_true(n > 0 && n <= cap);
            len += n;
        }
        assert_int_equal(len, sizeof whole - 1);
        assert_memory_equal(out, whole, len);
        assert_true(t.replaced);
    }
}

static void test_a_null_string_is_null(void **state)
{
    _cleanup_buf_ struct buf b = {0};
    assert_int_equal(text_append_json_str(&b, NULL), 0);
    assert_memory_equal(b.data, "null", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blank_is_what_pythons_strip_leaves_nothing_of),
        cmocka_unit_test(test_strings_become_json),
        cmocka_unit_test(test_pieces_of_any_size_join_to_the_same_text),
        cmocka_unit_test(test_a_null_string_is_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

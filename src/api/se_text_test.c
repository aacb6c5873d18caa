/* Tests of se_text: UTF-8, then GBK with replacements, in pieces (contract B1). */
#include "api/se_text.h"

#include "base/test_support.h"

static struct se_text *decoder;

/* The JSON text of the piece; *ret_used is what was taken. */
static struct buf text_of(const char *bytes, size_t want, size_t len, size_t *ret_used)
{
    struct buf out = {0};
    assert_int_equal(se_text_append(decoder, &out, bytes, want, len, ret_used), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    return out;
}

static void pieces_end_between_characters(void **state)
{
    static const struct {
        const char *bytes;
        size_t want, len, used;
        const char *text;
    } cases[] = {
        {"abc", 3, 3, 3, "\"abc\""},
        {"ab\"c", 2, 4, 2, "\"ab\""},
        {"a\xe4\xb8\xad", 2, 4, 1, "\"a\""}, /* left to the next piece */
        {"\xe4\xb8\xad"
         "b",
         1, 4, 3, "\"\xe4\xb8\xad\""}, /* or taken whole */
        {"\xe4\xb8\xad", 3, 3, 3, "\"\xe4\xb8\xad\""},
        {"\xd6\xd0\xce\xc4", 4, 4, 4, "\"\xe4\xb8\xad\xe6\x96\x87\""}, /* GBK */
        {"a\xd6\xd0\xce\xc4", 4, 5, 3, "\"a\xe4\xb8\xad\""},
        {"\xd6\xd0", 1, 2, 2, "\"\xe4\xb8\xad\""},
        {"a\xd6", 2, 2, 2, "\"a\xef\xbf\xbd\""}, /* the file ends there */
        {"\xd6\xd0\xff\xce\xc4", 5, 5, 5, "\"\xe4\xb8\xad\xef\xbf\xbd\xe6\x96\x87\""},
        {"\x81 ", 2, 2, 2, "\"\xef\xbf\xbd \""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t used;
        struct buf out = text_of(cases[i].bytes, cases[i].want, cases[i].len, &used);
        assert_string_equal(out.data, cases[i].text);
        assert_int_equal(used, cases[i].used);
        buf_finish(&out);
    }
}

static void without_a_decoder_what_is_not_utf_8_is_replaced(void **state)
{
    struct buf out = {0};
    size_t used;
    assert_int_equal(se_text_append(NULL, &out, "a\xd6\xd0", 3, 3, &used), 0);
    assert_int_equal(used, 3);
    assert_int_equal(out.len, 3 + 2 * 3);
    buf_finish(&out);
}

static void long_text_is_decoded_whole(void **state)
{
    struct buf bytes = {0};
    size_t used;
    for (int i = 0; i < 10000; i++)
        buf_append(&bytes, "\xd6\xd0", 2);
    struct buf out = text_of(bytes.data, bytes.len, bytes.len, &used);
    assert_int_equal(used, bytes.len);
    assert_int_equal(strlen(out.data), 2 + 10000 * 3);
    buf_finish(&out);
    buf_finish(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_end_between_characters),
        cmocka_unit_test(without_a_decoder_what_is_not_utf_8_is_replaced),
        cmocka_unit_test(long_text_is_decoded_whole),
    };
    decoder = se_text_create();
    if (!decoder) /* a C library without the table of GBK */
        return 77;
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    se_text_destroy(decoder);
    return result;
}

/* Tests of str.  The expected repairs are what CPython 3.11 gives for decode("utf-8", "replace").
 */
#include "base/str.h"

#include "base/test_support.h"

#define R "\xEF\xBF\xBD"

struct sample {
    const char *in;
    size_t len;
    size_t prefix;
    bool incomplete;
    const char *repaired;
    size_t repaired_len;
    size_t count;
};

#define S(lit) (lit), sizeof(lit) - 1

static const struct sample samples[] = {
    {S(""), 0, false, S(""), 0},
    {S("plain"), 5, false, S("plain"), 5},
    {S("a\0b"), 3, false, S("a\0b"), 3},
    {S("0123456789abcdefghij"), 20, false, S("0123456789abcdefghij"), 20},
    {S("h\xC3\xA9llo"), 6, false, S("h\xC3\xA9llo"), 5},
    {S("\xE8\xB6\x85\xE6\x97\xB6"), 6, false, S("\xE8\xB6\x85\xE6\x97\xB6"), 2},
    {S("\xF0\x9F\x90\xA6"), 4, false, S("\xF0\x9F\x90\xA6"), 1},
    {S("\xF4\x8F\xBF\xBF"), 4, false, S("\xF4\x8F\xBF\xBF"), 1},
    {S("\xEE\x80\x80\xED\x9F\xBF"), 6, false, S("\xEE\x80\x80\xED\x9F\xBF"), 2},
    /* not begun */
    {S("a\x80"), 1, false, S("a" R), 2},
    {S("\xFF\xFE"), 0, false, S(R R), 2},
    {S("\xC0\xAF"), 0, false, S(R R), 2},
    {S("\xC1\xBF"
       "x"),
     0, false, S(R R "x"), 3},
    {S("\xF5\x80\x80\x80"), 0, false, S(R R R R), 4},
    /* overlong, surrogates, beyond the end */
    {S("\xE0\x80\xAF"), 0, false, S(R R R), 3},
    {S("\xED\xA0\x80"), 0, false, S(R R R), 3},
    {S("\xF0\x80\x80\xAF"), 0, false, S(R R R R), 4},
    {S("\xF4\x90\x80\x80"), 0, false, S(R R R R), 4},
    /* cut in the middle: one replacement for each maximal subpart */
    {S("a\xC3"
       "b"),
     1, false, S("a" R "b"), 3},
    {S("\xE2\x82"
       "A"),
     0, false, S(R "A"), 2},
    {S("\xF0\x9F\x90"
       "A"),
     0, false, S(R "A"), 2},
    {S("\xE2\x82\xE2\x82\xAC"), 0, false, S(R "\xE2\x82\xAC"), 2},
    /* cut at the end */
    {S("a\xC3"), 1, true, S("a" R), 2},
    {S("ab\xE2\x82"), 2, true, S("ab" R), 3},
    {S("\xE2"), 0, true, S(R), 1},
    {S("\xF0\x9F\x90"), 0, true, S(R), 1},
    {S("\xF0\x9F"), 0, true, S(R), 1},
    {S("\xED\xA0"), 0, false, S(R R), 2},
    {S("\xE2\x28"), 0, false, S(R "("), 2},
};

static void the_valid_prefix_ends_at_the_first_fault(void **state)
{
    for (size_t i = 0; i < TEST_COUNT(samples); i++) {
        bool incomplete = !samples[i].incomplete;
        assert_int_equal(utf8_valid_prefix(samples[i].in, samples[i].len, &incomplete),
                         samples[i].prefix);
        assert_int_equal(incomplete, samples[i].incomplete);
        assert_int_equal(utf8_valid_prefix(samples[i].in, samples[i].len, NULL), samples[i].prefix);
    }
}

static void appending_repairs_as_python_does(void **state)
{
    for (size_t i = 0; i < TEST_COUNT(samples); i++) {
        _cleanup_buf_ struct buf b = {0};
        assert_int_equal(utf8_append(&b, samples[i].in, samples[i].len), 0);
        assert_int_equal(b.len, samples[i].repaired_len);
        if (b.len > 0)
            assert_memory_equal(b.data, samples[i].repaired, b.len);
    }
}

static void characters_are_counted(void **state)
{
    for (size_t i = 0; i < TEST_COUNT(samples); i++)
        assert_int_equal(utf8_count(samples[i].in, samples[i].len), samples[i].count);
}

/* The fast path looks at eight bytes at a time: a fault must be seen at every offset. */
static void a_fault_is_found_at_every_offset(void **state)
{
    for (size_t at = 0; at < 40; at++) {
        char text[40];
        memset(text, 'x', sizeof text);
        text[at] = '\x80';
        assert_int_equal(utf8_valid_prefix(text, sizeof text, NULL), at);
        assert_int_equal(utf8_count(text, sizeof text), sizeof text);
    }
}

static void a_full_buffer_is_left_as_it_was(void **state)
{
    _cleanup_buf_ struct buf b;
    buf_init(&b, 6);
    assert_int_equal(buf_append_str(&b, "abc"), 0);
    assert_int_equal(utf8_append(&b, "12345", 5), -1);
    assert_int_equal(b.len, 3);
    assert_int_equal(utf8_append(&b, "1\xFF", 2), -1);
    assert_int_equal(b.len, 3);
    assert_int_equal(utf8_append(&b, "\xFF", 1), 0);
    assert_int_equal(b.len, 6);
}

static void every_character_is_decoded_to_its_code(void **state)
{
    static const struct {
        const char *in;
        size_t size;
        int32_t code;
    } cases[] = {
        {"A", 1, 'A'},
        {"\x7F", 1, 0x7F},
        {"\xC2\x80", 2, 0x80},
        {"\xDF\xBF", 2, 0x7FF},
        {"\xE0\xA0\x80", 3, 0x800},
        {"\xE8\xB6\x85", 3, 0x8D85},
        {"\xEF\xBF\xBF", 3, 0xFFFF},
        {"\xF0\x90\x80\x80", 4, 0x10000},
        {"\xF4\x8F\xBF\xBF", 4, 0x10FFFF},
        {"\x80", 1, -1},
        {"\xE2\x82", 2, -1},
        {"\xF4\x90", 1, -1},
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        int32_t code = -2;
        assert_int_equal(utf8_decode(cases[i].in, strlen(cases[i].in), &code), cases[i].size);
        assert_int_equal(code, cases[i].code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_valid_prefix_ends_at_the_first_fault),
        cmocka_unit_test(appending_repairs_as_python_does),
        cmocka_unit_test(characters_are_counted),
        cmocka_unit_test(a_fault_is_found_at_every_offset),
        cmocka_unit_test(a_full_buffer_is_left_as_it_was),
        cmocka_unit_test(every_character_is_decoded_to_its_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tests of build_lines. */
#include "service/build_lines.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/test_support.h"

static struct buf said;

static void note_line(void *data, int stream, const char *line, size_t len)
{
    assert_int_equal(buf_printf(&said, "%d<%.*s>", stream, (int)len, line), 0);
}

/* All at once, then byte by byte: it must come to the same. */
static void assert_lines(const char *bytes, const char *lines)
{
    for (int pass = 0; pass < 2; pass++) {
        struct build_lines l = {.stream = 1, .each = note_line};
        size_t len = strlen(bytes);

        buf_init(&said, 0);
        for (size_t i = 0; pass == 1 && i < len; i++)
            build_lines_feed(&l, bytes + i, 1);
        if (pass == 0)
            build_lines_feed(&l, bytes, len);
        build_lines_end(&l);
        assert_int_equal(buf_append(&said, "", 1), 0);
        assert_string_equal(said.data, lines);
        buf_finish(&said);
    }
}

static void lines_end_as_they_do_anywhere(void **state)
{
    assert_lines("", "");
    assert_lines("a\nb", "1<a>1<b>");
    assert_lines("a\r\nb\r\n", "1<a>1<b>");
    assert_lines("\n\na\n", "1<>1<>1<a>");
    assert_lines("\r\n", "1<>");
}

static void a_progress_bar_is_several_lines(void **state)
{
    assert_lines("\r10%\r20%\r\n", "1<10%>1<20%>");
}

static void nothing_reaches_a_terminal_but_text(void **state)
{
    assert_lines("\x1b[31mred\x1b[0m\x07 \x1b]0;title\x07x\x1b"
                 "cy\tz\x7f\x08\n",
                 "1<red xy\tz>");
    assert_lines("\x1b]0;never ends\nnext\n", "1<>1<next>");
    assert_lines("\xc3\xa9 \xff \xc2\x9b"
                 "1m\n",
                 "1<\xc3\xa9 \xef\xbf\xbd   1m>");
    assert_lines("\xc2\xa0\xc2x\xc2\n", "1<\xc2\xa0\xef\xbf\xbdx\xef\xbf\xbd>");
}

static void long_lines_are_cut_between_characters(void **state)
{
    struct build_lines l = {.stream = 2, .each = note_line};
    char text[2 * BUILD_LINE];

    memset(text, 'a', sizeof text);
    memcpy(text + BUILD_LINE - 1, "\xc3\xa9", 2);
    buf_init(&said, 0);
    build_lines_feed(&l, text, sizeof text);
    build_lines_end(&l);
    assert_int_equal(said.data[2 + BUILD_LINE - 1 + 1], '2');
    assert_null(memchr(said.data, 0xef, said.len)); /* no U+FFFD */
    buf_finish(&said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_end_as_they_do_anywhere),
        cmocka_unit_test(a_progress_bar_is_several_lines),
        cmocka_unit_test(nothing_reaches_a_terminal_but_text),
        cmocka_unit_test(long_lines_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

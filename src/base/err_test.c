/* Tests of err. */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>

#include "base/str.h"
#include "base/test_support.h"

static void set_stores_code_errno_and_text(void **state)
{
    struct err e;
    assert_int_equal(err_set(&e, ERR_LIMIT, 0, "at most %d", 7), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_int_equal(e.errnum, 0);
    assert_string_equal(e.text, "at most 7");
}

static void set_appends_the_meaning_of_errno(void **state)
{
    struct err e;
    err_set(&e, ERR_INTERNAL, ENOENT, "open layer");
    assert_int_equal(e.errnum, ENOENT);
    assert_string_equal(e.text, "open layer: No such file or directory");
}

static void null_is_accepted(void **state)
{
    assert_int_equal(err_set(NULL, ERR_INTERNAL, ENOENT, "x"), -1);
    assert_int_equal(err_prefix(NULL, "x"), -1);
}

static void errno_survives(void **state)
{
    struct err e;
    errno = EXDEV;
    err_set(&e, ERR_INTERNAL, ENOENT, "x");
    err_prefix(&e, "y");
    assert_int_equal(errno, EXDEV);
}

static void prefix_puts_context_in_front_and_keeps_the_cause(void **state)
{
    struct err e;
    err_set(&e, ERR_NOT_FOUND, EACCES, "mount");
    assert_int_equal(err_prefix(&e, "environment %s", "data"), -1);
    assert_string_equal(e.text, "environment data: mount: Permission denied");
    assert_int_equal(e.code, ERR_NOT_FOUND);
    assert_int_equal(e.errnum, EACCES);
}

static void long_texts_are_cut(void **state)
{
    char text[400];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    struct err e;
    err_set(&e, ERR_INTERNAL, ENOENT, "%s", text);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    err_prefix(&e, "%s", text);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    err_set(&e, ERR_INTERNAL, 0, "short");
    err_prefix(&e, "%.*s", (int)sizeof e.text - 4, text);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    assert_string_equal(e.text + sizeof e.text - 4, ": s");
}

static void assert_whole_characters(const struct err *e)
{
    size_t len = strlen(e->text);
    assert_int_equal(utf8_valid_prefix(e->text, len, NULL), len);
}

static void the_cut_leaves_no_half_character(void **state)
{
    static const char *const chars[] = {"é", "超", "😀"};
    for (size_t c = 0; c < TEST_COUNT(chars); c++) {
        for (int shift = 0; shift < 4; shift++) {
            char text[600] = "";
            memset(text, 'a', (size_t)shift);
            while (strlen(text) + 5 < sizeof text)
                strcat(text, chars[c]);
            struct err e;
            err_set(&e, ERR_INTERNAL, 0, "%s", text);
            assert_true(strlen(e.text) > sizeof e.text - 5);
            assert_whole_characters(&e);
            err_prefix(&e, "ab");
            assert_whole_characters(&e);
            err_prefix(&e, "%s", text);
            assert_whole_characters(&e);
        }
    }
}

static void the_old_text_may_be_an_argument(void **state)
{
    struct err e;
    err_set(&e, ERR_INTERNAL, 0, "inner");
    err_set(&e, ERR_INVALID, 0, "outer (%s)", e.text);
    assert_string_equal(e.text, "outer (inner)");
    err_prefix(&e, "%s", e.text);
    assert_string_equal(e.text, "outer (inner): outer (inner)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_stores_code_errno_and_text),
        cmocka_unit_test(set_appends_the_meaning_of_errno),
        cmocka_unit_test(null_is_accepted),
        cmocka_unit_test(errno_survives),
        cmocka_unit_test(prefix_puts_context_in_front_and_keeps_the_cause),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(the_cut_leaves_no_half_character),
        cmocka_unit_test(the_old_text_may_be_an_argument),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tests of file_name. */
#include "api/file_name.h"

#include "base/limits.h"
#include "base/test_support.h"

static void test_good_names_pass(void **state)
{
    static const char *const names[] = {
        "a",     "a.txt",      ".hidden", "..x",
        "a/b/c", "数据 1.txt", "x y",     "CONSOLE",
        "com0",  "COM10",      "a\\b",    "~",
        "-rf",   "$(id)",      "'",       "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16",
    };
    for (size_t i = 0; i < TEST_COUNT(names); i++) {
        const char *fault = file_name_fault(names[i], strlen(names[i]));
        if (fault)
            fail_msg("%s %s", names[i], fault);
    }
}

static void test_unsafe_names_are_refused(void **state)
{
    static const char *const names[] = {
        "",
        ".",
        "..",
        "../x",
        "a/..",
        "a/../b",
        "./a",
        "a/.",
        "/",
        "/a",
        "a/",
        "a//b",
        "..\\x",
        "a<b",
        "a>b",
        "a:b",
        "a\"b",
        "a|b",
        "a?b",
        "a*b",
        "a\x01",
        "a\n",
        "\x7F",
        "CON",
        "prn.txt",
        "a/Aux",
        "NUL/x",
        "com1",
        "LPT9.log",
        "nul.tar",
        "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17",
    };
    for (size_t i = 0; i < TEST_COUNT(names); i++) {
        if (!file_name_fault(names[i], strlen(names[i])))
            fail_msg("%s passes", names[i]);
    }
    assert_non_null(file_name_fault("a\0b", 3));
}

static void test_lengths_are_limited(void **state)
{
    char name[LIMIT_FILE_PATH + 2];
    memset(name, 'x', sizeof name);
    assert_null(file_name_fault(name, LIMIT_FILE_NAME));
    assert_non_null(file_name_fault(name, LIMIT_FILE_NAME + 1));
    for (size_t i = 200; i < sizeof name; i += 201)
        name[i] = '/';
    assert_null(file_name_fault(name, LIMIT_FILE_PATH));
    assert_non_null(file_name_fault(name, LIMIT_FILE_PATH + 1));
}

static void test_a_file_that_is_anothers_folder_is_found(void **state)
{
    const char *other;
    const char *fine[] = {"a", "a.txt", "a-b", "ab/c", "ab/d", "b/a"};
    assert_null(file_names_collide(fine, TEST_COUNT(fine), &other));
    const char *clash[] = {"a/b/c", "a.txt", "a/b", "a-b"};
    assert_string_equal(file_names_collide(clash, TEST_COUNT(clash), &other), "a/b/c");
    assert_string_equal(other, "a/b");
    const char *twice[] = {"x", "y", "x"};
    assert_string_equal(file_names_collide(twice, TEST_COUNT(twice), &other), "x");
    assert_null(file_names_collide(fine, 0, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_names_pass),
        cmocka_unit_test(test_unsafe_names_are_refused),
        cmocka_unit_test(test_lengths_are_limited),
        cmocka_unit_test(test_a_file_that_is_anothers_folder_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

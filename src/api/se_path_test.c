/* Tests of se_path: contract B1, safe_join and the lists of extensions. */
#include "api/se_path.h"

#include "base/test_support.h"

#define STARTS "child path cannot start with '.' or '..'"
#define CLIMBS "child path cannot contain '..'"

static void safe_join_says_what_the_predecessors_said(void **state)
{
    static const struct {
        const char *child, *fault, *path;
    } cases[] = {
        {"a.txt", NULL, "a.txt"},
        {"/a.txt", NULL, "a.txt"},
        {"///etc/passwd", NULL, "etc/passwd"},
        {"./z", NULL, "z"},
        {"a//b/./c/", NULL, "a/b/c"},
        {"", NULL, ""},
        {"/", NULL, ""},
        {".", NULL, ""},
        {"..", STARTS, NULL},
        {"../x", STARTS, NULL},
        {"/../x", STARTS, NULL},
        {"./../x", STARTS, NULL},
        {"a/../b", CLIMBS, NULL},
        {"a/..", CLIMBS, NULL},
        {"a..b", NULL, "a..b"},
        {"...", NULL, "..."},
        {".hidden", NULL, ".hidden"},
        {"目录/文件", NULL, "目录/文件"},
        {"a\\..\\b", NULL, "a\\..\\b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[64];
        const char *fault = se_path_join(cases[i].child, strlen(cases[i].child), path);
        if (cases[i].fault) {
            assert_non_null(fault);
            assert_string_equal(fault, cases[i].fault);
        } else {
            assert_null(fault);
            assert_string_equal(path, cases[i].path);
        }
    }
    char path[8];
    assert_string_equal(se_path_join("a\0b", 3, path), "embedded null byte");
}

static void types_and_extensions_are_those_of_python(void **state)
{
    assert_string_equal(se_path_type("a/b.tar.gz"), "gz");
    assert_string_equal(se_path_type("a.d/b"), "unknown");
    assert_string_equal(se_path_type(".bashrc"), "bashrc");
    assert_string_equal(se_path_type("b."), "");
    assert_true(se_path_is_text("a/B.PY"));
    assert_true(se_path_is_text("x.conf"));
    assert_false(se_path_is_text("x.bin"));
    assert_false(se_path_is_text(".txt"));
    assert_false(se_path_is_text("txt"));
    assert_false(se_path_is_text("x.d/txt"));
    assert_string_equal(se_path_preview("x/y.PNG"), "image/png");
    assert_null(se_path_preview("x.py"));
    assert_null(se_path_preview(".html"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(safe_join_says_what_the_predecessors_said),
        cmocka_unit_test(types_and_extensions_are_those_of_python),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

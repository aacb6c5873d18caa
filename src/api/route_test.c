#include "api/route.h"

#include <string.h>

#include "base/test_support.h"

static bool matches(const char *pattern, bool tree, const char *path, struct route_name *name)
{
    return route_matches(pattern, tree, path, strlen(path), name);
}

static void assert_name(const char *pattern, bool tree, const char *path, const char *expected)
{
    struct route_name name;
    assert_true(matches(pattern, tree, path, &name));
    assert_int_equal(name.len, strlen(expected));
    assert_memory_equal(name.at, expected, name.len);
}

static void text_matches_itself_only(void **state)
{
    struct route_name name;
    assert_true(matches("/a", false, "/a", &name));
    assert_null(name.at);
    assert_false(matches("/a", false, "/a/", &name));
    assert_false(matches("/a", false, "/ab", &name));
    assert_false(matches("/a", false, "/", &name));
    assert_false(matches("/a", false, "", &name));
}

static void a_tree_matches_what_lies_in_it(void **state)
{
    struct route_name name;
    assert_true(matches("/web/", true, "/web/x/y", &name));
    assert_false(matches("/web/", true, "/web/", &name));
    assert_false(matches("/web/", true, "/we", &name));
}

static void a_name_is_one_segment(void **state)
{
    struct route_name name;
    assert_name("/e/{name}", false, "/e/x", "x");
    assert_name("/e/{name}", false, "/e/a b", "a b");
    assert_name("/e/{name}/logs", false, "/e/x/logs", "x");
    assert_name("/e/{name}/logs", false, "/e/logs/logs", "logs");
    assert_false(matches("/e/{name}", false, "/e/", &name));
    assert_false(matches("/e/{name}", false, "/e/x/", &name));
    assert_false(matches("/e/{name}", false, "/e/x/y", &name));
    assert_false(matches("/e/{name}/logs", false, "/e//logs", &name));
    assert_false(matches("/e/{name}/logs", false, "/e/logs", &name));
    assert_false(matches("/e/{name}/logs", false, "/e/x/y/logs", &name));
    assert_false(matches("/e/{name}", false, "/f/x", &name));
    assert_false(matches("/e/{name}", false, "", &name));
}

static void a_name_of_a_tree_holds_slashes(void **state)
{
    struct route_name name;
    assert_name("/i/{name}", true, "/i/h/o/st:1", "h/o/st:1");
    assert_false(matches("/i/{name}", true, "/i/", &name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_matches_itself_only),
        cmocka_unit_test(a_tree_matches_what_lies_in_it),
        cmocka_unit_test(a_name_is_one_segment),
        cmocka_unit_test(a_name_of_a_tree_holds_slashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "api/route.h"

#include <string.h>

#include "base/test_support.h"

static bool matches(const char *pattern, bool tree, const char *path, struct route_name *names)
{
    return route_matches(pattern, tree, path, strlen(path), names);
}

static void assert_name(const char *pattern, bool tree, const char *path, const char *expected)
{
    struct route_name names[ROUTE_NAMES];
    assert_true(matches(pattern, tree, path, names));
    assert_int_equal(names[0].len, strlen(expected));
    assert_memory_equal(names[0].at, expected, names[0].len);
}

static void text_matches_itself_only(void **state)
{
    struct route_name names[ROUTE_NAMES];
    assert_true(matches("/a", false, "/a", names));
    assert_null(names[0].at);
    assert_false(matches("/a", false, "/a/", names));
    assert_false(matches("/a", false, "/ab", names));
    assert_false(matches("/a", false, "/", names));
    assert_false(matches("/a", false, "", names));
}

static void a_tree_matches_what_lies_in_it(void **state)
{
    struct route_name names[ROUTE_NAMES];
    assert_true(matches("/web/", true, "/web/x/y", names));
    assert_false(matches("/web/", true, "/web/", names));
    assert_false(matches("/web/", true, "/we", names));
}

static void a_name_is_one_segment(void **state)
{
    struct route_name names[ROUTE_NAMES];
    assert_name("/e/{name}", false, "/e/x", "x");
    assert_name("/e/{name}", false, "/e/a b", "a b");
    assert_name("/e/{name}/logs", false, "/e/x/logs", "x");
    assert_name("/e/{name}/logs", false, "/e/logs/logs", "logs");
    assert_false(matches("/e/{name}", false, "/e/", names));
    assert_false(matches("/e/{name}", false, "/e/x/", names));
    assert_false(matches("/e/{name}", false, "/e/x/y", names));
    assert_false(matches("/e/{name}/logs", false, "/e//logs", names));
    assert_false(matches("/e/{name}/logs", false, "/e/logs", names));
    assert_false(matches("/e/{name}/logs", false, "/e/x/y/logs", names));
    assert_false(matches("/e/{name}", false, "/f/x", names));
    assert_false(matches("/e/{name}", false, "", names));
}

static void a_name_of_a_tree_holds_slashes(void **state)
{
    struct route_name names[ROUTE_NAMES];
    assert_name("/i/{name}", true, "/i/h/o/st:1", "h/o/st:1");
    assert_false(matches("/i/{name}", true, "/i/", names));
}

static void a_pattern_may_have_two_names(void **state)
{
    static const char one[] = "/s/{id}/p/{process}/signal", rest[] = "/s/{id}/files/{path}";
    struct route_name names[ROUTE_NAMES];
    assert_true(matches(one, false, "/s/a b/p/17/signal", names));
    assert_memory_equal(names[0].at, "a b", names[0].len);
    assert_memory_equal(names[1].at, "17", names[1].len);
    assert_int_equal(names[1].len, 2);
    assert_false(matches(one, false, "/s/a/p//signal", names));
    assert_false(matches(one, false, "/s/a/p/1/2/signal", names));
    assert_true(matches(rest, true, "/s/a/files/x/y/", names));
    assert_int_equal(names[0].len, 1);
    assert_string_equal(names[1].at, "x/y/");
    assert_false(matches(rest, true, "/s/a/files/", names));
    assert_false(matches(rest, true, "/s/a/b/files/x", names));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_matches_itself_only),
        cmocka_unit_test(a_tree_matches_what_lies_in_it),
        cmocka_unit_test(a_name_is_one_segment),
        cmocka_unit_test(a_name_of_a_tree_holds_slashes),
        cmocka_unit_test(a_pattern_may_have_two_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

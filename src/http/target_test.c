/* Tests of target: what is decoded how, and what is refused. */
#include "http/target.h"

#include <string.h>

#include "base/limits.h"
#include "base/test_support.h"

static void path_and_query_are_decoded(void **state)
{
    struct target t;
    assert_int_equal(target_parse(&t, "/a%20b/caf%C3%A9+?x=1%2B2&y=a+b&&z&=e&x=3"), 0);
    assert_string_equal(t.path, "/a b/caf\xc3\xa9+");
    assert_string_equal(target_param(&t, "x"), "1+2");
    assert_string_equal(target_param(&t, "y"), "a b");
    assert_string_equal(target_param(&t, "z"), "");
    assert_string_equal(target_param(&t, ""), "e");
    assert_null(target_param(&t, "absent"));
    assert_int_equal(t.nparams, 5);
    target_finish(&t);
    assert_null(t.storage);
}

static void the_other_forms_have_a_path_too(void **state)
{
    static const char *const cases[][2] = {
        {"http://host:80/a?b=c", "/a"},
        {"HTTPS://host/a/b", "/a/b"},
        {"http://host", "/"},
        {"http://host?b=c", "/"},
        {"*", "*"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct target t;
        assert_int_equal(target_parse(&t, cases[i][0]), 0);
        assert_string_equal(t.path, cases[i][1]);
        target_finish(&t);
    }
}

static void what_cannot_be_decoded_in_one_way_is_refused(void **state)
{
    static const char *const cases[] = {
        "/%",   "/%4",       "/%zz",       "/%00",        "/a?b=%00", "/a?%00=b",
        "/%ff", "/%C3",      "/%ED%A0%80", "/a?b=%c0%af", "/a?b%4",   "host:80",
        "a/b",  "ftp://x/a", "http:///a",  "*a",          "/a%2",     "/%e2%82",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct target t;
        assert_int_equal(target_parse(&t, cases[i]), 400);
        assert_null(t.storage);
        assert_null(t.params);
    }
}

static void a_long_target_is_refused(void **state)
{
    char text[LIMIT_HTTP_TARGET + 2];
    struct target t;
    memset(text, '/', sizeof text);
    text[LIMIT_HTTP_TARGET] = '\0';
    assert_int_equal(target_parse(&t, text), 0);
    target_finish(&t);
    text[LIMIT_HTTP_TARGET] = '/';
    text[LIMIT_HTTP_TARGET + 1] = '\0';
    assert_int_equal(target_parse(&t, text), 414);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_and_query_are_decoded),
        cmocka_unit_test(the_other_forms_have_a_path_too),
        cmocka_unit_test(what_cannot_be_decoded_in_one_way_is_refused),
        cmocka_unit_test(a_long_target_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tests of session_map. */
#include "api/session_map.h"

#include "base/test_support.h"

/* Decodes the member "env" of `text`; `expected` NULL: it is refused. */
static void assert_json(const char *text, const char *expected)
{
    struct json_lift lift = {0};
    struct fields f = {.lift = &lift, .violations.lift = &lift};
    struct buf out = {0};
    char *body = strdup(text);
    assert_int_equal(json_lift_parse(body, strlen(body), 8, &lift), 0);
    assert_int_equal(session_map_json(&f, lift.root, "env", 64, &out), 0);
    assert_int_equal(violations_any(&f.violations), expected == NULL);
    if (expected) {
        assert_int_equal(buf_append(&out, "", 1), 0);
        assert_string_equal(out.data, expected);
    }
    buf_finish(&out);
    violations_finish(&f.violations);
    json_lift_finish(&lift);
    free(body);
}

static void test_maps_become_json_again(void **state)
{
    assert_json("{}", "");
    assert_json("{\"env\":null}", "");
    assert_json("{\"env\":{}}", "{}");
    assert_json("{\"env\":{\"A\":\"1\",\"B\":\"a\\\"long one\"}}",
                "{\"A\":\"1\",\"B\":\"a\\\"long one\"}");
}

static void test_what_is_no_map_is_refused(void **state)
{
    assert_json("{\"env\":[]}", NULL);
    assert_json("{\"env\":{\"A\":1}}", NULL);
    assert_json("{\"env\":{\"\":\"x\"}}", NULL);
    assert_json("{\"env\":{\"A=B\":\"x\"}}", NULL);
    assert_json("{\"env\":{\"A\\n\":\"x\"}}", NULL);
    assert_json("{\"env\":{\"A\":\"x\\u0000\"}}", NULL);
    assert_json("{\"env\":{\"A\":\"0123456789012345678901234567890123456789012345678901234567\"}}",
                NULL);
}

static void test_variables_are_strings_in_a_row(void **state)
{
    struct json_lift lift = {0};
    struct fields f = {.lift = &lift, .violations.lift = &lift};
    struct buf out = {0};
    char body[] = "{\"env\":{\"A\":\"1\",\"B\":\"\"}}";
    size_t n;
    assert_int_equal(json_lift_parse(body, strlen(body), 4096, &lift), 0);
    assert_int_equal(session_map_env(&f, lift.root, "env", 64, &out, &n), 0);
    assert_int_equal(n, 2);
    assert_int_equal(out.len, 7);
    assert_memory_equal(out.data, "A=1\0B=\0", 7);
    buf_finish(&out);
    json_lift_finish(&lift);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maps_become_json_again),
        cmocka_unit_test(test_what_is_no_map_is_refused),
        cmocka_unit_test(test_variables_are_strings_in_a_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

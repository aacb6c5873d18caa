/* Tests of json_lift. */
#include "api/json_lift.h"

#include "base/test_support.h"

/* Parses a copy of `text` on the heap, which *ret_copy then holds. */
static int parse(const char *text, size_t min, struct json_lift *lift, char **ret_copy)
{
    *ret_copy = strdup(text);
    return json_lift_parse(*ret_copy, strlen(text), min, lift);
}

static void assert_member(const struct json_lift *lift, const char *name, const char *expected,
                          bool lifted)
{
    bool was_lifted;
    struct json_slice s = json_lift_string(lift, json_object_get(lift->root, name), &was_lifted);
    assert_int_equal(s.len, strlen(expected));
    assert_memory_equal(s.data, expected, s.len);
    assert_int_equal(was_lifted, lifted);
}

static void test_long_strings_are_lifted_and_short_ones_are_not(void **state)
{
    struct json_lift lift;
    char *text;
    assert_int_equal(
        parse("{\"a\": \"0123456789\", \"b\": \"x\", \"c\": \"abcdefghij\"}", 8, &lift, &text), 0);
    assert_int_equal(lift.nslices, 2);
    assert_member(&lift, "a", "0123456789", true);
    assert_member(&lift, "b", "x", false);
    assert_member(&lift, "c", "abcdefghij", true);
    json_lift_finish(&lift);
    free(text);
}

static void test_lifted_strings_are_unescaped_in_place(void **state)
{
    struct json_lift lift;
    char *text;
    assert_int_equal(
        parse(
            "{\"a\": \"\\\"\\\\\\/\\b\\f\\n\\r\\t|\\u0041\\u00e9\\u8bed\\ud83d\\ude00|h\xC3\xA9\"}",
            0, &lift, &text),
        0);
    assert_member(&lift, "a", "\"\\/\b\f\n\r\t|A\xC3\xA9\xE8\xAF\xAD\xF0\x9F\x98\x80|h\xC3\xA9",
                  true);
    json_lift_finish(&lift);
    free(text);
}

static void test_nul_in_a_value_is_kept(void **state)
{
    struct json_lift lift;
    char *text;
    for (size_t min = 0; min < 100; min += 99) {
        assert_int_equal(parse("[\"a\\u0000b\"]", min, &lift, &text), 0);
        struct json_slice s = json_lift_string(&lift, json_array_get(lift.root, 0), NULL);
        assert_int_equal(s.len, 3);
        assert_memory_equal(s.data, "a\0b", 3);
        json_lift_finish(&lift);
        free(text);
    }
}

static void test_a_string_like_a_stand_in_is_not_taken_for_one(void **state)
{
    struct json_lift lift;
    char *text;
    char forged[] = "{\"a\": \"0123456789\", \"b\": \"00000000000000000000000000000000"
                    "0\"}";
    assert_int_equal(parse(forged, 64, &lift, &text), 0); /* nothing lifted: no nonce at all */
    assert_member(&lift, "b", "000000000000000000000000000000000", false);
    json_lift_finish(&lift);
    free(text);
    assert_int_equal(parse(forged, 10, &lift, &text), 0);
    assert_member(&lift, "b", "000000000000000000000000000000000", true);
    assert_int_equal(strlen(lift.nonce), 32);
    json_lift_finish(&lift);
    free(text);
}

static void test_duplicate_names_are_refused_by_name(void **state)
{
    struct json_lift lift;
    char *text;
    assert_int_equal(parse("{\"code\": \"1\", \"code\": \"2\"}", 100, &lift, &text), -1);
    assert_contains(lift.fault, "duplicate object key");
    assert_contains(lift.fault, "code");
    json_lift_finish(&lift);
    free(text);
    assert_int_equal(parse("{\"f\": {\"a\": \"0123456789\", \"a\": \"\"}}", 4, &lift, &text), -1);
    assert_contains(lift.fault, "duplicate object key");
    json_lift_finish(&lift);
    free(text);
}

static void test_integers_beyond_64_bits_become_reals(void **state)
{
    struct json_lift lift;
    char *text;
    for (size_t min = 0; min < 100; min += 99) {
        assert_int_equal(parse("[18446744073709551616, \"x\"]", min, &lift, &text), 0);
        assert_true(json_is_real(json_array_get(lift.root, 0)));
        json_lift_finish(&lift);
        free(text);
    }
    assert_int_equal(parse("[1e400]", 100, &lift, &text), -1);
    json_lift_finish(&lift);
    free(text);
}

static void test_any_value_may_be_at_the_top(void **state)
{
    static const char *const texts[] = {"null", "5", "\"text\"", "[]", "true"};
    for (size_t i = 0; i < TEST_COUNT(texts); i++) {
        struct json_lift lift;
        char *text;
        assert_int_equal(parse(texts[i], 2, &lift, &text), 0);
        json_lift_finish(&lift);
        free(text);
    }
}

static void test_megabytes_cost_no_second_copy(void **state)
{
    enum { SIZE = 8 << 20 };
    char *text = malloc(SIZE);
    memset(text, 'A', SIZE);
    memcpy(text, "{\"f\": \"", 7);
    memcpy(text + SIZE - 2, "\"}", 2);
    struct json_lift lift;
    assert_int_equal(json_lift_parse(text, SIZE, JSON_LIFT_MIN, &lift), 0);
    struct json_slice s = json_lift_string(&lift, json_object_get(lift.root, "f"), NULL);
    assert_ptr_equal(s.data, text + 7);
    assert_int_equal(s.len, SIZE - 9);
    assert_true(json_string_length(json_object_get(lift.root, "f")) < 64);
    json_lift_finish(&lift);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_long_strings_are_lifted_and_short_ones_are_not),
        cmocka_unit_test(test_lifted_strings_are_unescaped_in_place),
        cmocka_unit_test(test_nul_in_a_value_is_kept),
        cmocka_unit_test(test_a_string_like_a_stand_in_is_not_taken_for_one),
        cmocka_unit_test(test_duplicate_names_are_refused_by_name),
        cmocka_unit_test(test_integers_beyond_64_bits_become_reals),
        cmocka_unit_test(test_any_value_may_be_at_the_top),
        cmocka_unit_test(test_megabytes_cost_no_second_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

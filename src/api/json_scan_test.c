/* Tests of json_scan.  Faults and places are those of CPython 3.11's json.loads() where it finds
 * the text wrong too. */
#include "api/json_scan.h"

#include "base/limits.h"
#include "base/test_support.h"

struct sample {
    const char *text;
    const char *fault; /* NULL: accepted */
    size_t chars;
};

static const struct sample samples[] = {
    {"{}", NULL, 0},
    {" [1, -0, 0.5, 1e5, 1E-5, true, false, null, \"\"] ", NULL, 0},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"", NULL, 0},
    {"\"h\xC3\xA9 \xF0\x9F\x90\xA6\"", NULL, 0},
    {"5", NULL, 0},
    {"", "Expecting value", 0},
    {"   ", "Expecting value", 3},
    {"{\"code\": }", "Expecting value", 9},
    {"{\"code\": ", "Expecting value", 9},
    {"{'code': 1}", "Expecting property name enclosed in double quotes", 1},
    {"{\"a\": 1,}", "Expecting property name enclosed in double quotes", 8},
    {"{", "Expecting property name enclosed in double quotes", 1},
    {"{\"a\" 1}", "Expecting ':' delimiter", 5},
    {"{\"a\": 1 \"b\": 2}", "Expecting ',' delimiter", 8},
    {"[1 2]", "Expecting ',' delimiter", 3},
    {"[1,]", "Expecting value", 3},
    {"[", "Expecting value", 1},
    {"{} x", "Extra data", 3},
    {"01", "Extra data", 1},
    {"1.", "Extra data", 1},
    {"1e", "Extra data", 1},
    {".5", "Expecting value", 0},
    {"-", "Expecting value", 0},
    {"+1", "Expecting value", 0},
    {"NaN", "Expecting value", 0},
    {"[Infinity]", "Expecting value", 1},
    {"nul", "Expecting value", 0},
    {"{\"code\": \"x", "Unterminated string starting at", 9},
    {"\"\\", "Unterminated string starting at", 0},
    {"\"a\nb\"", "Invalid control character at", 2},
    {"\"\\x\"", "Invalid \\escape", 1},
    {"\"\\u12g4\"", "Invalid \\uXXXX escape", 2},
    {"\"\\u12", "Invalid \\uXXXX escape", 2},
    {"\"\xC3\xA9\" x", "Extra data", 4},
    /* what Python accepts and we do not */
    {"\"a\\ud800\"", "Lone surrogate", 2},
    {"\"\\udc00\"", "Lone surrogate", 1},
    {"\"\\ud800\\ud800\"", "Lone surrogate", 1},
    {"\"\\ud800x12345\"", "Lone surrogate", 1},
    {"\"\xC3\xA9\xED\xA0\x80\"", "Invalid UTF-8", 2},
    {"\"\xC0\xAF\"", "Invalid UTF-8", 1},
    {"\"\xFF\"", "Invalid UTF-8", 1},
    {"\xEF\xBB\xBF{}", "Expecting value", 0},
    {"{\"a\\u0000\": 1}", "NUL in a name", 1},
};

static void test_each_sample_is_accepted_or_refused_in_its_place(void **state)
{
    for (size_t i = 0; i < TEST_COUNT(samples); i++) {
        const struct sample *s = &samples[i];
        struct json_scan scan;
        int result = json_scan(s->text, strlen(s->text), 1000, &scan);
        if (result != (s->fault ? -1 : 0))
            fail_msg("%s: %s", s->text, result ? scan.fault : "accepted");
        if (s->fault) {
            assert_string_equal(scan.fault, s->fault);
            if (scan.fault_chars != s->chars)
                fail_msg("%s: at %zu, not %zu", s->text, scan.fault_chars, s->chars);
        }
        json_scan_finish(&scan);
    }
}

static void test_a_nul_byte_in_the_text_is_a_fault(void **state)
{
    struct json_scan scan;
    assert_int_equal(json_scan("[\0]", 3, 1000, &scan), -1);
    assert_string_equal(scan.fault, "Expecting value");
    assert_int_equal(json_scan("\"\0\"", 3, 1000, &scan), -1);
    assert_string_equal(scan.fault, "Invalid control character at");
    assert_int_equal(json_scan("\"\\\0\"", 4, 1000, &scan), -1);
    assert_string_equal(scan.fault, "Invalid \\escape");
    json_scan_finish(&scan);
}

static int scan_nested(unsigned depth, struct json_scan *scan)
{
    char text[2 * (LIMIT_JSON_DEPTH + 1)];
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    return json_scan(text, (size_t)2 * depth, 1000, scan);
}

static void test_the_depth_is_limited(void **state)
{
    struct json_scan scan;
    assert_int_equal(scan_nested(LIMIT_JSON_DEPTH, &scan), 0);
    assert_int_equal(scan_nested(LIMIT_JSON_DEPTH + 1, &scan), -1);
    assert_string_equal(scan.fault, "Nested too deeply");
    assert_int_equal(scan.fault_chars, LIMIT_JSON_DEPTH);
    json_scan_finish(&scan);
}

/* `n` times `unit` between `before` and `after`, on the heap. */
static char *repeat(const char *before, const char *unit, size_t n, const char *after)
{
    char *text = malloc(strlen(before) + n * strlen(unit) + strlen(after) + 1);
    char *end = stpcpy(text, before);
    for (size_t i = 0; i < n; i++)
        end = stpcpy(end, unit);
    stpcpy(end, after);
    return text;
}

static void assert_fault(char *text, const char *fault)
{
    struct json_scan scan;
    int result = json_scan(text, strlen(text), SIZE_MAX, &scan);
    assert_int_equal(result, fault ? -1 : 0);
    if (fault)
        assert_string_equal(scan.fault, fault);
    json_scan_finish(&scan);
    free(text);
}

static void test_what_costs_memory_is_limited(void **state)
{
    assert_fault(repeat("[0", ",0", JSON_VALUES_MAX - 2, "]"), NULL);
    assert_fault(repeat("[0", ",0", JSON_VALUES_MAX - 1, "]"), "Too many values");
    assert_fault(repeat("{\"", "n", JSON_NAME_MAX, "\":0}"), NULL);
    assert_fault(repeat("{\"", "n", JSON_NAME_MAX + 1, "\":0}"), "Name too long");
    assert_fault(repeat("", "9", JSON_NUMBER_MAX, ""), NULL);
    assert_fault(repeat("", "9", JSON_NUMBER_MAX + 1, ""), "Number too long");
}

static void test_long_string_values_are_noted_and_names_are_not(void **state)
{
    static const char text[] = "{\"longname\": \"longtext\", \"s\": [\"short\", \"es\\ncaped!\"]}";
    struct json_scan scan;
    assert_int_equal(json_scan(text, strlen(text), 8, &scan), 0);
    assert_int_equal(scan.nliterals, 2);
    assert_memory_equal(text + scan.literals[0].start, "longtext", 8);
    assert_int_equal(scan.literals[0].end - scan.literals[0].start, 8);
    assert_false(scan.literals[0].escaped);
    assert_true(scan.literals[1].escaped);
    json_scan_finish(&scan);
}

static void test_a_nul_in_a_name_tells_the_member_it_is_in(void **state)
{
    static const char text[] = "{\"code\": {}, \"env\": {\"a\": 1, \"A\\u0000\": 1}}";
    struct json_scan scan;
    assert_int_equal(json_scan(text, strlen(text), 8, &scan), -1);
    assert_true(scan.nul_in_name);
    assert_string_equal(scan.fault_member, "env");
    json_scan_finish(&scan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_sample_is_accepted_or_refused_in_its_place),
        cmocka_unit_test(test_a_nul_byte_in_the_text_is_a_fault),
        cmocka_unit_test(test_the_depth_is_limited),
        cmocka_unit_test(test_what_costs_memory_is_limited),
        cmocka_unit_test(test_long_string_values_are_noted_and_names_are_not),
        cmocka_unit_test(test_a_nul_in_a_name_tells_the_member_it_is_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

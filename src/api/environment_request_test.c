/* Tests of environment_request: each row of the predecessor's model (contract A1), and ours. */
#include "api/environment_request.h"

#include "api/test_support.h"
#include "base/test_support.h"

static struct environment_request decode_with(void (*decode)(struct environment_request *,
                                                             const struct request_rules *, char *,
                                                             size_t),
                                              const char *body)
{
    struct request_rules rules = test_rules();
    struct environment_request q;
    char *copy = strdup(body);
    decode(&q, &rules, copy, strlen(copy));
    free(copy);
    return q;
}

static struct environment_request decode(const char *body)
{
    return decode_with(environment_request_decode, body);
}

static const char *answer_of(struct environment_request *q)
{
    assert_int_equal(buf_append(&q->answer, "", 1), 0);
    return q->answer.data;
}

struct refusal {
    const char *body;
    const char *answer; /* part of it */
};

static void assert_refused(struct environment_request q, const char *answer)
{
    assert_int_equal(q.verdict, ENVIRONMENT_REQUEST_INVALID);
    assert_contains(answer_of(&q), answer);
    environment_request_finish(&q);
}

/* A body that is fine but for one more member. */
#define WITH(member) "{\"name\":\"e\",\"setup_script\":\"true\"," member "}"
#define NAMED(name)  "{\"setup_script\":\"true\",\"name\":" name "}"
#define LOC(name)    "\"loc\":[\"body\",\"" name "\"]"
#define TEN          "xxxxxxxxxx"
#define FIFTY        TEN TEN TEN TEN TEN
#define PATTERN                                                                                    \
    "\"string_pattern_mismatch\",\"loc\":[\"body\",\"name\"],\"msg\":\"String should match "       \
    "pattern '^[a-zA-Z0-9-_]+$'\""

static const struct refusal refusals[] = {
    {"", "\"missing\",\"loc\":[\"body\"]"},
    {"null", "\"missing\",\"loc\":[\"body\"]"},
    {"[]", "model_attributes_type"},
    {"{", "json_invalid"},
    {"{\"setup_script\":\"true\"}",
     "{\"detail\":[{\"type\":\"missing\",\"loc\":[\"body\",\"name\"],\"msg\":\"Field "
     "required\",\"input\":{\"setup_script\":\"true\"},"
     "\"url\":\"https://errors.pydantic.dev/2.6/v/missing\"}]}"},
    {"{\"name\":\"e\"}", "\"missing\"," LOC("setup_script")},
    {NAMED("5"), "\"string_type\"," LOC("name")},
    {NAMED("\"\""), "\"string_too_short\",\"loc\":[\"body\",\"name\"],\"msg\":\"String should have "
                    "at least 1 character\",\"input\":\"\",\"ctx\":{\"min_length\":1}"},
    {NAMED("\"" FIFTY "y\""), "\"String should have at most 50 characters\""},
    {NAMED("\"a b\""), PATTERN},
    {NAMED("\"e\\n\""), PATTERN},
    {NAMED("\"../e\""), PATTERN},
    {NAMED("\"\xC3\xA4\""), PATTERN},
    {WITH("\"description\":null"), "\"string_type\"," LOC("description")},
    {WITH("\"description\":\"" FIFTY FIFTY FIFTY FIFTY "y\""),
     "\"String should have at most 200 characters\""},
    {WITH("\"description\":\"a\\u0000b\""), "Value error, must not contain NUL"},
    {WITH("\"base_image\":5"), "\"string_type\"," LOC("base_image")},
    {WITH("\"python_version\":3.11"), "\"string_type\"," LOC("python_version")},
    {"{\"name\":\"e\",\"setup_script\":\"\"}", "\"string_too_short\"," LOC("setup_script")},
    {WITH("\"warm\":5"), "\"list_type\"," LOC("warm")},
    {WITH("\"warm\":[1]"), "\"string_type\",\"loc\":[\"body\",\"warm\",0]"},
    {WITH("\"warm\":[\"os\",\"a b\"]"),
     "\"string_pattern_mismatch\",\"loc\":[\"body\",\"warm\",1]"},
    {WITH("\"warm\":[\"a,b\"]"), "string_pattern_mismatch"},
    {WITH("\"warm\":\"os, 1a\""), "\"string_pattern_mismatch\"," LOC("warm")},
    {WITH("\"warm\":\"a..b\""), "string_pattern_mismatch"},
    {WITH("\"warm\":\"a.\""), "string_pattern_mismatch"},
    {WITH("\"network\":\"host\""), "\"literal_error\"," LOC("network")},
    {WITH("\"build_network\":\"\""), "\"literal_error\"," LOC("build_network")},
    {WITH("\"limits\":{\"memory_mb\":4096}"), "\"less_than_equal\""},
    {WITH("\"limits\":{\"output_kb\":1}"), "\"extra_forbidden\""},
    {WITH("\"limits\":[]"), "\"model_attributes_type\"," LOC("limits")},
    {WITH("\"timeout\":0"), "\"greater_than_equal\"," LOC("timeout")},
    {WITH("\"timeout\":301"), "\"less_than_equal\"," LOC("timeout")},
};

static void test_what_is_wrong_is_refused_in_the_contracts_words(void **state)
{
    for (size_t i = 0; i < TEST_COUNT(refusals); i++)
        assert_refused(decode(refusals[i].body), refusals[i].answer);
}

static char *script_of(size_t n)
{
    struct buf body = {0};
    buf_append_str(&body, "{\"name\":\"e\",\"setup_script\":\"");
    for (size_t i = 0; i < n; i++)
        buf_append_str(&body, "\xE8\xAF\xAD");
    buf_append_str(&body, "\"}");
    return buf_steal(&body, NULL);
}

static void test_the_length_of_a_script_counts_characters_and_is_inclusive(void **state)
{
    char *fits = script_of(10000), *is_long = script_of(10001);
    struct environment_request q = decode(fits);
    assert_int_equal(q.verdict, ENVIRONMENT_REQUEST_VALID);
    assert_int_equal(strlen(q.wanted.setup_script), 30000);
    environment_request_finish(&q);
    assert_refused(decode(is_long), "\"ctx\":{\"max_length\":10000}");
    free(fits);
    free(is_long);
}

static void test_a_plain_request_says_nothing_of_the_rest(void **state)
{
    struct environment_request q = decode(WITH("\"unknown\":1"));
    const struct environment_wanted *w = &q.wanted;
    assert_int_equal(q.verdict, ENVIRONMENT_REQUEST_VALID);
    assert_string_equal(w->name, "e");
    assert_string_equal(w->setup_script, "true");
    assert_true(!w->description && !w->base_image && !w->python_version && !w->warm);
    assert_true(!w->network && !w->build_network && !w->learn);
    assert_int_equal(w->memory_mb + w->cpu_milli + w->processes + w->workspace_mb + w->timeout_s,
                     0);
    environment_request_finish(&q);
}

static void test_every_member_reaches_the_service(void **state)
{
    struct environment_request q = decode(
        "{\"name\":\"A-b_9\",\"setup_script\":\"s\",\"description\":\"d\",\"base_image\":\"x:1\","
        "\"python_version\":\"3.12\",\"warm\":\" numpy , pandas.core,\",\"network\":\"bridge\","
        "\"build_network\":\"none\",\"limits\":{\"memory_mb\":64,\"cpu\":0.5,\"processes\":8,"
        "\"workspace_mb\":16},\"timeout\":7}");
    const struct environment_wanted *w = &q.wanted;
    assert_int_equal(q.verdict, ENVIRONMENT_REQUEST_VALID);
    assert_string_equal(w->name, "A-b_9");
    assert_string_equal(w->description, "d");
    assert_string_equal(w->base_image, "x:1");
    assert_string_equal(w->python_version, "3.12");
    assert_string_equal(w->warm, "numpy,pandas.core");
    assert_string_equal(w->network, "bridge");
    assert_string_equal(w->build_network, "none");
    assert_int_equal(w->memory_mb, 64);
    assert_int_equal(w->cpu_milli, 500);
    assert_int_equal(w->processes, 8);
    assert_int_equal(w->workspace_mb, 16);
    assert_int_equal(w->timeout_s, 7);
    environment_request_finish(&q);
}

static void test_modules_are_a_list_or_a_text_or_nothing(void **state)
{
    static const struct {
        const char *body, *warm;
    } rows[] = {
        {WITH("\"warm\":[\"a\",\"b.c_1\"]"), "a,b.c_1"},
        {WITH("\"warm\":[]"), ""},
        {WITH("\"warm\":\"\""), ""},
        {WITH("\"warm\":\" , \""), ""},
    };
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        struct environment_request q = decode(rows[i].body);
        assert_int_equal(q.verdict, ENVIRONMENT_REQUEST_VALID);
        assert_string_equal(q.wanted.warm, rows[i].warm);
        environment_request_finish(&q);
    }
    struct environment_request q = decode(WITH("\"warm\":null"));
    assert_null(q.wanted.warm);
    assert_true(q.wanted.learn);
    environment_request_finish(&q);
}

static void test_at_most_64_modules(void **state)
{
    for (int as_list = 0; as_list < 2; as_list++) {
        struct buf body = {0};
        buf_append_str(&body, "{\"name\":\"e\",\"setup_script\":\"true\",\"warm\":");
        buf_append_str(&body, as_list ? "[\"m\"" : "\"m");
        for (int i = 0; i < 64; i++)
            buf_append_str(&body, as_list ? ",\"m\"" : ",m");
        buf_append_str(&body, as_list ? "]}" : "\"}");
        char *text = buf_steal(&body, NULL);
        assert_refused(decode(text), "List should have at most 64 items after validation, not 65");
        free(text);
    }
}

static void test_a_change_needs_nothing_and_refuses_what_is_fixed(void **state)
{
    struct environment_request q = decode_with(environment_patch_decode, "{}");
    assert_int_equal(q.verdict, ENVIRONMENT_REQUEST_VALID);
    environment_request_finish(&q);
    q = decode_with(environment_patch_decode,
                    "{\"description\":\"\",\"warm\":null,\"limits\":{\"memory_mb\":32}}");
    assert_int_equal(q.verdict, ENVIRONMENT_REQUEST_VALID);
    assert_string_equal(q.wanted.description, "");
    assert_true(q.wanted.learn);
    assert_int_equal(q.wanted.memory_mb, 32);
    environment_request_finish(&q);
    static const char *const fixed[] = {"name", "base_image", "setup_script", "python_version"};
    for (size_t i = 0; i < TEST_COUNT(fixed); i++) {
        char body[64];
        snprintf(body, sizeof body, "{\"%s\":\"x\"}", fixed[i]);
        assert_refused(decode_with(environment_patch_decode, body), "cannot be changed");
    }
}

static struct environment_request decode_image(const char *body)
{
    struct environment_request q;
    char *copy = strdup(body);
    image_request_decode(&q, copy, strlen(copy));
    free(copy);
    return q;
}

static void test_an_image_has_a_name_and_a_number(void **state)
{
    struct environment_request q = decode_image("{\"name\":\"h.x:5/a/b:1.0\",\"input\":\"17\"}");
    assert_int_equal(q.verdict, ENVIRONMENT_REQUEST_VALID);
    assert_string_equal(q.image.name, "h.x:5/a/b:1.0");
    assert_int_equal(q.image.input, 17);
    environment_request_finish(&q);
    static const struct refusal wrong[] = {
        {"{}", "\"missing\"," LOC("name")},
        {"{\"name\":\"a\"}", "\"missing\"," LOC("input")},
        {"{\"name\":\"a\",\"input\":0}", "\"greater_than_equal\"," LOC("input")},
        {"{\"name\":\"-a\",\"input\":1}", "\"string_pattern_mismatch\"," LOC("name")},
        {"{\"name\":\"a\\u0000\",\"input\":1}", "\"string_pattern_mismatch\"," LOC("name")},
        {"{\"name\":\"a b\",\"input\":1}", "\"string_pattern_mismatch\"," LOC("name")},
        {"{\"name\":\"\",\"input\":1}", "\"string_pattern_mismatch\"," LOC("name")},
    };
    for (size_t i = 0; i < TEST_COUNT(wrong); i++)
        assert_refused(decode_image(wrong[i].body), wrong[i].answer);
}

static void test_the_services_words_become_the_contracts_entry(void **state)
{
    struct environment_request q = decode("{\"name\":\"e\",\"setup_script\":\"mkfs /\"}");
    environment_request_refuse(&q, "setup_script", "脚本包含危险命令: mkfs");
    assert_refused(q, "{\"detail\":[{\"type\":\"value_error\",\"loc\":[\"body\",\"setup_script\"],"
                      "\"msg\":\"Value error, 脚本包含危险命令: mkfs\",\"input\":\"mkfs /\","
                      "\"ctx\":{\"error\":{}},"
                      "\"url\":\"https://errors.pydantic.dev/2.6/v/value_error\"}]}");
    q = decode(WITH("\"network\":\"bridge\""));
    environment_request_refuse(&q, NULL, "beyond the ceiling");
    assert_refused(q, "\"loc\":[\"body\"],\"msg\":\"Value error, beyond the ceiling\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_wrong_is_refused_in_the_contracts_words),
        cmocka_unit_test(test_the_length_of_a_script_counts_characters_and_is_inclusive),
        cmocka_unit_test(test_a_plain_request_says_nothing_of_the_rest),
        cmocka_unit_test(test_every_member_reaches_the_service),
        cmocka_unit_test(test_modules_are_a_list_or_a_text_or_nothing),
        cmocka_unit_test(test_at_most_64_modules),
        cmocka_unit_test(test_a_change_needs_nothing_and_refuses_what_is_fixed),
        cmocka_unit_test(test_an_image_has_a_name_and_a_number),
        cmocka_unit_test(test_the_services_words_become_the_contracts_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

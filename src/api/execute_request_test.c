/* Tests of execute_request: each row of contract A1, the rulings of section 10, and our own
 * members.  Types and words are those pydantic 2 gives for the same model. */
#include "api/execute_request.h"

#include <stdio.h>

#include "api/policy_request.h"
#include "api/test_support.h"
#include "engine/language.h"

typedef void decode_function(struct execute_request *, const struct request_rules *, char *,
                             size_t);

static struct execute_request decode_by(decode_function *decode, const struct request_rules *rules,
                                        const char *body)
{
    struct execute_request q;
    decode(&q, rules, strdup(body), strlen(body));
    return q;
}

static struct execute_request decode(const char *body)
{
    struct request_rules rules = test_rules();
    return decode_by(execute_request_decode, &rules, body);
}

static const char *answer_of(struct execute_request *q)
{
    assert_int_equal(buf_append(&q->answer, "", 1), 0);
    return q->answer.data;
}

struct refusal {
    const char *body;
    enum request_verdict verdict;
    const char *answer; /* part of it */
};

#define URL(type) "\"url\":\"https://errors.pydantic.dev/2.6/v/" type "\"}"
#define INT       "Input should be a valid integer"
#define NAME      "执行错误: 不安全的文件名: "
#define FILE_A    "执行错误: 处理文件 a 时出错: "

/* A body that is fine but for one more member. */
#define WITH(member) "{\"code\":\"1\"," member "}"

static const struct refusal refusals[] = {
    /* contract A1.1, whole entries */
    {WITH("\"timeout\":500"), REQUEST_INVALID,
     "{\"detail\":[{\"type\":\"less_than_equal\",\"loc\":[\"body\",\"timeout\"],\"msg\":\"Input "
     "should be less than or equal to 300\",\"input\":500,\"ctx\":{\"le\":300}," URL(
         "less_than_equal") "]}"},
    {"{}", REQUEST_INVALID,
     "{\"detail\":[{\"type\":\"missing\",\"loc\":[\"body\",\"code\"],\"msg\":\"Field required\","
     "\"input\":{}," URL("missing") "]}"},
    {"{\"code\": ", REQUEST_INVALID,
     "{\"detail\":[{\"type\":\"json_invalid\",\"loc\":[\"body\",9],\"msg\":\"JSON decode error\","
     "\"input\":{},\"ctx\":{\"error\":\"Expecting value\"}}]}"},
    {"[1]", REQUEST_INVALID,
     "{\"detail\":[{\"type\":\"model_attributes_type\",\"loc\":[\"body\"],\"msg\":\"Input should "
     "be "
     "a valid dictionary or object to extract fields from\",\"input\":[1]," URL(
         "model_attributes_type") "]}"},
    {"", REQUEST_INVALID,
     "\"type\":\"missing\",\"loc\":[\"body\"],\"msg\":\"Field required\",\"input\":null"},
    {"null", REQUEST_INVALID, "\"type\":\"missing\",\"loc\":[\"body\"]"},
    /* lenient integers, and their end */
    {WITH("\"timeout\":5.5"), REQUEST_INVALID,
     "\"int_from_float\",\"loc\":[\"body\",\"timeout\"],\"msg\":\"" INT
     ", got a number with a fractional part\",\"input\":5.5,"},
    {WITH("\"timeout\":null"), REQUEST_INVALID,
     "\"int_type\",\"loc\":[\"body\",\"timeout\"],\"msg\":\"" INT "\",\"input\":null"},
    {WITH("\"timeout\":[]"), REQUEST_INVALID, "\"int_type\""},
    {WITH("\"timeout\":\"abc\""), REQUEST_INVALID,
     "\"int_parsing\",\"loc\":[\"body\",\"timeout\"],\"msg\":\"" INT
     ", unable to parse string as an integer\",\"input\":\"abc\""},
    {WITH("\"timeout\":\"5.5\""), REQUEST_INVALID, "\"int_parsing\""},
    {WITH("\"timeout\":\"\""), REQUEST_INVALID, "\"int_parsing\""},
    {WITH("\"timeout\":\"1__0\""), REQUEST_INVALID, "\"int_parsing\""},
    {WITH("\"timeout\":\"_1\""), REQUEST_INVALID, "\"int_parsing\""},
    {WITH("\"timeout\":\"1_\""), REQUEST_INVALID, "\"int_parsing\""},
    {WITH("\"timeout\":\"5.\""), REQUEST_INVALID, "\"int_parsing\""},
    {WITH("\"timeout\":0"), REQUEST_INVALID,
     "\"greater_than_equal\",\"loc\":[\"body\",\"timeout\"],\"msg\":\"Input should be greater than "
     "or equal to 1\",\"input\":0,\"ctx\":{\"ge\":1}"},
    {WITH("\"timeout\":false"), REQUEST_INVALID, "\"greater_than_equal\""},
    {WITH("\"timeout\":\"-0\""), REQUEST_INVALID, "\"input\":\"-0\""},
    {WITH("\"timeout\":\"99999999999999999999999999\""), REQUEST_INVALID, "\"less_than_equal\""},
    {WITH("\"timeout\":99999999999999999999999999"), REQUEST_INVALID, "\"less_than_equal\""},
    {WITH("\"timeout\":-99999999999999999999999999"), REQUEST_INVALID, "\"greater_than_equal\""},
    /* the other members of the predecessor */
    {"{\"code\":null}", REQUEST_INVALID,
     "\"string_type\",\"loc\":[\"body\",\"code\"],\"msg\":\"Input should be a valid "
     "string\",\"input\":null"},
    {"{\"code\":5}", REQUEST_INVALID, "\"string_type\""},
    {WITH("\"files\":[]"), REQUEST_INVALID,
     "\"dict_type\",\"loc\":[\"body\",\"files\"],\"msg\":\"Input should be a valid "
     "dictionary\",\"input\":[]"},
    {WITH("\"files\":{\"a\":1}"), REQUEST_INVALID,
     "\"string_type\",\"loc\":[\"body\",\"files\",\"a\"]"},
    {WITH("\"environment\":3"), REQUEST_INVALID,
     "\"string_type\",\"loc\":[\"body\",\"environment\"]"},
    /* ours */
    {WITH("\"language\":\"cobol\""), REQUEST_INVALID,
     "\"literal_error\",\"loc\":[\"body\",\"language\"],\"msg\":\"Input should be 'python' or "
     "'shell'\",\"input\":\"cobol\",\"ctx\":{\"expected\":\"'python' or 'shell'\"}"},
    {WITH("\"language\":\"absent\""), REQUEST_INVALID, "\"literal_error\""},
    {WITH("\"language\":\"python\\u0000\""), REQUEST_INVALID, "\"literal_error\""},
    {WITH("\"language\":5"), REQUEST_INVALID, "\"literal_error\""},
    {WITH("\"stdin\":5"), REQUEST_INVALID, "[\"body\",\"stdin\"]"},
    {WITH("\"args\":\"x\""), REQUEST_INVALID, "\"list_type\",\"loc\":[\"body\",\"args\"]"},
    {WITH("\"args\":[\"x\",1]"), REQUEST_INVALID, "\"string_type\",\"loc\":[\"body\",\"args\",1]"},
    {WITH("\"args\":[\"a\\u0000\"]"), REQUEST_INVALID,
     "\"value_error\",\"loc\":[\"body\",\"args\",0],\"msg\":\"Value error, must not contain NUL\","
     "\"input\":\"a\\u0000\",\"ctx\":{\"error\":{}}"},
    {WITH("\"env\":[]"), REQUEST_INVALID, "\"dict_type\",\"loc\":[\"body\",\"env\"]"},
    {WITH("\"env\":{\"A\":1}"), REQUEST_INVALID,
     "\"string_type\",\"loc\":[\"body\",\"env\",\"A\"]"},
    {WITH("\"env\":{\"A=B\":\"\"}"), REQUEST_INVALID,
     "\"string_pattern_mismatch\",\"loc\":[\"body\",\"env\",\"A=B\",\"[key]\"]"},
    {WITH("\"env\":{\"\":\"\"}"), REQUEST_INVALID, "\"string_pattern_mismatch\""},
    {WITH("\"env\":{\"A\\u0000\":\"\"}"), REQUEST_INVALID,
     "\"value_error\",\"loc\":[\"body\",\"env\"]"},
    {WITH("\"limits\":5"), REQUEST_INVALID,
     "\"model_attributes_type\",\"loc\":[\"body\",\"limits\"]"},
    {WITH("\"limits\":{\"memory_mb\":2049}"), REQUEST_INVALID,
     "\"less_than_equal\",\"loc\":[\"body\",\"limits\",\"memory_mb\"],\"msg\":\"Input should be "
     "less "
     "than or equal to 2048\",\"input\":2049,\"ctx\":{\"le\":2048}"},
    {WITH("\"limits\":{\"memory_mb\":18446744073709551616}"), REQUEST_INVALID,
     "\"less_than_equal\""},
    {WITH("\"limits\":{\"memory_mb\":1}"), REQUEST_INVALID, "\"greater_than_equal\""},
    {WITH("\"limits\":{\"cpu\":2.5}"), REQUEST_INVALID,
     "\"less_than_equal\",\"loc\":[\"body\",\"limits\",\"cpu\"],\"msg\":\"Input should be less "
     "than or equal to 2\""},
    {WITH("\"limits\":{\"cpu\":0}"), REQUEST_INVALID, "\"greater_than_equal\""},
    {WITH("\"limits\":{\"cpu\":\"nan\"}"), REQUEST_INVALID, "\"float_parsing\""},
    {WITH("\"limits\":{\"cpu\":[]}"), REQUEST_INVALID, "\"float_type\""},
    {WITH("\"limits\":{\"processes\":0}"), REQUEST_INVALID, "\"processes\""},
    {WITH("\"limits\":{\"workspace_mb\":1025}"), REQUEST_INVALID, "\"workspace_mb\""},
    {WITH("\"limits\":{\"output_kb\":65537}"), REQUEST_INVALID, "\"output_kb\""},
    {WITH("\"limits\":{\"memory\":64}"), REQUEST_INVALID,
     "\"extra_forbidden\",\"loc\":[\"body\",\"limits\",\"memory\"]"},
    {WITH("\"files_mode\":\"some\""), REQUEST_INVALID,
     "\"literal_error\",\"loc\":[\"body\",\"files_mode\"],\"msg\":\"Input should be 'all' or "
     "'changed'\""},
    {WITH("\"stream\":\"perhaps\""), REQUEST_INVALID,
     "\"bool_parsing\",\"loc\":[\"body\",\"stream\"]"},
    {WITH("\"stream\":2"), REQUEST_INVALID, "\"bool_parsing\""},
    {WITH("\"stream\":[]"), REQUEST_INVALID, "\"bool_type\""},
    /* JSON that is none, or odd */
    {"{\"code\":\"1\",\"code\":\"2\"}", REQUEST_INVALID, "duplicate object key"},
    {WITH("\"files\":{\"a\":\"\",\"a\":\"\"}"), REQUEST_INVALID, "duplicate object key"},
    {"{\"code\":\"\\ud800\"}", REQUEST_INVALID, "Lone surrogate"},
    {"{\"code\":NaN}", REQUEST_INVALID, "\"json_invalid\""},
    {"{\"code\":\"\xFF\"}", REQUEST_INVALID, "Invalid UTF-8"},
    {WITH("\"timeout\":1e400"), REQUEST_INVALID, "\"json_invalid\""},
    /* code */
    {"{\"code\":\"\"}", REQUEST_BAD, "代码不能为空"},
    {"{\"code\":\" \\n\\t\\r\\u3000\\u00a0\\u2003\"}", REQUEST_BAD, "代码不能为空"},
    /* environment (section 10, row 10): names that none can have */
    {WITH("\"environment\":\"a b\""), REQUEST_REFUSED,
     "环境执行错误: 环境 'a b' 不存在或未就绪 (environment not found or not ready)"},
    {WITH("\"environment\":\"x\\n\""), REQUEST_REFUSED, "环境执行错误: 环境 'x\n'"},
    {WITH("\"network\":\"host\""), REQUEST_INVALID,
     "\"literal_error\",\"loc\":[\"body\",\"network\"]"},
    {WITH("\"fresh\":\"perhaps\""), REQUEST_INVALID,
     "\"bool_parsing\",\"loc\":[\"body\",\"fresh\"]"},
    /* file names */
    {WITH("\"files\":{\"../x\":\"\"}"), REQUEST_REFUSED, NAME "../x"},
    {WITH("\"files\":{\"..\\\\x\":\"\"}"), REQUEST_REFUSED, NAME "..\\x"},
    {WITH("\"files\":{\"/abs\":\"\"}"), REQUEST_REFUSED, NAME "/abs"},
    {WITH("\"files\":{\"a:b\":\"\"}"), REQUEST_REFUSED, NAME "a:b"},
    {WITH("\"files\":{\"con.txt\":\"\"}"), REQUEST_REFUSED, NAME "con.txt"},
    {WITH("\"files\":{\"a/\":\"\"}"), REQUEST_REFUSED, NAME "a/"},
    {WITH("\"files\":{\"\":\"\"}"), REQUEST_REFUSED, NAME},
    {WITH("\"files\":{\"a\":\"\",\"a/b\":\"\"}"), REQUEST_REFUSED,
     NAME "a/b (unsafe file name: a is a file already)"},
    {WITH("\"files\":{\"a/b/c\":\"\",\"a.txt\":\"\",\"a/b\":\"\"}"), REQUEST_REFUSED, NAME "a/b/c"},
    {WITH("\"files\":{\"main.py/x\":\"\"}"), REQUEST_REFUSED, NAME "main.py/x"},
    {WITH("\"files\":{\"x\\u0000\":\"\"}"), REQUEST_INVALID, "[\"body\",\"files\"]"},
    /* file contents */
    {WITH("\"files\":{\"a\":\"abc\"}"), REQUEST_REFUSED, FILE_A},
    {WITH("\"files\":{\"a\":\"YWJj*\"}"), REQUEST_REFUSED, FILE_A},
    {WITH("\"files\":{\"a\":\"YQ==YQ==\"}"), REQUEST_REFUSED, FILE_A},
    {WITH("\"files\":{\"a\":"
          "\"QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB\"}"),
     REQUEST_REFUSED, FILE_A "文件 a 超过大小限制"},
};

static void test_what_is_wrong_is_refused_in_the_contracts_words(void **state)
{
    for (size_t i = 0; i < TEST_COUNT(refusals); i++) {
        const struct refusal *expected = &refusals[i];
        struct execute_request q = decode(expected->body);
        if (q.verdict != expected->verdict)
            fail_msg("%s: verdict %d", expected->body, q.verdict);
        assert_null(q.spec);
        assert_contains(answer_of(&q), expected->answer);
        execute_request_finish(&q);
    }
}

static void test_all_violations_are_told_in_the_order_of_the_members(void **state)
{
    struct execute_request q =
        decode("{\"stream\":5,\"environment\":1,\"files\":[],\"timeout\":0}");
    const char *answer = answer_of(&q);
    static const char *const order[] = {"\"code\"", "\"timeout\"", "\"files\"", "\"environment\"",
                                        "\"stream\""};
    const char *last = answer;
    for (size_t i = 0; i < TEST_COUNT(order); i++) {
        char place[64];
        snprintf(place, sizeof place, "[\"body\",%s]", order[i]);
        last = strstr(last, place);
        assert_non_null(last);
    }
    execute_request_finish(&q);
}

static void test_the_checks_come_in_the_contracts_order(void **state)
{
    static const struct refusal order[] = {
        {"{\"code\":\"\",\"timeout\":500}", REQUEST_INVALID, "timeout"},
        {"{\"code\":\"\",\"environment\":\"x\"}", REQUEST_BAD, "代码不能为空"},
        {"{\"code\":\"1\",\"timeout\":20,\"environment\":\"x\"}", REQUEST_BAD,
         "超时时间不能超过 10 秒"},
        {WITH("\"environment\":\"a b\",\"files\":{\"/\":\"\"}"), REQUEST_REFUSED, "环境"},
    };
    struct request_rules rules = test_rules();
    rules.timeout_max_s = 10;
    rules.timeout_default_s = 10;
    for (size_t i = 0; i < TEST_COUNT(order); i++) {
        struct execute_request q = decode_by(execute_request_decode, &rules, order[i].body);
        assert_int_equal(q.verdict, order[i].verdict);
        assert_contains(answer_of(&q), order[i].answer);
        execute_request_finish(&q);
    }
}

static void test_the_length_of_code_counts_characters_and_is_inclusive(void **state)
{
    static const char *const letters[] = {"x", "\xC3\xA9", "\xE8\xAF\xAD", "\xF0\x9F\x98\x80"};
    for (size_t i = 0; i < TEST_COUNT(letters); i++) {
        for (int n = 100; n <= 101; n++) {
            char body[512] = "{\"code\":\"";
            for (int j = 0; j < n; j++)
                strcat(body, letters[i]);
            strcat(body, "\"}");
            struct execute_request q = decode(body);
            assert_int_equal(q.verdict, n == 100 ? REQUEST_RUN : REQUEST_BAD);
            if (n > 100)
                assert_contains(answer_of(&q), "代码长度不能超过 100 字符");
            execute_request_finish(&q);
        }
    }
}

static void test_lenient_integers_are_accepted(void **state)
{
    static const struct {
        const char *value;
        uint32_t seconds;
    } values[] = {
        {"\"5\"", 5},    {"5.0", 5},     {"true", 1},     {"5", 5},
        {"1e1", 10},     {"\" 5 \"", 5}, {"\"5.00\"", 5}, {"\"+5\"", 5},
        {"\"1_0\"", 10}, {"\"05\"", 5},  {"\"5\\n\"", 5}, {"300", 300},
    };
    for (size_t i = 0; i < TEST_COUNT(values); i++) {
        char body[64];
        snprintf(body, sizeof body, "{\"code\":\"1\",\"timeout\":%s}", values[i].value);
        struct execute_request q = decode(body);
        assert_int_equal(q.verdict, REQUEST_RUN);
        assert_int_equal(q.spec->timeout_ms, values[i].seconds * 1000);
        execute_request_finish(&q);
    }
}

static void test_a_plain_request_takes_the_defaults(void **state)
{
    static const char *const bodies[] = {
        "{\"code\":\"print(1)\"}",
        "{\"code\":\"print(1)\",\"files\":null,\"environment\":null,\"retries\":[{}],\"x\":{\"y\":"
        "1}}",
        "{\"code\":\"print(1)\",\"files\":{},\"environment\":\"\",\"language\":null,\"stdin\":null,"
        "\"args\":null,\"env\":null,\"limits\":null,\"files_mode\":null,\"stream\":null}",
        "{\"code\":\"print(1)\",\"environment\":\"default\",\"limits\":{\"memory_mb\":null}}",
    };
    for (size_t i = 0; i < TEST_COUNT(bodies); i++) {
        struct execute_request q = decode(bodies[i]);
        assert_int_equal(q.verdict, REQUEST_RUN);
        const struct run_spec *spec = q.spec;
        assert_int_equal(spec->code_len, 8);
        assert_memory_equal(spec->code, "print(1)", 8);
        assert_string_equal(spec->language->name, "python");
        assert_int_equal(spec->timeout_ms, 0);
        assert_int_equal(spec->limits.memory_mb, 0);
        assert_int_equal(spec->limits.output_kb, 0);
        assert_null(q.environment);
        assert_false(spec->fresh || spec->network_set);
        assert_int_equal(spec->policy, POLICY_STRICT);
        assert_int_equal(spec->max_file_size, 50);
        assert_int_equal(spec->nfiles + spec->nargs + spec->nenv + spec->stdin_len, 0);
        assert_false(q.stream);
        assert_true(strlen(spec->id) >= 12);
        execute_request_finish(&q);
    }
}

static void test_every_member_reaches_the_run(void **state)
{
    struct execute_request q =
        decode("{\"code\":\"a\\u0000b\",\"language\":\"shell\",\"stdin\":\"in\\n\",\"args\":[\"\","
               "\"a b\"],"
               "\"env\":{\"A\":\"b=c\",\"\xE8\xB7\xAF\":\"\"},\"limits\":{\"memory_mb\":\"64\","
               "\"cpu\":0.5,"
               "\"processes\":8,\"workspace_mb\":16,\"output_kb\":32},\"files_mode\":\"changed\","
               "\"stream\":\"yes\",\"files\":{\"d/e\":\"YW\\nJj\",\"main.py\":\"\"}}");
    assert_int_equal(q.verdict, REQUEST_RUN);
    const struct run_spec *spec = q.spec;
    assert_int_equal(spec->code_len, 3);
    assert_memory_equal(spec->code, "a\0b", 3);
    assert_string_equal(spec->language->name, "shell");
    assert_int_equal(spec->policy, POLICY_OFF);
    assert_int_equal(spec->stdin_len, 3);
    assert_memory_equal(spec->stdin_data, "in\n", 3);
    assert_int_equal(spec->nargs, 2);
    assert_string_equal(spec->args[0], "");
    assert_string_equal(spec->args[1], "a b");
    assert_int_equal(spec->nenv, 2);
    assert_string_equal(spec->env[0], "A=b=c");
    assert_string_equal(spec->env[1], "\xE8\xB7\xAF=");
    assert_int_equal(spec->limits.memory_mb, 64);
    assert_int_equal(spec->limits.cpu_milli, 500);
    assert_int_equal(spec->limits.processes, 8);
    assert_int_equal(spec->limits.workspace_mb, 16);
    assert_int_equal(spec->limits.output_kb, 32);
    assert_int_equal(spec->files_mode, RUN_FILES_CHANGED);
    assert_int_equal(spec->nfiles, 2);
    assert_string_equal(spec->files[0].name, "d/e");
    assert_int_equal(spec->files[0].len, 3);
    assert_memory_equal(spec->files[0].data, "abc", 3);
    assert_true(q.stream);
    execute_request_finish(&q);
}

static void test_where_to_run_reaches_the_run(void **state)
{
    struct execute_request q =
        decode(WITH("\"environment\":\"e-1_X\",\"fresh\":1,\"network\":\"none\""));
    assert_int_equal(q.verdict, REQUEST_RUN);
    assert_string_equal(q.environment, "e-1_X");
    assert_true(q.spec->fresh && q.spec->network_set);
    assert_int_equal(q.spec->network, 0);
    execute_request_finish(&q);
    q = decode(WITH("\"environment\":\"e\",\"network\":\"bridge\",\"files\":{\"/\":\"\"}"));
    assert_int_equal(q.verdict, REQUEST_REFUSED);
    assert_int_equal(execute_request_unknown(&q, q.environment, strlen(q.environment)), 0);
    assert_contains(answer_of(&q), "环境执行错误: 环境 'e' 不存在或未就绪");
    execute_request_finish(&q);
}

static void test_within_an_environment_its_name_is_required(void **state)
{
    static const struct refusal refusals_within[] = {
        {"{\"code\":\"1\"}", REQUEST_INVALID, "\"missing\",\"loc\":[\"body\",\"environment\"]"},
        {WITH("\"environment\":null"), REQUEST_INVALID,
         "\"string_type\",\"loc\":[\"body\",\"environment\"]"},
        {"{\"code\":\" \",\"environment\":\"\"}", REQUEST_BAD, "代码不能为空"},
        {WITH("\"environment\":\"\""), REQUEST_UNKNOWN, "环境 '' 不存在"},
        {WITH("\"environment\":\"a/b\""), REQUEST_UNKNOWN, "环境 'a/b' 不存在"},
        {WITH("\"environment\":\"e\",\"files\":{\"/\":\"\"}"), REQUEST_REFUSED, "执行错误"},
    };
    struct request_rules rules = test_rules();
    for (size_t i = 0; i < TEST_COUNT(refusals_within); i++) {
        struct execute_request q =
            decode_by(execute_request_decode_within, &rules, refusals_within[i].body);
        assert_int_equal(q.verdict, refusals_within[i].verdict);
        assert_contains(answer_of(&q), refusals_within[i].answer);
        execute_request_finish(&q);
    }
    struct execute_request q =
        decode_by(execute_request_decode_within, &rules, WITH("\"environment\":\"e\""));
    assert_int_equal(q.verdict, REQUEST_RUN);
    assert_string_equal(q.environment, "e");
    execute_request_finish(&q);
    q = decode_by(execute_request_decode_within, &rules, WITH("\"environment\":\"default\""));
    assert_int_equal(q.verdict, REQUEST_RUN);
    assert_null(q.environment);
    execute_request_finish(&q);
}

static void test_a_file_of_the_codes_name_is_left_out(void **state)
{
    struct execute_request q =
        decode(WITH("\"files\":{\"a\":\"\",\"main.py\":\"eA==\",\"b\":\"eQ==\"}"));
    assert_int_equal(q.verdict, REQUEST_RUN);
    assert_int_equal(q.spec->nfiles, 2);
    assert_string_equal(q.spec->files[1].name, "b");
    execute_request_finish(&q);
}

static void test_long_strings_stay_in_the_body(void **state)
{
    enum { LONG = 8192 };
    struct request_rules rules = test_rules();
    struct buf body = {0};
    rules.file_max = LONG;
    buf_append_str(&body, "{\"code\":\"1\",\"files\":{\"f\":\"");
    for (int i = 0; i < LONG / 4; i++)
        buf_append_str(&body, "QUFB");
    buf_append_str(&body, "\",\"main.py\":\"");
    for (int i = 0; i < LONG / 4; i++)
        buf_append_str(&body, "QUFB");
    buf_append_str(&body, "\"}}");
    struct execute_request q;
    size_t len = body.len;
    execute_request_decode(&q, &rules, buf_steal(&body, NULL), len);
    assert_int_equal(q.verdict, REQUEST_RUN);
    assert_int_equal(q.spec->nfiles, 1);
    assert_int_equal(q.spec->files[0].len, LONG / 4 * 3);
    assert_true(q.spec->files[0].data > q.spec->arena);
    assert_true(q.spec->files[0].data < q.spec->arena + q.spec->arena_len);
    for (size_t i = 0; i < q.spec->files[0].len; i++)
        assert_int_equal(q.spec->files[0].data[i], 'A');
    execute_request_finish(&q);
}

static void test_args_and_env_are_limited_together(void **state)
{
    struct buf body = {0};
    buf_append_str(&body, "{\"code\":\"1\",\"args\":[\"x\"");
    for (int i = 0; i < 40000; i++)
        buf_append_str(&body, ",\"x\"");
    buf_append_str(&body, "]}");
    struct execute_request q;
    struct request_rules rules = test_rules();
    size_t len = body.len;
    execute_request_decode(&q, &rules, buf_steal(&body, NULL), len);
    assert_int_equal(q.verdict, REQUEST_INVALID);
    assert_contains(answer_of(&q), "[\"body\",\"args\"]");
    execute_request_finish(&q);
}

static void test_a_huge_refused_body_is_shown_shortened(void **state)
{
    struct buf body = {0};
    buf_append_str(&body, "{\"x\":\"");
    for (int i = 0; i < 100000; i++)
        buf_append_str(&body, "\xE8\xAF\xAD");
    buf_append_str(&body, "\"}");
    struct execute_request q;
    struct request_rules rules = test_rules();
    size_t len = body.len;
    execute_request_decode(&q, &rules, buf_steal(&body, NULL), len);
    assert_int_equal(q.verdict, REQUEST_INVALID);
    assert_true(q.answer.len < 2000);
    assert_contains(answer_of(&q), "\xE8\xAF\xAD…\"");
    execute_request_finish(&q);
}

static void test_a_policy_check_has_a_level_and_runs_nothing(void **state)
{
    struct request_rules rules = test_rules();
    rules.policy = POLICY_OFF;
    struct execute_request q = decode_by(policy_request_decode, &rules, "{\"code\":\" \"}");
    assert_int_equal(q.verdict, REQUEST_RUN);
    assert_int_equal(q.spec->policy, POLICY_STRICT);
    assert_true(q.spec->check_only);
    execute_request_finish(&q);
    q = decode_by(policy_request_decode, &rules, WITH("\"level\":\"standard\""));
    assert_int_equal(q.spec->policy, POLICY_STANDARD);
    execute_request_finish(&q);
    q = decode_by(policy_request_decode, &rules, WITH("\"level\":\"high\""));
    assert_int_equal(q.verdict, REQUEST_INVALID);
    assert_contains(answer_of(&q), "'off', 'standard' or 'strict'");
    execute_request_finish(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_wrong_is_refused_in_the_contracts_words),
        cmocka_unit_test(test_all_violations_are_told_in_the_order_of_the_members),
        cmocka_unit_test(test_the_checks_come_in_the_contracts_order),
        cmocka_unit_test(test_the_length_of_code_counts_characters_and_is_inclusive),
        cmocka_unit_test(test_lenient_integers_are_accepted),
        cmocka_unit_test(test_a_plain_request_takes_the_defaults),
        cmocka_unit_test(test_every_member_reaches_the_run),
        cmocka_unit_test(test_where_to_run_reaches_the_run),
        cmocka_unit_test(test_within_an_environment_its_name_is_required),
        cmocka_unit_test(test_a_file_of_the_codes_name_is_left_out),
        cmocka_unit_test(test_long_strings_stay_in_the_body),
        cmocka_unit_test(test_args_and_env_are_limited_together),
        cmocka_unit_test(test_a_huge_refused_body_is_shown_shortened),
        cmocka_unit_test(test_a_policy_check_has_a_level_and_runs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tests of execute_answer. */
#include "api/execute_answer.h"

#include <jansson.h>

#include "base/base64.h"
#include "base/test_support.h"
#include "engine/language.h"

static const struct language python = {.name = "python"};

static const struct answer_facts facts = {
    .id = "0123456789abcdef", .language = &python, .timeout_s = 30, .memory_mb = 512};

static char *copy(const char *s)
{
    char *c = strdup(s);
    assert_non_null(c);
    return c;
}

static struct run_result make_result(void)
{
    struct run_result r = {
        .wall_us = 60600,
        .cpu_us = 1234567,
        .memory_peak = 9 << 20,
        .isolation = {"v1", 7, true, "none", "user,pid,mount", "default"},
    };
    buf_append_str(&r.out, "hi\n");
    return r;
}

/* Reads the whole answer in pieces of `cap` bytes, and parses it. */
static json_t *read_in_pieces(struct answer *a, size_t cap)
{
    struct buf text = {0};
    json_error_t error;
    size_t n;
    do {
        assert_int_equal(buf_reserve(&text, cap), 0);
        n = answer_read(a, text.data + text.len, cap);
        assert_true(n <= cap);
        text.len += n;
    } while (n > 0);
    json_t *root = json_loadb(text.data, text.len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
    if (!root)
        fail_msg("%s: %.*s", error.text, (int)text.len, text.data);
    buf_finish(&text);
    answer_destroy(a);
    return root;
}

static void test_the_answer_of_a_run_word_for_word(void **state)
{
    struct run_result r = make_result();
    struct answer *a = answer_create(&facts, &r);
    _cleanup_buf_ struct buf text = {0};
    assert_non_null(a);
    assert_true(answer_is_small(a));
    assert_int_equal(answer_read_all(a, &text), 0);
    buf_append(&text, "", 1);
    assert_string_equal(
        text.data,
        "{\"success\":true,\"stdout\":\"hi\\n\",\"stderr\":\"\",\"execution_time\":0.060600,"
        "\"files\":{},\"error\":null,\"output\":\"hi\\n\",\"exit_code\":0,\"signal\":null,"
        "\"timed_out\":false,\"limits_hit\":[],\"usage\":{\"wall_ms\":60.600,\"cpu_ms\":1234.567,"
        "\"memory_peak_kb\":9216},\"stdout_truncated\":false,\"stderr_truncated\":false,"
        "\"stdout_replaced\":false,\"stderr_replaced\":false,\"skipped_files\":[],"
        "\"isolation\":{\"namespaces\":[\"user\",\"pid\",\"mount\"],\"cgroup\":\"v1\","
        "\"seccomp\":\"default\",\"landlock_abi\":7,\"network\":\"none\",\"warm\":true},"
        "\"id\":\"0123456789abcdef\",\"language\":\"python\"}");
    answer_destroy(a);
}

static void test_a_refused_request_has_all_fields_too(void **state)
{
    struct answer_facts none = facts;
    none.id[0] = '\0';
    _cleanup_buf_ struct buf stderr_text = {0}, error = {0};
    buf_append_str(&stderr_text, "环境");
    buf_append_str(&error, "环境执行错误: \"x\"");
    struct answer *a = answer_create_refused(&none, &stderr_text, &error);
    json_t *root = read_in_pieces(a, 100);
    assert_true(json_is_false(json_object_get(root, "success")));
    assert_string_equal(json_string_value(json_object_get(root, "stderr")), "环境");
    assert_string_equal(json_string_value(json_object_get(root, "error")), "环境执行错误: \"x\"");
    assert_true(json_is_null(json_object_get(root, "exit_code")));
    assert_true(json_is_null(json_object_get(root, "id")));
    assert_true(json_is_null(json_object_get(root, "isolation")));
    assert_int_equal(json_object_size(root), 20);
    json_decref(root);
}

static struct run_result make_odd_result(void)
{
    struct run_result r = make_result();
    r.outcome = RUN_SIGNALED;
    r.signal = 9;
    r.limits_hit = RUN_HIT_MEMORY | RUN_HIT_FILES;
    r.err_truncated = true;
    buf_append(&r.out, "\0\x1F\"\\\xFF\xE8\xAF", 7);
    for (int i = 0; i < 1000; i++)
        buf_append_str(&r.err, "\xF0\x9F\x98\x80\n");
    r.nfiles = 4;
    r.files = calloc(r.nfiles, sizeof *r.files);
    for (size_t i = 0; i < r.nfiles; i++) {
        char name[] = {'f', (char)('0' + i), '"', '\0'};
        r.files[i] = (struct run_output_file){copy(name), copy("0123456789"), i};
    }
    r.nskipped = 1;
    r.skipped = calloc(1, sizeof *r.skipped);
    r.skipped[0] = (struct run_skipped){copy("big\n"), "too large"};
    r.nskipped_unnamed = 5;
    return r;
}

static void assert_odd_answer(json_t *root)
{
    static const char out[] = "hi\n\0\x1F\"\\\xEF\xBF\xBD\xEF\xBF\xBD";
    const json_t *text = json_object_get(root, "stdout");
    assert_int_equal(json_string_length(text), sizeof out - 1);
    assert_memory_equal(json_string_value(text), out, sizeof out - 1);
    assert_true(json_equal((json_t *)text, json_object_get(root, "output")));
    assert_int_equal(json_string_length(json_object_get(root, "stderr")), 5000);
    assert_true(json_is_true(json_object_get(root, "stdout_replaced")));
    assert_true(json_is_false(json_object_get(root, "stderr_replaced")));
    assert_true(json_is_true(json_object_get(root, "stderr_truncated")));
    assert_int_equal(json_integer_value(json_object_get(root, "signal")), 9);
    assert_int_equal(json_integer_value(json_object_get(root, "exit_code")), -9);
    assert_int_equal(json_integer_value(json_object_get(root, "skipped_files_more")), 5);
    json_t *files = json_object_get(root, "files");
    static const char *const contents[] = {"", "MA==", "MDE=", "MDEy"};
    assert_int_equal(json_object_size(files), 4);
    for (int i = 0; i < 4; i++) {
        char name[] = {'f', (char)('0' + i), '"', '\0'};
        assert_string_equal(json_string_value(json_object_get(files, name)), contents[i]);
    }
}

static void test_pieces_of_any_size_give_the_same_answer(void **state)
{
    static const size_t caps[] = {1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 100, 1000, 65536};
    for (size_t i = 0; i < TEST_COUNT(caps); i++) {
        struct run_result r = make_odd_result();
        struct answer *a = answer_create(&facts, &r);
        assert_non_null(a);
        json_t *root = read_in_pieces(a, caps[i]);
        assert_odd_answer(root);
        json_decref(root);
    }
}

static void test_a_large_file_is_encoded_while_it_is_read(void **state)
{
    enum { SIZE = 1000001 };
    struct run_result r = make_result();
    char *data = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)(i * 7);
    r.nfiles = 1;
    r.files = calloc(1, sizeof *r.files);
    r.files[0] = (struct run_output_file){copy("big"), data, SIZE};
    struct answer *a = answer_create(&facts, &r);
    assert_false(answer_is_small(a));
    _cleanup_buf_ struct buf expected = {0};
    assert_int_equal(base64_append(&expected, data, SIZE), 0);
    json_t *root = read_in_pieces(a, 1000);
    const json_t *big = json_object_get(json_object_get(root, "files"), "big");
    assert_int_equal(json_string_length(big), expected.len);
    assert_memory_equal(json_string_value(big), expected.data, expected.len);
    json_decref(root);
}

static void test_an_answer_can_be_dropped_half_read(void **state)
{
    struct run_result r = make_odd_result();
    struct answer *a = answer_create(&facts, &r);
    char piece[10];
    assert_int_equal(answer_read(a, piece, sizeof piece), sizeof piece);
    answer_destroy(a);
    answer_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_answer_of_a_run_word_for_word),
        cmocka_unit_test(test_a_refused_request_has_all_fields_too),
        cmocka_unit_test(test_pieces_of_any_size_give_the_same_answer),
        cmocka_unit_test(test_a_large_file_is_encoded_while_it_is_read),
        cmocka_unit_test(test_an_answer_can_be_dropped_half_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

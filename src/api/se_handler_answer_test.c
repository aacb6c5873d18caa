/* Tests of se_handler_answer: contract B6.2, rulings 28 and 29; results are hostile. */
#include "api/se_handler_answer.h"

#include <jansson.h>
#include <signal.h>

#include "base/test_support.h"

static const struct handler_facts facts = {1500, 256};

/* The answer about a run that left `file` (NULL: none); parsed. */
static json_t *answer(struct run_result *r, const char *file)
{
    struct run_output_file files[] = {{(char *)"other", (char *)"x", 1},
                                      {(char *)HANDLER_RESULT, (char *)file, 0}};
    struct buf out = {0};
    r->files = files;
    r->nfiles = file ? 2 : 1;
    if (file)
        files[1].len = strlen(file);
    assert_int_equal(handler_answer_write(&out, r, &facts), 0);
    json_t *root = json_loadb(out.data, out.len, 0, NULL);
    assert_non_null(root);
    buf_finish(&out);
    r->files = NULL;
    r->nfiles = 0;
    return root;
}

static const char *text(const json_t *root, const char *name)
{
    return json_string_value(json_object_get(root, name));
}

static void a_result_is_handed_on(void **state)
{
    struct run_result r = {.outcome = RUN_EXITED, .wall_us = 1900};
    buf_append(&r.out, "in\n\xff", 4);
    json_t *root = answer(&r, "{\"exit_code\": 0, \"error\": null}\n{\"a\": [1, \"x\"]}");
    assert_string_equal(text(root, "stdout"), "in\n\xef\xbf\xbd");
    assert_string_equal(text(root, "stderr"), "");
    assert_int_equal(json_array_size(json_object_get(json_object_get(root, "result"), "a")), 2);
    assert_int_equal(json_integer_value(json_object_get(root, "exit_code")), 0);
    assert_true(json_is_null(json_object_get(root, "error")));
    const json_t *metrics = json_object_get(root, "metrics");
    assert_true(json_number_value(json_object_get(metrics, "duration_ms")) == 1.9);
    assert_true(json_number_value(json_object_get(metrics, "timeout_seconds")) == 1.5);
    json_decref(root);
    buf_finish(&r.out);
}

static void a_failure_says_what_the_run_said(void **state)
{
    struct run_result r = {.outcome = RUN_EXITED, .exit_code = 2};
    buf_append_str(&r.err, "Handler said so\n");
    json_t *root =
        answer(&r, "{\"exit_code\": 2, \"error\": {\"type\": \"E\", \"message\": \"m\"}}\nnull");
    assert_string_equal(text(root, "stderr"), "Handler said so\n");
    assert_string_equal(text(json_object_get(root, "error"), "type"), "E");
    assert_int_equal(json_integer_value(json_object_get(root, "exit_code")), 2);
    json_decref(root);
    buf_finish(&r.err);
}

static void a_hostile_result_is_an_error_and_the_answer_stays_json(void **state)
{
    static const char *const files[] = {
        "",
        "\n",
        "null\nnull",
        "{\"exit_code\": 0, \"error\": null}",
        "{\"exit_code\": 0, \"error\": null}\n",
        "{\"exit_code\": 0, \"error\": null}\n1,\"exit_code\":9",
        "{\"exit_code\": 0, \"error\": null}\nNaN",
        "{\"exit_code\": 0, \"error\": }\n1",
        "{\"exit_code\": 0, \"error\": 1},{\"a\": 1}\n1",
        "{\"exit_code\": x, \"error\": null}\n1",
        "{\"exit_code\": 0, \"error\": null}\n\"\xff\"",
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct run_result r = {.outcome = RUN_EXITED};
        json_t *root = answer(&r, files[i]);
        assert_true(json_is_null(json_object_get(root, "result")));
        assert_int_equal(json_integer_value(json_object_get(root, "exit_code")), 3);
        assert_non_null(strstr(text(root, "stderr"), "Failed to parse execution result: "));
        json_decref(root);
    }
}

static void a_run_without_a_result_tells_its_end(void **state)
{
    struct run_skipped skipped = {(char *)HANDLER_RESULT, "too_large"};
    struct run_skipped directory = {(char *)"work", "directory"};
    const struct {
        struct run_result r;
        int exit_code;
        const char *words;
    } cases[] = {
        {{.outcome = RUN_EXITED, .skipped = &directory, .nskipped = 1}, 7, "before the handler"},
        {{.outcome = RUN_EXITED, .exit_code = 5}, 5, "代码执行失败，退出码: 5"},
        {{.outcome = RUN_SIGNALED, .signal = SIGKILL, .limits_hit = RUN_HIT_MEMORY},
         137,
         "memory limit of 256 MB"},
        {{.outcome = RUN_EXITED, .skipped = &skipped, .nskipped = 1}, 3, "too large"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct run_result r = cases[i].r;
        buf_append_str(&r.err, "half a line");
        json_t *root = answer(&r, NULL);
        assert_int_equal(json_integer_value(json_object_get(root, "exit_code")),
                         cases[i].exit_code);
        assert_memory_equal(text(root, "stderr"), "half a line\nFailed to parse", 27);
        assert_non_null(strstr(text(root, "stderr"), cases[i].words));
        assert_non_null(strstr(text(json_object_get(root, "error"), "message"), cases[i].words));
        json_decref(root);
        buf_finish(&r.err);
    }
}

static void errors_have_their_codes(void **state)
{
    struct run_result r = {.outcome = RUN_TIMEOUT};
    struct buf out = {0};
    assert_int_equal(handler_answer_write_timeout(&out, &r, &facts), 0);
    json_t *root = json_loadb(out.data, out.len, 0, NULL);
    const json_t *detail = json_object_get(root, "detail");
    assert_string_equal(text(detail, "error_code"), "Sandbox.ExecTimeout");
    assert_string_equal(text(detail, "error_detail"), "Execution timed out after 1.5 seconds");
    json_decref(root);
    buf_finish(&out);
    assert_int_equal(handler_answer_write_full(&out, "the \"queue\" is full"), 0);
    root = json_loadb(out.data, out.len, 0, NULL);
    assert_string_equal(text(json_object_get(root, "detail"), "error_code"),
                        "Sandbox.TooManyRequestsExection");
    json_decref(root);
    buf_finish(&out);
    assert_int_equal(handler_answer_write_failed(&out, "why"), 0);
    root = json_loadb(out.data, out.len, 0, NULL);
    assert_string_equal(text(json_object_get(root, "detail"), "error_detail"), "why");
    json_decref(root);
    buf_finish(&out);
    assert_int_equal(handler_answer_write_refused(&out, "no code", &facts), 0);
    root = json_loadb(out.data, out.len, 0, NULL);
    assert_string_equal(text(root, "stderr"), "no code\n");
    assert_int_equal(json_integer_value(json_object_get(root, "exit_code")), 1);
    json_decref(root);
    buf_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_result_is_handed_on),
        cmocka_unit_test(a_failure_says_what_the_run_said),
        cmocka_unit_test(a_hostile_result_is_an_error_and_the_answer_stays_json),
        cmocka_unit_test(a_run_without_a_result_tells_its_end),
        cmocka_unit_test(errors_have_their_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

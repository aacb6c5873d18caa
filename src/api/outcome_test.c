/* Tests of outcome: the texts of contract A1 and section 10, rows 8 to 13. */
#include "api/outcome.h"

#include "base/test_support.h"

#define TRACEBACK "Traceback (most recent call last):\n  File \"/sandbox/main.py\", line 1\n"

struct sample {
    struct run_result result;
    const char *stderr_text;
    const char *error; /* "": none */
};

static const struct sample samples[] = {
    {{.outcome = RUN_EXITED}, "warning\n", ""},
    {{.outcome = RUN_EXITED, .limits_hit = RUN_HIT_OUTPUT}, "", ""},
    {{.outcome = RUN_EXITED, .exit_code = 3}, "", "代码执行失败，退出码: 3"},
    {{.outcome = RUN_EXITED, .exit_code = 1},
     TRACEBACK "    1/0\n    ~^~\nZeroDivisionError: division by zero\n",
     "代码执行失败，退出码: 1 (ZeroDivisionError: division by zero)"},
    {{.outcome = RUN_EXITED, .exit_code = 1, .limits_hit = RUN_HIT_MEMORY},
     TRACEBACK "MemoryError\n",
     "代码执行失败，退出码: 1 (MemoryError; memory limit of 512 MB reached)"},
    {{.outcome = RUN_EXITED, .exit_code = 1, .limits_hit = RUN_HIT_WORKSPACE | RUN_HIT_PROCESSES},
     "",
     "代码执行失败，退出码: 1 (process limit reached; workspace is full)"},
    {{.outcome = RUN_SIGNALED, .signal = 9},
     "",
     "代码执行失败，退出码: -9 (killed by signal 9, SIGKILL)"},
    {{.outcome = RUN_SIGNALED, .signal = 9, .limits_hit = RUN_HIT_MEMORY},
     "",
     "代码执行失败，退出码: -9 (killed by signal 9, SIGKILL; memory limit of 512 MB reached)"},
    {{.outcome = RUN_SIGNALED, .signal = 50},
     "",
     "代码执行失败，退出码: -50 (killed by signal 50)"},
    {{.outcome = RUN_TIMEOUT, .signal = 9, .limits_hit = RUN_HIT_TIME},
     "",
     "代码执行超时（30秒） / execution timed out (timeout 30s)"},
    {{.outcome = RUN_REFUSED, .message = (char[]){"检测到不安全的操作: Import"}},
     "",
     "Security policy violation: 检测到不安全的操作: Import"},
    {{.outcome = RUN_BAD_FILE, .bad_file = (char[]){"a/b"}, .message = (char[]){"磁盘已满"}},
     "",
     "执行错误: 处理文件 a/b 时出错: 磁盘已满"},
    {{.outcome = RUN_FAILED, .message = (char[]){"init died"}}, "", "执行错误: init died"},
};

static void test_each_outcome_has_its_words(void **state)
{
    const struct outcome_facts facts = {.timeout_s = 30, .memory_mb = 512};
    for (size_t i = 0; i < TEST_COUNT(samples); i++) {
        struct run_result r = samples[i].result;
        _cleanup_buf_ struct buf error = {0};
        buf_append_str(&r.err, samples[i].stderr_text);
        assert_int_equal(outcome_append_error(&error, &r, &facts), 0);
        assert_int_equal(buf_append(&error, "", 1), 0);
        assert_string_equal(error.data, samples[i].error);
        buf_finish(&r.err);
    }
}

static void assert_line(const char *text, const char *expected)
{
    const char *line = "";
    size_t n = outcome_exception_line(text, strlen(text), &line);
    if (n != strlen(expected) || memcmp(line, expected, n) != 0)
        fail_msg("%s\n-> %.*s, not %s", text, (int)n, line, expected);
}

static void test_the_exception_of_a_traceback_is_found(void **state)
{
    assert_line("", "");
    assert_line("just a warning\n", "");
    assert_line(TRACEBACK "    raise E\nE", "E");
    assert_line(TRACEBACK "ValueError: first\n\nDuring handling of the above exception, another "
                          "exception occurred:\n\n" TRACEBACK "    x\nKeyError: 'k'\n",
                "KeyError: 'k'");
    assert_line("  File \"/sandbox/main.py\", line 1\n    print(\n         ^\nSyntaxError: '(' was "
                "never closed\n",
                "SyntaxError: '(' was never closed");
    assert_line(TRACEBACK "ValueError: two\nlines\n", "ValueError: two");
    assert_line("before\n" TRACEBACK "    f()\n  File \"/sandbox/main.py\", line 2, in f\n    g()\n"
                "    ^^^\nNameError: name 'g' is not defined\n",
                "NameError: name 'g' is not defined");
    assert_line(TRACEBACK, "");
    assert_line("x  File \"not at the start\nof a line\n", "");
}

static void test_a_long_exception_is_cut_at_a_character(void **state)
{
    char text[1000] = TRACEBACK "E: ";
    while (strlen(text) < 900)
        strcat(text, "\xE8\xAF\xAD");
    const char *line;
    size_t n = outcome_exception_line(text, strlen(text), &line);
    assert_true(n > OUTCOME_LINE_MAX - 3 && n <= OUTCOME_LINE_MAX);
    assert_int_equal((n - 3) % 3, 0);
}

static void test_exit_codes_are_those_of_python(void **state)
{
    int code;
    assert_true(
        outcome_exit_code(&(struct run_result){.outcome = RUN_EXITED, .exit_code = 7}, &code));
    assert_int_equal(code, 7);
    assert_true(
        outcome_exit_code(&(struct run_result){.outcome = RUN_SIGNALED, .signal = 11}, &code));
    assert_int_equal(code, -11);
    assert_false(outcome_exit_code(&(struct run_result){.outcome = RUN_REFUSED}, &code));
    assert_false(outcome_exit_code(&(struct run_result){.outcome = RUN_TIMEOUT}, &code));
}

static void test_limits_are_named(void **state)
{
    _cleanup_buf_ struct buf out = {0};
    outcome_append_limits(&out, 0);
    outcome_append_limits(&out, 63);
    buf_append(&out, "", 1);
    assert_string_equal(out.data,
                        "[][\"time\",\"memory\",\"processes\",\"workspace\",\"output\",\"files\"]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_outcome_has_its_words),
        cmocka_unit_test(test_the_exception_of_a_traceback_is_found),
        cmocka_unit_test(test_a_long_exception_is_cut_at_a_character),
        cmocka_unit_test(test_exit_codes_are_those_of_python),
        cmocka_unit_test(test_limits_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tests of execute: real programs. */
#include "spawner/execute.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/test_support.h"

static int run(const char *script, struct err *e)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};

    return execute(argv, e);
}

static void success_is_silent(void **state)
{
    struct err e = {0};

    assert_int_equal(run("echo noise >&2; echo more", &e), 0);
    assert_int_equal(e.code, 0);
}

static void a_failure_is_told_in_the_programs_last_words(void **state)
{
    static const struct {
        const char *script, *text;
    } cases[] = {
        {"echo first >&2; echo last >&2; exit 3", "last"},
        {"printf 'no newline' >&2; exit 1", "no newline"},
        {"printf 'text\\n\\n\\n' >&2; exit 1", "text"},
        {"printf 'a\\rb\\r' >&2; exit 1", "b"},
        {"printf 'caf\\303\\251\\033[1m' >&2; exit 1", "caf???[1m"},
        {"exit 1", "a program of the host ended without a word"},
        {"kill -9 $$", "a program of the host ended without a word"},
    };

    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        struct err e = {0};

        assert_int_equal(run(cases[i].script, &e), -1);
        assert_string_equal(e.text, cases[i].text);
    }
}

static void a_line_without_end_is_cut(void **state)
{
    struct err e = {0};

    assert_int_equal(
        run("dd if=/dev/zero bs=1k count=900 2>/dev/null | tr '\\0' x >&2; exit 1", &e), -1);
    assert_int_equal(strlen(e.text), 159);
}

static void a_program_that_is_not_there_is_named(void **state)
{
    const char *const argv[] = {"/no/such/program", NULL};
    struct err e = {0};

    assert_int_equal(execute(argv, &e), -1);
    assert_contains(e.text, "/no/such/program: No such file");
}

static void it_gets_no_descriptor_and_no_variable_of_ours(void **state)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    setenv("SECRET", "1", 1);
    assert_int_equal(run("test -z \"$SECRET\" && test \"$(ls /proc/self/fd | wc -l)\" -le 4 &&"
                         "! read line",
                         NULL),
                     0);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(success_is_silent),
        cmocka_unit_test(a_failure_is_told_in_the_programs_last_words),
        cmocka_unit_test(a_line_without_end_is_cut),
        cmocka_unit_test(a_program_that_is_not_there_is_named),
        cmocka_unit_test(it_gets_no_descriptor_and_no_variable_of_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

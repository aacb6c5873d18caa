/* Tests of line, beside the bash of this machine. */
#include "init/line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test_support.h"

#define OUTPUT_MAX 8192

static char text[LINE_BYTES];
static char *words[LINE_WORDS + 1];

/* The words, each followed by '|'. */
static const char *split(const char *line)
{
    static char joined[LINE_BYTES * 2];
    size_t n = line_split(line, text, words);

    joined[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        strcat(joined, words[i]);
        strcat(joined, "|");
    }
    if (n > 0)
        assert_null(words[n]);
    return joined;
}

static void plain_words_need_no_shell(void **state)
{
    assert_string_equal(split("echo hi"), "echo|hi|");
    assert_string_equal(split("  ls  -l   /tmp "), "ls|-l|/tmp|");
    assert_string_equal(split("./run.sh a=b,c:d@e%f+1 --x=y"), "./run.sh|a=b,c:d@e%f+1|--x=y|");
    assert_string_equal(split("../bin/x"), "../bin/x|");
    assert_string_equal(split("grep 'a $b\n`c` \"d\" *' -e''x '' z"),
                        "grep|a $b\n`c` \"d\" *|-ex||z|");
    assert_string_equal(split("/usr/bin/env"), "/usr/bin/env|");
    assert_string_equal(split("true"), "true|");
}

static void everything_else_is_the_shells(void **state)
{
    static const char *const lines[] = {
        "",          " ",       "echo $HOME", "echo \"hi\"", "echo 'hi",   "ls *",      "ls ?",
        "ls [a]",    "a | b",   "a && b",     "a; b",        "a &",        "a > b",     "a < b",
        "a\nb",      "a\tb",    "a `b`",      "a \\b",       "a {b,c}",    "a #b",      "a ~",
        "a !b",      "a (b)",   "A=1 b",      "A=1",         "'echo' hi",  "ec''ho hi", "%1",
        ".",         ". x",     ":",          ": x",         "..x",        "-x",        "@x",
        "+x",        "=x",      ",x",         "cd /tmp",     "pwd",        "exit 3",    "kill 1",
        "printf %s", "test a",  "time ls",    "if",          "while true", "exec ls",   "env",
        "printenv",  "echo -n", "echo a -e",  "true --help", "false '-x'", "echo \x80", "a ^b"};

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (line_split(lines[i], text, words) != 0)
            fail_msg("taken for plain: %s", lines[i]);
    }
}

static void what_is_too_long_is_the_shells(void **state)
{
    char line[LINE_BYTES + 1];

    memset(line, 'a', sizeof line - 1);
    line[LINE_BYTES] = '\0';
    assert_int_equal(line_split(line, text, words), 0);
    line[LINE_BYTES - 1] = '\0';
    assert_int_equal(line_split(line, text, words), 1);
    for (size_t i = 1; i < 2 * LINE_WORDS; i += 2)
        line[i] = ' ';
    line[2 * LINE_WORDS - 1] = '\0';
    assert_int_equal(line_split(line, text, words), LINE_WORDS);
    line[2 * LINE_WORDS - 1] = ' ';
    assert_int_equal(line_split(line, text, words), 0);
}

static bool is_plain(const char *a, const char *b)
{
    char *envp[] = {(char *)"HOME=/x", (char *)a, (char *)b, NULL};

    return line_is_plain_environment(envp);
}

static void variables_that_bash_changes_are_the_shells(void **state)
{
    static const char *const changed[] = {
        "PWD=/", "SHLVL=1", "_=x", "LC_ALL=C", "BASH_ENV=x", "POSIXLY_CORRECT=",
        "UID=5", "a-b=c",   "1=2", "=x",       "name",       "BASH_FUNC_ls%%=() { echo; }"};

    assert_true(is_plain("PATH=/usr/bin:/bin", "UIDS=5"));
    assert_true(is_plain("PATH=/bin", "SHELL_=a=b"));
    for (size_t i = 0; i < sizeof changed / sizeof changed[0]; i++) {
        if (is_plain("PATH=/bin", changed[i]))
            fail_msg("taken for plain: %s", changed[i]);
    }
    assert_false(is_plain("A=1", "B=2"));
    assert_false(is_plain("PATH=", NULL));
    assert_false(is_plain("PATH=:/bin", NULL));
    assert_false(is_plain("PATH=/bin:", NULL));
    assert_false(is_plain("PATH=/bin::/x", NULL));
    assert_false(is_plain("PATH=/bin:.", NULL));
    assert_false(is_plain("PATH=/bin", "PATH=/usr/bin"));
}

static char *env[] = {(char *)"PATH=/usr/local/bin:/usr/bin:/bin", (char *)"HOME=/tmp",
                      (char *)"LANG=C.UTF-8", (char *)"A=b c", NULL};

/* What the line writes to both outputs, and how it ends: with line_execute() alone or bash alone.
 */
static int run(const char *line, bool plain, char out[static OUTPUT_MAX])
{
    char *argv[] = {(char *)"/bin/bash", (char *)"-c", (char *)line, NULL};
    int ends[2], status;
    size_t len = 0;
    ssize_t n;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        if (plain)
            line_execute(argv, env);
        else
            execve("/bin/bash", argv, env);
        _exit(99);
    }
    close(ends[1]);
    while ((n = read(ends[0], out + len, OUTPUT_MAX - 1 - len)) > 0)
        len += (size_t)n;
    out[len] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void a_plain_line_does_as_it_does_in_bash(void **state)
{
    static const char *const lines[] = {"echo hi  'a  b' '' c\\",
                                        "echo hi  'a  b' '' c",
                                        "true",
                                        "false",
                                        "ls /nowhere",
                                        "cat /etc/hostname",
                                        "/usr/bin/printenv SHLVL PWD _",
                                        "/usr/bin/printenv A OLDPWD",
                                        "sh -c 'echo $0 $PPID'",
                                        "sh -c 'kill -9 $$'",
                                        "sh -c 'exit 41'",
                                        "basename ../a/b",
                                        "grep -c PATH= /proc/self/environ"};
    static char with[OUTPUT_MAX], without[OUTPUT_MAX];

    assert_int_equal(chdir("/tmp"), 0);
    for (size_t i = 1; i < sizeof lines / sizeof lines[0]; i++) {
        int a = run(lines[i], false, with), b = run(lines[i], true, without);

        if (a != b || strcmp(with, without) != 0)
            fail_msg("%s: bash %d: %s; plain %d: %s", lines[i], a, with, b, without);
    }
    assert_int_equal(WEXITSTATUS(run(lines[0], true, without)), 99);
}

static void what_cannot_be_executed_is_left_to_bash(void **state)
{
    static const char *const lines[] = {"no-such-program", "/tmp", "./no/such", "/etc/hostname"};
    static char out[OUTPUT_MAX];

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_int_equal(WEXITSTATUS(run(lines[i], true, out)), 99);
        assert_string_equal(out, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_words_need_no_shell),
        cmocka_unit_test(everything_else_is_the_shells),
        cmocka_unit_test(what_is_too_long_is_the_shells),
        cmocka_unit_test(variables_that_bash_changes_are_the_shells),
        cmocka_unit_test(a_plain_line_does_as_it_does_in_bash),
        cmocka_unit_test(what_cannot_be_executed_is_left_to_bash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

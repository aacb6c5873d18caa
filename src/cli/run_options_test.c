/* Tests of run_options: the command line of `dunlin run`. */
#include "cli/run_options.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test_support.h"
#include "engine/language.h"

#define ARGS_MAX 32

static char folder[] = "/tmp/run_options_test.XXXXXX";

static int make_files(void **state)
{
    static const struct {
        const char *name, *text;
    } files[] = {{"a.py", "print(1)"}, {"b.sh", "echo b"}, {"data.bin", "\x01\x02"}, {"plain", ""}};

    if (mkdtemp(folder) == NULL || chdir(folder) < 0)
        return -1;
    for (size_t i = 0; i < TEST_COUNT(files); i++) {
        _cleanup_fd_ int fd = open(files[i].name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

        if (fd_write_all(fd, files[i].text, strlen(files[i].text), NULL) < 0)
            return -1;
    }
    return 0;
}

static int remove_files(void **state)
{
    char command[sizeof folder + 16];

    snprintf(command, sizeof command, "rm -r %s", folder);
    return chdir("/") < 0 ? -1 : system(command);
}

/* Parses words separated by blanks. */
static int parse(struct run_options *o, const char *text, struct err *e)
{
    static char words[4096];
    char *argv[ARGS_MAX + 1], *rest = words, *word;
    int argc = 0;

    snprintf(words, sizeof words, "run %s", text);
    while ((word = strsep(&rest, " ")) != NULL && argc < ARGS_MAX)
        argv[argc++] = word;
    argv[argc] = NULL;
    return run_options_parse(o, argc, argv, e);
}

static void a_file_alone_gets_the_defaults(void **state)
{
    struct run_options o;

    assert_int_equal(parse(&o, "a.py", NULL), 0);
    assert_string_equal(o.spec->language->name, "python");
    assert_int_equal(o.spec->code_len, 8);
    assert_memory_equal(o.spec->code, "print(1)", 8);
    assert_int_equal(o.spec->timeout_ms, 30000);
    assert_int_equal(o.spec->limits.memory_mb, 0);
    assert_int_equal(o.spec->files_mode, RUN_FILES_CHANGED);
    assert_int_equal(o.spec->nargs, 0);
    assert_null(o.spec->stdin_data);
    assert_null(o.output);
    assert_null(o.data);
    assert_false(o.json);
    run_options_finish(&o);
    assert_null(o.spec);
    run_options_finish(&o);
}

static void every_option_is_taken(void **state)
{
    struct run_options o;

    assert_int_equal(parse(&o,
                           "--language js --timeout 5 --memory 64 --env A=1 --env B= --file b.sh "
                           "--output out --data /d --json a.py",
                           NULL),
                     0);
    assert_string_equal(o.spec->language->name, "javascript");
    assert_int_equal(o.spec->timeout_ms, 5000);
    assert_int_equal(o.spec->limits.memory_mb, 64);
    assert_int_equal(o.spec->nenv, 2);
    assert_string_equal(o.spec->env[0], "A=1");
    assert_string_equal(o.spec->env[1], "B=");
    assert_int_equal(o.spec->nfiles, 1);
    assert_string_equal(o.spec->files[0].name, "b.sh");
    assert_memory_equal(o.spec->files[0].data, "echo b", 6);
    assert_string_equal(o.output, "out");
    assert_string_equal(o.data, "/d");
    assert_true(o.json);
    run_options_finish(&o);
}

static void what_follows_the_file_is_the_programs(void **state)
{
    struct run_options o;

    assert_int_equal(parse(&o, "b.sh --json -- --timeout x", NULL), 0);
    assert_string_equal(o.spec->language->name, "shell");
    assert_false(o.json);
    assert_int_equal(o.spec->nargs, 4);
    assert_string_equal(o.spec->args[0], "--json");
    assert_string_equal(o.spec->args[1], "--");
    assert_string_equal(o.spec->args[3], "x");
    run_options_finish(&o);
}

static void input_files_lose_their_folders(void **state)
{
    struct run_options o;
    char words[128];

    snprintf(words, sizeof words, "--file %s/data.bin a.py", folder);
    assert_int_equal(parse(&o, words, NULL), 0);
    assert_string_equal(o.spec->files[0].name, "data.bin");
    assert_int_equal(o.spec->files[0].len, 2);
    run_options_finish(&o);
}

static void the_language_follows_from_the_ending(void **state)
{
    struct err e = {0};
    struct run_options o;

    assert_int_equal(parse(&o, "data.bin", &e), -1);
    assert_contains(e.text, "cannot tell the language");
    run_options_finish(&o);
    assert_int_equal(parse(&o, "plain", NULL), 0);
    assert_string_equal(o.spec->language->name, "python");
    run_options_finish(&o);
    assert_int_equal(parse(&o, "--language sh data.bin", NULL), 0);
    assert_string_equal(o.spec->language->name, "shell");
    run_options_finish(&o);
}

/* Only the name's own dot counts. */
static void a_dot_in_a_folders_name_is_no_ending(void **state)
{
    struct run_options o;

    assert_int_equal(mkdir("v1.2", 0755), 0);
    assert_int_equal(symlink("../plain", "v1.2/plain"), 0);
    assert_int_equal(parse(&o, "v1.2/plain", NULL), 0);
    assert_string_equal(o.spec->language->name, "python");
    run_options_finish(&o);
}

static void help_needs_no_file(void **state)
{
    struct run_options o;

    assert_int_equal(parse(&o, "--help", NULL), 0);
    assert_true(o.help);
    run_options_finish(&o);
}

static void wrong_words_are_refused_by_name(void **state)
{
    static const struct {
        const char *words, *text;
    } wrong[] = {
        {"--timeout 0 a.py", "--timeout"},
        {"--timeout -5 a.py", "--timeout"},
        {"--timeout 1.5 a.py", "'1.5'"},
        {"--timeout 86401 a.py", "86400"},
        {"--timeout 99999999999999999999 a.py", "--timeout"},
        {"--memory 64m a.py", "--memory"},
        {"--memory  a.py", "--memory"},
        {"--env A a.py", "NAME=VALUE"},
        {"--env =1 a.py", "NAME=VALUE"},
        {"--language cobol a.py", "cobol"},
        {"--file none a.py", "none"},
        {"none.py", "none.py"},
        {"--json", "which file"},
    };

    for (size_t i = 0; i < TEST_COUNT(wrong); i++) {
        struct err e = {0};
        struct run_options o;

        assert_int_equal(parse(&o, wrong[i].words, &e), -1);
        assert_int_equal(e.code, ERR_INVALID);
        assert_contains(e.text, wrong[i].text);
        run_options_finish(&o);
    }
}

static void use_as_stdin(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    close(fd);
}

static void stdin_can_be_the_programs_input(void **state)
{
    struct run_options o;

    use_as_stdin("b.sh");
    assert_int_equal(parse(&o, "--stdin a.py", NULL), 0);
    assert_int_equal(o.spec->stdin_len, 6);
    assert_memory_equal(o.spec->stdin_data, "echo b", 6);
    run_options_finish(&o);
}

static void stdin_can_be_the_program(void **state)
{
    struct run_options o;

    use_as_stdin("a.py");
    assert_int_equal(parse(&o, "- x", NULL), 0);
    assert_string_equal(o.spec->language->name, "python");
    assert_memory_equal(o.spec->code, "print(1)", 8);
    assert_string_equal(o.spec->args[0], "x");
    run_options_finish(&o);
}

static void an_endless_input_is_refused(void **state)
{
    struct err e = {0};
    struct run_options o;

    assert_int_equal(parse(&o, "--language py /dev/zero", &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    run_options_finish(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_alone_gets_the_defaults),
        cmocka_unit_test(every_option_is_taken),
        cmocka_unit_test(what_follows_the_file_is_the_programs),
        cmocka_unit_test(input_files_lose_their_folders),
        cmocka_unit_test(the_language_follows_from_the_ending),
        cmocka_unit_test(a_dot_in_a_folders_name_is_no_ending),
        cmocka_unit_test(help_needs_no_file),
        cmocka_unit_test(wrong_words_are_refused_by_name),
        cmocka_unit_test(stdin_can_be_the_programs_input),
        cmocka_unit_test(stdin_can_be_the_program),
        cmocka_unit_test(an_endless_input_is_refused),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}

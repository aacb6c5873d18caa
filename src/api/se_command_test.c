/* Tests of se_command: contract B6.1, rulings 27 and 33. */
#include "api/se_command.h"

#include "base/test_support.h"

static void arguments_are_words_as_they_stand(void **state)
{
    static const char *const args[] = {"a b", "$HOME;id", "it's", "", "-n", "\n\"`", NULL};
    struct buf line = {0};
    assert_int_equal(se_command_line(&line, "echo hi | cat", NULL), 0);
    assert_string_equal(line.data, "echo hi | cat");
    buf_finish(&line);
    assert_int_equal(se_command_line(&line, "echo", args), 0);
    assert_string_equal(line.data, "echo 'a b' '$HOME;id' 'it'\\''s' '' '-n' '\n\"`'");
    buf_finish(&line);
}

static void only_listed_commands_are_allowed_if_there_is_a_list(void **state)
{
    assert_true(se_command_is_allowed("anything at all", ""));
    assert_true(se_command_is_allowed("anything", " , "));
    assert_true(se_command_is_allowed("  ls -l", "cat, ls,grep"));
    assert_true(se_command_is_allowed("ls|cat", "ls"));
    assert_false(se_command_is_allowed("lsx", "ls"));
    assert_false(se_command_is_allowed("l", "ls"));
    assert_false(se_command_is_allowed("", "ls"));
    assert_false(se_command_is_allowed("rm x", "cat,ls"));
}

static void scripts_have_their_extension(void **state)
{
    const struct se_language *python = se_language_find("python", 6);
    const struct se_language *shell = se_language_find("shell", 5);
    static const struct {
        const char *given, *name;
    } cases[] = {{"", "script_17.py"}, {"a", "a.py"}, {"a.txt", "a.txt.py"}, {"d/a.py", "d/a.py"}};
    assert_string_equal(shell->extension, ".sh");
    assert_string_equal(se_language_find("javascript", 10)->program, "node");
    assert_null(se_language_find("Python", 6));
    assert_null(se_language_find("pytho", 5));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf name = {0};
        assert_int_equal(se_script_name(&name, python, cases[i].given, strlen(cases[i].given), 17),
                         0);
        assert_string_equal(name.data, cases[i].name);
        buf_finish(&name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_are_words_as_they_stand),
        cmocka_unit_test(only_listed_commands_are_allowed_if_there_is_a_list),
        cmocka_unit_test(scripts_have_their_extension),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

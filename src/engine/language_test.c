/* Tests of language: the table is complete, and its names are found. */
#include "engine/language.h"

#include "base/test_support.h"

static void every_name_and_alias_finds_its_language(void **state)
{
    const struct language *l;

    for (size_t i = 0; (l = language_at(i)) != NULL; i++) {
        assert_ptr_equal(language_find(l->name), l);
        for (const char *const *alias = l->aliases; *alias != NULL; alias++)
            assert_ptr_equal(language_find(*alias), l);
    }
}

static void names_are_not_case_sensitive(void **state)
{
    assert_string_equal(language_find("PYTHON")->name, "python");
    assert_string_equal(language_find("Bash")->name, "shell");
    assert_string_equal(language_find("nodeJS")->name, "javascript");
}

static void what_is_not_in_the_table_is_not_found(void **state)
{
    assert_null(language_find(""));
    assert_null(language_find("pytho"));
    assert_null(language_find("python "));
    assert_null(language_find("ruby"));
}

static void every_entry_can_be_started(void **state)
{
    const struct language *l;
    size_t n = 0;

    for (; (l = language_at(n)) != NULL; n++) {
        assert_non_null(l->argv[0]);
        assert_int_equal(l->argv[0][0], '/');
        assert_null(strchr(l->main_file, '/'));
        assert_true(l->runner || !l->policy); /* only our runner knows the policy */
    }
    assert_true(n >= 3);
    assert_null(language_at(n + 1));
}

static void a_language_is_available_once_the_machine_was_asked(void **state)
{
    const struct language *shell = language_find("sh"), *python = language_find("py");

    assert_false(language_available(shell));
    language_set_available(shell, true);
    assert_true(language_available(shell));
    assert_false(language_available(python));
    language_set_available(shell, false);
    assert_false(language_available(shell));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_and_alias_finds_its_language),
        cmocka_unit_test(names_are_not_case_sensitive),
        cmocka_unit_test(what_is_not_in_the_table_is_not_found),
        cmocka_unit_test(every_entry_can_be_started),
        cmocka_unit_test(a_language_is_available_once_the_machine_was_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

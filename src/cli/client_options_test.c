/* Tests of client_options: the words behind `dunlin env` and `dunlin image`. */
#include "cli/client_options.h"

#include <stdio.h>

#include "base/test_support.h"
#include "cli/words.h"

#define ARGS_MAX 16

static const struct client_command commands[] = {
    {"create", 2,
     OPTION_DESCRIPTION | OPTION_WARM | OPTION_NETWORK | OPTION_WAIT | OPTION_WAIT_TIMEOUT, NULL},
    {"list", 0, OPTION_JSON, NULL},
    {"logs", 1, OPTION_FOLLOW | OPTION_TAIL, NULL},
    {"delete", 1, OPTION_YES, NULL},
    {0},
};

/* Parses words separated by blanks; _ stands for an empty one. */
static int parse(struct client_options *o, const char *text, struct err *e)
{
    static char words[1024];
    char *argv[ARGS_MAX + 1], *rest = words, *word;
    int argc = 0;

    snprintf(words, sizeof words, "env %s", text);
    while ((word = strsep(&rest, " ")) != NULL && argc < ARGS_MAX)
        argv[argc++] = strcmp(word, "_") == 0 ? (char *)"" : word;
    argv[argc] = NULL;
    return client_options_parse(o, commands, argc, argv, e);
}

static void the_defaults_come_from_the_environment(void **state)
{
    struct client_options o;

    unsetenv("DUNLIN_URL");
    unsetenv("DUNLIN_API_KEY");
    assert_int_equal(parse(&o, "list", NULL), 0);
    assert_string_equal(o.url, "http://localhost:8000");
    assert_null(o.key);
    assert_int_equal(o.wait_minutes, 10);
    assert_int_equal(o.tail, -1);

    setenv("DUNLIN_URL", "https://h:1", 1);
    setenv("DUNLIN_API_KEY", "k", 1);
    assert_int_equal(parse(&o, "list", NULL), 0);
    assert_string_equal(o.url, "https://h:1");
    assert_string_equal(o.key, "k");
    setenv("DUNLIN_URL", "", 1);
    assert_int_equal(parse(&o, "list --key x", NULL), 0);
    assert_string_equal(o.url, "http://localhost:8000");
    assert_string_equal(o.key, "x");
    unsetenv("DUNLIN_URL");
    unsetenv("DUNLIN_API_KEY");
}

static void options_may_stand_anywhere(void **state)
{
    static const char *const orders[] = {"--url u create --wait n s --description d",
                                         "create n s --url u --wait --description=d",
                                         "create --description d n --url=u s --wait"};

    for (size_t i = 0; i < TEST_COUNT(orders); i++) {
        struct client_options o;

        assert_int_equal(parse(&o, orders[i], NULL), 0);
        assert_string_equal(o.command->name, "create");
        assert_string_equal(o.argument[0], "n");
        assert_string_equal(o.argument[1], "s");
        assert_string_equal(o.url, "u");
        assert_string_equal(o.description, "d");
        assert_true(o.wait);
    }
}

static void short_options_and_a_dash_are_understood(void **state)
{
    struct client_options o;

    assert_int_equal(parse(&o, "logs -f -n 3 x", NULL), 0);
    assert_true(o.follow);
    assert_int_equal(o.tail, 3);
    assert_int_equal(parse(&o, "create n -", NULL), 0);
    assert_string_equal(o.argument[1], "-");
    assert_int_equal(parse(&o, "delete -- -y", NULL), 0);
    assert_string_equal(o.argument[0], "-y");
    assert_false(o.yes);
}

static void no_command_and_help_are_no_error(void **state)
{
    struct client_options o;

    assert_int_equal(parse(&o, "--lang zh", NULL), 0);
    assert_null(o.command);
    assert_int_equal(words_language, WORDS_CHINESE);
    assert_int_equal(parse(&o, "create --help --lang en", NULL), 0);
    assert_true(o.help);
    assert_int_equal(words_language, WORDS_ENGLISH);
}

static void an_empty_warm_list_is_one(void **state)
{
    struct client_options o;

    assert_int_equal(parse(&o, "create n s --warm _", NULL), 0);
    assert_string_equal(o.warm, "");
}

static void wrong_words_are_refused_by_name(void **state)
{
    static const struct {
        const char *words, *text;
    } wrong[] = {{"fly", "'fly'"},
                 {"create n", "2 arguments, not 1"},
                 {"create n s t u v", "2 arguments, not 5"},
                 {"list n", "0 arguments, not 1"},
                 {"delete _", "not empty"},
                 {"list --wings", "--wings"},
                 {"list -x", "-x"},
                 {"list --url", "--url"},
                 {"list --follow", "no option --follow"},
                 {"delete n --json", "no option --json"},
                 {"logs n --tail -1", "'-1'"},
                 {"logs n --tail 1x", "'1x'"},
                 {"create n s --wait-timeout 0", "'0'"},
                 {"create n s --wait-timeout 99999999999999999999", "9999"},
                 {"create n s --network host", "'host'"},
                 {"list --lang fr", "'fr'"}};

    for (size_t i = 0; i < TEST_COUNT(wrong); i++) {
        struct client_options o;
        struct err e = {0};

        assert_int_equal(parse(&o, wrong[i].words, &e), -1);
        assert_int_equal(e.code, ERR_INVALID);
        assert_contains(e.text, wrong[i].text);
    }
}

static int in_english(void **state)
{
    return setenv("LC_ALL", "C", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_come_from_the_environment),
        cmocka_unit_test(options_may_stand_anywhere),
        cmocka_unit_test(short_options_and_a_dash_are_understood),
        cmocka_unit_test(no_command_and_help_are_no_error),
        cmocka_unit_test(an_empty_warm_list_is_one),
        cmocka_unit_test(wrong_words_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, in_english, NULL);
}

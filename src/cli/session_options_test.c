/* session_options_test: words of `dunlin session`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/test_support.h"
#include "cli/session_options.h"

static int nothing(struct client *c, const struct session_options *o)
{
    return 0;
}

static const struct session_command commands[] = {
    {"create", "", 0, 0, false, " id ephemeral env idle-timeout ", nothing},
    {"exec", "ID COMMAND...", 1, -1, true, " cwd env timeout ", nothing},
    {"cp", "FROM TO", 2, 2, false, "", nothing},
    {0},
};

#define MAX_WORDS 12

/* Parses words that are separated by '|'; they live as long as `o` does. */
static int parse(struct session_options *o, const char *words, struct err *e)
{
    static char text[512], *argv[MAX_WORDS + 1];
    int argc = 1;

    unsetenv("DUNLIN_URL");
    unsetenv("DUNLIN_API_KEY");
    setenv("LC_ALL", "C", 1);
    snprintf(text, sizeof text, "%s", words);
    argv[0] = (char *)"session";
    for (char *word = strtok(text, "|"); word != NULL && argc < MAX_WORDS; word = strtok(NULL, "|"))
        argv[argc++] = word;
    argv[argc] = NULL;
    *e = (struct err){0};
    return session_options_parse(o, commands, argc, argv, e);
}

static void options_stand_anywhere_before_the_words_of_a_program(void **state)
{
    struct session_options o;
    struct err e;

    assert_int_equal(parse(&o, "--url|http://h|exec|--cwd=/tmp|-e|A=1|id|ls|-l|--cwd|x", &e), 0);
    assert_string_equal(o.common.url, "http://h");
    assert_string_equal(o.cwd, "/tmp");
    assert_int_equal(o.nenv, 1);
    assert_int_equal(o.nwords, 5);
    assert_string_equal(o.words[0], "id");
    assert_string_equal(o.words[2], "-l");
    assert_string_equal(o.words[4], "x");
    assert_string_equal(o.common.argument[0], "id");
}

static void two_dashes_end_the_options(void **state)
{
    struct session_options o;
    struct err e;

    assert_int_equal(parse(&o, "cp|--|-|--json", &e), 0);
    assert_false(o.common.json);
    assert_int_equal(o.nwords, 2);
    assert_int_equal(parse(&o, "exec|--|id|--|x", &e), 0);
    assert_int_equal(o.nwords, 3);
}

static void a_dash_alone_is_a_word(void **state)
{
    struct session_options o;
    struct err e;

    assert_int_equal(parse(&o, "cp|-|id:x", &e), 0);
    assert_string_equal(o.words[0], "-");
}

static void wrong_words_are_refused_with_what_is_wrong(void **state)
{
    static const struct {
        const char *words, *told;
    } cases[] = {
        {"frob", "no command 'frob'"},
        {"cp|one", "usage: dunlin session cp FROM TO"},
        {"cp|a|b|c", "usage:"},
        {"create|--cwd|/", "no option '--cwd'"},
        {"create|--id", "wants a value"},
        {"create|--ephemeral=yes", "takes no value"},
        {"create|--env|novalue", "NAME=VALUE"},
        {"create|--env|=x", "NAME=VALUE"},
        {"create|--idle-timeout|0", "seconds"},
        {"create|--idle-timeout|1e3", "seconds"},
        {"create|--lang|fr", "zh or en"},
        {"create|-x", "no option '-x'"},
        {"create|--i|x", "no option '--i'"},
        {"exec", "usage:"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct session_options o;
        struct err e;

        assert_int_equal(parse(&o, cases[i].words, &e), -1);
        assert_contains(e.text, cases[i].told);
    }
}

static void no_command_and_help_are_no_error(void **state)
{
    struct session_options o;
    struct err e;

    assert_int_equal(parse(&o, "", &e), 0);
    assert_null(o.command);
    assert_int_equal(parse(&o, "cp|--help", &e), 0);
    assert_true(o.help);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_stand_anywhere_before_the_words_of_a_program),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(a_dash_alone_is_a_word),
        cmocka_unit_test(wrong_words_are_refused_with_what_is_wrong),
        cmocka_unit_test(no_command_and_help_are_no_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

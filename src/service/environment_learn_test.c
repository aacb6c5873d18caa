/* Tests of environment_learn. */
#include "service/environment_learn.h"

#include <stdio.h>

#include "base/test_support.h"

static const char *best(const struct environment_learn *l)
{
    static char out[LEARN_LIST];

    environment_learn_best(l, out);
    return out;
}

static void note(struct environment_learn *l, const char *modules, int times)
{
    for (int i = 0; i < times; i++)
        environment_learn_note(l, modules);
}

static void the_most_frequent_come_first(void **state)
{
    struct environment_learn l = {0};

    note(&l, "json,numpy", 3);
    note(&l, "numpy,pandas.core", 2);
    assert_string_equal(best(&l), "numpy,json,pandas.core");
}

static void one_run_proves_nothing_and_what_is_rare_is_left_out(void **state)
{
    struct environment_learn l = {0};

    note(&l, "numpy", 1);
    assert_string_equal(best(&l), "");
    note(&l, "numpy", 31);
    note(&l, "rare", 1);
    assert_string_equal(best(&l), "numpy");
}

static void what_is_no_name_is_ignored(void **state)
{
    struct environment_learn l = {0};
    char longest[LEARN_NAME + 8];

    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    note(&l, ",,a b,1x,.x,x.,x..y,../x,\xc3\xa9,x-y,os; rm,\n,a\n", 3);
    note(&l, longest, 3);
    note(&l, "", 3);
    assert_string_equal(best(&l), "");
    note(&l, "_x9.y", 3);
    assert_string_equal(best(&l), "_x9.y");
}

static void a_run_counts_once_for_each_name(void **state)
{
    struct environment_learn l = {0};

    note(&l, "a,a,a,a,a,a,a,a,a,a", 1);
    note(&l, "b", 2);
    assert_string_equal(best(&l), "b,a");
}

static void the_list_is_bounded(void **state)
{
    struct environment_learn l = {0};
    char name[LEARN_NAME + 4];

    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 40; i++) {
            snprintf(name, sizeof name, "a%062d", i);
            environment_learn_note(&l, name);
        }
    }
    /* An eighth of the runs: none is that frequent. */
    assert_string_equal(best(&l), "");
    l.runs = 8;
    assert_in_range(strlen(best(&l)), 400, LEARN_LIST - 1);
}

static void a_frequent_name_survives_a_flood_of_others(void **state)
{
    struct environment_learn l = {0};
    char list[LEARN_NAME * 80];

    for (int run = 0; run < 50; run++) {
        size_t len = (size_t)sprintf(list, "numpy");

        for (int i = 0; i < 30; i++)
            len += (size_t)sprintf(list + len, ",x%d_%d", run, i);
        environment_learn_note(&l, list);
    }
    assert_memory_equal(best(&l), "numpy", 5);
}

static void old_habits_fade(void **state)
{
    struct environment_learn l = {0};

    note(&l, "old", 1000);
    note(&l, "new", 30000);
    assert_string_equal(best(&l), "new");
}

static void it_starts_from_what_was_learned_before(void **state)
{
    struct environment_learn l;

    environment_learn_seed(&l, "numpy,pandas");
    assert_string_equal(best(&l), "numpy,pandas");
    environment_learn_seed(&l, "");
    assert_string_equal(best(&l), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_most_frequent_come_first),
        cmocka_unit_test(one_run_proves_nothing_and_what_is_rare_is_left_out),
        cmocka_unit_test(what_is_no_name_is_ignored),
        cmocka_unit_test(a_run_counts_once_for_each_name),
        cmocka_unit_test(the_list_is_bounded),
        cmocka_unit_test(a_frequent_name_survives_a_flood_of_others),
        cmocka_unit_test(old_habits_fade),
        cmocka_unit_test(it_starts_from_what_was_learned_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

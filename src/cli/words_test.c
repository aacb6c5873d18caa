/* Tests of words: which language is spoken. */
#include "cli/words.h"

#include "base/test_support.h"

static void set_locale(const char *all, const char *messages, const char *lang)
{
    setenv("LC_ALL", all, 1);
    setenv("LC_MESSAGES", messages, 1);
    setenv("LANG", lang, 1);
    words_by_locale();
}

static void a_chinese_locale_speaks_chinese(void **state)
{
    static const char *const names[] = {"zh_CN.UTF-8", "zh", "zh_TW", "zh-Hans", "zh.UTF-8"};

    for (size_t i = 0; i < TEST_COUNT(names); i++) {
        set_locale("", "", names[i]);
        assert_int_equal(words_language, WORDS_CHINESE);
    }
}

static void every_other_locale_speaks_english(void **state)
{
    static const char *const names[] = {"C", "POSIX", "en_GB.UTF-8", "de_DE", "zha_CN", ""};

    for (size_t i = 0; i < TEST_COUNT(names); i++) {
        set_locale("", "", names[i]);
        assert_int_equal(words_language, WORDS_ENGLISH);
    }
}

static void the_first_variable_that_is_set_decides(void **state)
{
    set_locale("C", "zh_CN", "zh_CN");
    assert_int_equal(words_language, WORDS_ENGLISH);
    set_locale("", "zh_CN", "C");
    assert_int_equal(words_language, WORDS_CHINESE);
}

static void a_language_can_be_chosen_by_name(void **state)
{
    assert_int_equal(words_choose("zh"), 0);
    assert_string_equal(WORDS("yes", "是"), "是");
    assert_int_equal(words_choose("en_US"), 0);
    assert_string_equal(WORDS("yes", "是"), "yes");
    assert_int_equal(words_choose("fr"), -1);
    assert_int_equal(words_choose(""), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chinese_locale_speaks_chinese),
        cmocka_unit_test(every_other_locale_speaks_english),
        cmocka_unit_test(the_first_variable_that_is_set_decides),
        cmocka_unit_test(a_language_can_be_chosen_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

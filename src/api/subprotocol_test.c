#include "api/subprotocol.h"

#include <string.h>

#include "base/test_support.h"

static void assert_key(const char *offered, const char *expected)
{
    char key[SUBPROTOCOL_KEY_MAX];
    assert_true(subprotocol_key(offered, key));
    assert_string_equal(key, expected);
}

static void a_key_is_read_from_the_offer(void **state)
{
    assert_key("dunlin.key.YWJj", "abc");
    assert_key("dunlin, dunlin.key.YWI", "ab");
    assert_key("chat ,\tdunlin.key.Pj4-Pz8_  , dunlin", ">>>?\?\?");
}

static void what_is_no_key_is_refused(void **state)
{
    static const char *const wrong[] = {"",           "dunlin",          "dunlin.key.",
                                        "dunlin.key", "dunlin.key.YWJ=", "dunlin.key.Y",
                                        "x.key.YWJj", "dunlin.key.AA",   "dunlin.key.!!!!"};
    char key[SUBPROTOCOL_KEY_MAX], longest[4096] = "dunlin.key.";
    for (size_t i = 0; i < TEST_COUNT(wrong); i++)
        assert_false(subprotocol_key(wrong[i], key));
    assert_false(subprotocol_key(NULL, key));
    memset(longest + strlen(longest), 'Y', 3000);
    assert_false(subprotocol_key(longest, key));
}

static void only_our_own_is_agreed_upon(void **state)
{
    assert_string_equal(subprotocol_agreed("chat, dunlin"), "dunlin");
    assert_null(subprotocol_agreed("dunlin.key.YWJj"));
    assert_null(subprotocol_agreed(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_read_from_the_offer),
        cmocka_unit_test(what_is_no_key_is_refused),
        cmocka_unit_test(only_our_own_is_agreed_upon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

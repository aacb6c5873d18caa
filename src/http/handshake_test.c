/* Tests of handshake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/handshake.h"

static void test_a_token_is_found_in_a_list(void **state)
{
    assert_true(handshake_list_has("Upgrade", "upgrade"));
    assert_true(handshake_list_has("keep-alive, Upgrade", "upgrade"));
    assert_true(handshake_list_has(" ,\tupgrade ,x", "upgrade"));
    assert_false(handshake_list_has("upgrades", "upgrade"));
    assert_false(handshake_list_has("x upgrade-insecure", "upgrade"));
    assert_false(handshake_list_has("", "upgrade"));
    assert_false(handshake_list_has(NULL, "upgrade"));
}

static void test_the_answer_to_a_key_is_that_of_the_rfc(void **state)
{
    char accept[HANDSHAKE_ACCEPT_SIZE];

    assert_true(handshake_key_is_valid("dGhlIHNhbXBsZSBub25jZQ=="));
    assert_int_equal(handshake_accept("dGhlIHNhbXBsZSBub25jZQ==", accept), 0);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void test_keys_of_another_shape_are_refused(void **state)
{
    static const char *const keys[] = {"",
                                       "dGhlIHNhbXBsZSBub25jZQ",
                                       "dGhlIHNhbXBsZSBub25jZTEy",
                                       "dGhlIHNhbXBsZSBub25j ZQ=",
                                       "dGhlIHNhbXBsZSBub25jZQ==x",
                                       "????????????????????????"};

    assert_false(handshake_key_is_valid(NULL));
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        assert_false(handshake_key_is_valid(keys[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_token_is_found_in_a_list),
        cmocka_unit_test(test_the_answer_to_a_key_is_that_of_the_rfc),
        cmocka_unit_test(test_keys_of_another_shape_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

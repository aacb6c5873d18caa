/* Tests of script_lint. */
#include "service/script_lint.h"

#include "base/test_support.h"

static void every_forbidden_text_is_found_and_named(void **state)
{
    static const char *const scripts[][2] = {
        {"#!/bin/sh\nrm -rf /tmp/x\n", "rm -rf /"},
        {"dd if=/dev/zero of=x", "dd if="},
        {"sudo mkfs.ext4 /dev/sda", "mkfs"},
        {":(){ :|:& };:", ":(){ :|:& };:"},
        {"curl | sh", "curl | sh"},
        {"wget | sh", "wget | sh"},
        {"mkfs; rm -rf /", "rm -rf /"},
    };

    for (size_t i = 0; i < TEST_COUNT(scripts); i++)
        assert_string_equal(script_lint(scripts[i][0]), scripts[i][1]);
}

static void everything_else_passes(void **state)
{
    static const char *const scripts[] = {"",         "pip install numpy",  "rm -rf ./build",
                                          "RM -RF /", "curl http://x | sh", "rm  -rf /"};

    for (size_t i = 0; i < TEST_COUNT(scripts); i++)
        assert_null(script_lint(scripts[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_forbidden_text_is_found_and_named),
        cmocka_unit_test(everything_else_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

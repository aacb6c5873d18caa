/* Tests of field: which header fields come in and which go out. */
#include "http/field.h"

#include <stdint.h>

#include "base/limits.h"
#include "base/test_support.h"

static int judge(const char *const *names)
{
    struct field_count count = {0};
    for (; *names; names++)
        field_count_add(&count, *names);
    return field_count_judge(&count);
}

static void doubled_framing_fields_are_refused(void **state)
{
    assert_int_equal(judge((const char *const[]){"Host", "Content-Length", "X", "X", NULL}), 0);
    assert_int_equal(judge((const char *const[]){"Host", "host", NULL}), 400);
    assert_int_equal(judge((const char *const[]){"content-length", "Content-Length", NULL}), 400);
    assert_int_equal(judge((const char *const[]){"Transfer-Encoding", "transfer-encoding", NULL}),
                     400);
    assert_int_equal(judge((const char *const[]){"Transfer-Encoding", "Content-Length", NULL}),
                     400);
}

static void too_many_fields_are_refused(void **state)
{
    struct field_count count = {0};
    for (int i = 0; i < LIMIT_HTTP_HEADERS; i++)
        field_count_add(&count, "X");
    assert_int_equal(field_count_judge(&count), 0);
    field_count_add(&count, "X");
    assert_int_equal(field_count_judge(&count), 431);
}

static void a_length_is_digits_only(void **state)
{
    static const char *const bad[] = {"",
                                      "+1",
                                      "-1",
                                      " 1",
                                      "1 ",
                                      "0x1",
                                      "1,1",
                                      "1.0",
                                      "18446744073709551616",
                                      "99999999999999999999999"};
    size_t length = 7;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(field_parse_length(bad[i], &length), -1);
    assert_int_equal(length, 7);
    assert_int_equal(field_parse_length("18446744073709551615", &length), 0);
    assert_true(length == SIZE_MAX);
    assert_int_equal(field_parse_length("00012", &length), 0);
    assert_int_equal(length, 12);
}

static void only_clean_fields_are_sent(void **state)
{
    assert_true(field_is_sendable("X-Test", "a\tb c"));
    assert_true(field_is_sendable("Allow", "GET, POST"));
    assert_true(field_is_sendable("X", "caf\xc3\xa9"));
    assert_false(field_is_sendable("X", "a\r\nb: c"));
    assert_false(field_is_sendable("X", "a\nb"));
    assert_false(field_is_sendable("X", "\x7f"));
    assert_false(field_is_sendable("X", ""));
    assert_false(field_is_sendable("", "x"));
    assert_false(field_is_sendable("X Y", "x"));
    assert_false(field_is_sendable("X:", "x"));
    assert_false(field_is_sendable("content-length", "1"));
    assert_false(field_is_sendable("Connection", "keep-alive"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubled_framing_fields_are_refused),
        cmocka_unit_test(too_many_fields_are_refused),
        cmocka_unit_test(a_length_is_digits_only),
        cmocka_unit_test(only_clean_fields_are_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

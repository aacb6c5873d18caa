/* Tests of session: what init may say, and what it may not. */
#include "wire/session.h"

#include "base/test_support.h"

static size_t make(char *out, uint32_t op, const void *fixed, size_t len, const char *text)
{
    struct session_head head = {op, 7};

    memcpy(out, &head, sizeof head);
    if (len > 0)
        memcpy(out + sizeof head, fixed, len);
    memcpy(out + sizeof head + len, text, strlen(text));
    return sizeof head + len + strlen(text);
}

static void every_kind_comes_back_as_it_was_sent(void **state)
{
    static const struct {
        uint32_t op;
        size_t fixed;
        const char *text;
    } sent[] = {
        {SESSION_UP, 0, ""},
        {SESSION_STARTED, sizeof(struct session_started), ""},
        {SESSION_ADMITTED, 0, ""},
        {SESSION_READY, sizeof(struct session_started), ""},
        {SESSION_ENDED, sizeof(struct session_ended), ""},
        {SESSION_ENDED, sizeof(struct session_ended), "no such file"},
        {SESSION_STOPPED, 0, ""},
        {SESSION_FAILED, 0, ""},
        {SESSION_FAILED, 0, "no memory"},
    };
    char fixed[64], data[128];

    for (size_t i = 0; i < sizeof fixed; i++)
        fixed[i] = (char)(i + 1);
    for (size_t i = 0; i < TEST_COUNT(sent); i++) {
        size_t size = make(data, sent[i].op, fixed, sent[i].fixed, sent[i].text);
        struct session_message m;

        assert_int_equal(session_parse(data, size, &m, NULL), 0);
        assert_int_equal(m.head.op, sent[i].op);
        assert_int_equal(m.head.id, 7);
        assert_memory_equal(&m.started, fixed, sent[i].fixed);
        assert_int_equal(m.text_len, strlen(sent[i].text));
        assert_memory_equal(m.text, sent[i].text, m.text_len);
        assert_ptr_equal(m.text + m.text_len, data + size);
    }
}

static void another_length_is_refused(void **state)
{
    struct session_ended ended = {.wait_status = 9};
    struct session_message m;
    struct err e = {0};
    char data[128];
    size_t size = make(data, SESSION_ENDED, &ended, sizeof ended, "");

    for (size_t len = 0; len < size; len++)
        assert_int_equal(session_parse(data, len, &m, &e), -1);
    assert_int_equal(e.code, ERR_INVALID);
    assert_int_equal(session_parse(data, SESSION_MESSAGE_MAX + 1, &m, &e), -1);
    size = make(data, SESSION_UP, NULL, 0, "x");
    assert_int_equal(session_parse(data, size, &m, &e), -1);
    size = make(data, SESSION_STARTED, &ended, sizeof(struct session_started), "x");
    assert_int_equal(session_parse(data, size, &m, &e), -1);
}

static void what_only_the_server_says_is_refused(void **state)
{
    static const uint32_t ops[] = {
        0, SESSION_EXEC, SESSION_STOP, SESSION_UP - 1, SESSION_FAILED + 1, UINT32_MAX};
    struct session_message m;
    char data[128];

    for (size_t i = 0; i < TEST_COUNT(ops); i++) {
        size_t size = make(data, ops[i], NULL, 0, "");

        assert_int_equal(session_parse(data, size, &m, NULL), -1);
    }
}

static void strings_end_with_a_nul_each(void **state)
{
    static const char three[] = "one\0\0three";
    const char *strings[4];

    assert_int_equal(session_strings(three, sizeof three, strings, 4), 3);
    assert_string_equal(strings[0], "one");
    assert_string_equal(strings[1], "");
    assert_string_equal(strings[2], "three");
    assert_int_equal(session_strings(three, sizeof three - 1, strings, 4), -1);
    assert_int_equal(session_strings(three, sizeof three, strings, 2), -1);
    assert_int_equal(session_strings(three, 0, strings, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_comes_back_as_it_was_sent),
        cmocka_unit_test(another_length_is_refused),
        cmocka_unit_test(what_only_the_server_says_is_refused),
        cmocka_unit_test(strings_end_with_a_nul_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

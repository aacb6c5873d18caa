/* Tests of se_handler_request: contract B6.2. */
#include "api/se_handler_request.h"

#include <stdio.h>

#include "base/test_support.h"

static const struct handler_timeouts timeouts = {300, 3600};

static struct handler_request decode(const char *body)
{
    struct handler_request q;
    handler_request_decode(&q, &timeouts, strdup(body), strlen(body));
    return q;
}

static void a_run_gets_the_body_as_it_was_sent(void **state)
{
    static const char body[] =
        "{\"handler_code\": \"def\\u0020handler(e): pass\", \"event\": {\"n\": 1e400000}}";
    static const char good[] = "{\"handler_code\": \"x\\n\", \"event\": {\"n\": "
                               "123456789012345678901234567890}, \"context\": null}";
    struct handler_request q = decode(good);
    assert_int_equal(q.verdict, HANDLER_RUN);
    assert_int_equal(q.input_len, strlen(good));
    assert_memory_equal(q.input, good, strlen(good));
    assert_int_equal(q.timeout_ms, 300000);
    handler_request_finish(&q);
    q = decode(body); /* no double holds it */
    assert_int_equal(q.verdict, HANDLER_INVALID);
    handler_request_finish(&q);
}

static void timeouts_are_within_bounds(void **state)
{
    static const struct {
        const char *value;
        uint32_t ms;
    } cases[] = {{"1", 1000},      {"0.25", 250},     {"0.0001", 1},       {"0", 300000},
                 {"-5", 300000},   {"3600", 3600000}, {"3600.5", 3600000}, {"1e30", 3600000},
                 {"null", 300000}, {"\"12\"", 12000}, {"1e-300", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[100];
        snprintf(body, sizeof body, "{\"handler_code\":\"x\",\"event\":{\"__timeout\":%s}}",
                 cases[i].value);
        struct handler_request q = decode(body);
        assert_int_equal(q.verdict, HANDLER_RUN);
        assert_int_equal(q.timeout_ms, cases[i].ms);
        handler_request_finish(&q);
    }
}

static void blank_code_is_told_apart(void **state)
{
    struct handler_request q = decode("{\"handler_code\":\" \\n\"}");
    assert_int_equal(q.verdict, HANDLER_BLANK);
    handler_request_finish(&q);
}

static void wrong_bodies_are_violations_without_urls(void **state)
{
    static const char *const bodies[] = {
        "",
        "null",
        "[]",
        "{",
        "{}",
        "{\"handler_code\":null}",
        "{\"handler_code\":\"x\",\"event\":\"e\"}",
        "{\"handler_code\":\"x\",\"context\":[]}",
        "{\"handler_code\":\"\",\"event\":{\"__timeout\":\"soon\"}}",
        "{\"handler_code\":\"x\",\"event\":{\"__timeout\":[]}}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct handler_request q = decode(bodies[i]);
        assert_int_equal(q.verdict, HANDLER_INVALID);
        assert_int_equal(buf_append(&q.answer, "", 1), 0);
        assert_non_null(strstr(q.answer.data, "{\"detail\":[{\"type\":"));
        assert_null(strstr(q.answer.data, "\"url\""));
        handler_request_finish(&q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_gets_the_body_as_it_was_sent),
        cmocka_unit_test(timeouts_are_within_bounds),
        cmocka_unit_test(blank_code_is_told_apart),
        cmocka_unit_test(wrong_bodies_are_violations_without_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

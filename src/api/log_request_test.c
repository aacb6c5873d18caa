/* Tests of log_request: the query of a log, and where its last lines begin. */
#include "api/log_request.h"

#include "base/test_support.h"

static struct log_request parse(struct log_query query)
{
    struct log_request q;
    const char *fault;
    assert_int_equal(log_request_parse(&query, &q, &fault), 0);
    assert_null(fault);
    return q;
}

static void test_a_plain_request_is_the_whole_text(void **state)
{
    struct log_request q = parse((struct log_query){0});
    assert_int_equal(q.format, LOG_REQUEST_TEXT);
    assert_int_equal(q.offset, 0);
    assert_true(q.tail == UINT64_MAX);
}

static void test_parameters_are_read(void **state)
{
    struct log_request q =
        parse((struct log_query){.tail = "5", .offset = "7", .format = "json", .follow = "0"});
    assert_int_equal(q.format, LOG_REQUEST_JSON);
    assert_int_equal(q.offset, 7);
    assert_int_equal(q.tail, 5);
}

static void test_events_are_asked_for_in_two_ways(void **state)
{
    assert_int_equal(parse((struct log_query){.wants_events = 1}).format, LOG_REQUEST_EVENTS);
    assert_int_equal(parse((struct log_query){.follow = "true"}).format, LOG_REQUEST_EVENTS);
    assert_int_equal(parse((struct log_query){.wants_events = 1, .follow = "no"}).format,
                     LOG_REQUEST_TEXT);
    struct log_request q = parse(
        (struct log_query){.wants_events = 1, .tail = "3", .last_event_id = "20", .offset = "1"});
    assert_int_equal(q.offset, 20);
    assert_true(q.tail == UINT64_MAX);
    q = parse((struct log_query){.follow = "1", .tail = "3", .last_event_id = "x"});
    assert_int_equal(q.tail, 3);
}

static void test_what_cannot_be_read_is_named(void **state)
{
    static const struct {
        struct log_query query;
        const char *fault;
    } rows[] = {{{.tail = "-1"}, "tail"},         {{.tail = ""}, "tail"},
                {{.tail = "1x"}, "tail"},         {{.offset = "99999999999999999999"}, "offset"},
                {{.offset = " 1"}, "offset"},     {{.format = "xml"}, "format"},
                {{.follow = "perhaps"}, "follow"}};
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        struct log_request q;
        const char *fault;
        assert_int_equal(log_request_parse(&rows[i].query, &q, &fault), -1);
        assert_string_equal(fault, rows[i].fault);
    }
}

static void test_the_last_lines_are_found(void **state)
{
    static const struct {
        const char *text;
        int is_end;
        uint64_t lines;
        size_t begin;
        uint64_t left;
    } rows[] = {
        {"a\nb\nc\n", 1, 1, 4, 0}, {"a\nb\nc\n", 1, 2, 2, 0}, {"a\nb\nc\n", 1, 3, 0, 1},
        {"a\nb\nc", 1, 1, 4, 0},   {"a\nb\nc\n", 0, 1, 6, 0}, {"a\nb\nc\n", 1, 0, 6, 0},
        {"abc", 1, 1, 0, 1},       {"\n\n", 1, 1, 1, 0},      {"", 1, 1, 0, 1},
    };
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        uint64_t lines = rows[i].lines;
        assert_int_equal(log_find_tail(rows[i].text, strlen(rows[i].text), rows[i].is_end, &lines),
                         rows[i].begin);
        assert_int_equal(lines, rows[i].left);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_plain_request_is_the_whole_text),
        cmocka_unit_test(test_parameters_are_read),
        cmocka_unit_test(test_events_are_asked_for_in_two_ways),
        cmocka_unit_test(test_what_cannot_be_read_is_named),
        cmocka_unit_test(test_the_last_lines_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tests of events. */
#include "api/events.h"

#include "base/test_support.h"

static void assert_events(struct buf *out, const char *expected)
{
    assert_int_equal(buf_append(out, "", 1), 0);
    assert_string_equal(out->data, expected);
    buf_finish(out);
}

static void test_text_becomes_an_event_of_one_line(void **state)
{
    struct buf out = {0};
    struct event_tail tail = {0};
    event_append_text(&out, "stdout", &tail, "a\nevent: x\n\n", 12);
    assert_events(&out, "event: stdout\ndata: {\"text\":\"a\\nevent: x\\n\\n\"}\n\n");
}

static void test_a_character_in_pieces_stays_whole(void **state)
{
    static const char bird[] = "\xF0\x9F\x90\xA6";
    struct buf out = {0};
    struct event_tail tail = {0};
    for (int i = 0; i < 3; i++)
        event_append_text(&out, "stdout", &tail, bird + i, 1);
    assert_int_equal(out.len, 0);
    event_append_text(&out, "stdout", &tail, "\xA6|\xE8", 3);
    event_append_text(&out, "stdout", &tail, "\xAF\xAD", 2);
    event_append_tail(&out, "stdout", &tail);
    assert_events(&out, "event: stdout\ndata: {\"text\":\"\xF0\x9F\x90\xA6|\"}\n\n"
                        "event: stdout\ndata: {\"text\":\"\xE8\xAF\xAD\"}\n\n");
}

static void test_what_is_no_character_is_replaced_at_once(void **state)
{
    struct buf out = {0};
    struct event_tail tail = {0};
    event_append_text(&out, "e", &tail, "\xC0", 1);
    event_append_text(&out, "e", &tail, "\xED\xA0", 2);
    assert_int_equal(tail.n, 0);
    assert_events(&out, "event: e\ndata: {\"text\":\"\xEF\xBF\xBD\"}\n\n"
                        "event: e\ndata: {\"text\":\"\xEF\xBF\xBD\xEF\xBF\xBD\"}\n\n");
}

static void test_an_unfinished_end_is_told_at_the_end(void **state)
{
    struct buf out = {0};
    struct event_tail tail = {0};
    event_append_text(&out, "e", &tail, "a\xE8\xAF", 3);
    event_append_tail(&out, "e", &tail);
    event_append_tail(&out, "e", &tail);
    assert_events(&out, "event: e\ndata: {\"text\":\"a\"}\n\n"
                        "event: e\ndata: {\"text\":\"\xEF\xBF\xBD\"}\n\n");
}

static void test_the_start_names_the_run(void **state)
{
    struct buf out = {0};
    event_append_start(&out, "id", "python");
    event_append_start(&out, NULL, "shell");
    assert_events(&out, "event: start\ndata: {\"id\":\"id\",\"language\":\"python\"}\n\n"
                        "event: start\ndata: {\"id\":null,\"language\":\"shell\"}\n\n");
}

static void test_a_piece_of_a_log_says_where_the_next_begins(void **state)
{
    struct buf out = {0};
    event_append_log(&out, "a\n\xFF", 3, 17);
    assert_events(&out, "id: 17\nevent: log\ndata: "
                        "{\"text\":\"a\\n\xEF\xBF\xBD\",\"offset\":17}\n\n");
    assert_int_equal(event_whole_length("a\xE8\xAF\xAD", 4), 4);
    assert_int_equal(event_whole_length("a\xE8\xAF", 3), 1);
    assert_int_equal(event_whole_length("\xE8", 1), 0);
    assert_int_equal(event_whole_length("", 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_becomes_an_event_of_one_line),
        cmocka_unit_test(test_a_character_in_pieces_stays_whole),
        cmocka_unit_test(test_what_is_no_character_is_replaced_at_once),
        cmocka_unit_test(test_an_unfinished_end_is_told_at_the_end),
        cmocka_unit_test(test_the_start_names_the_run),
        cmocka_unit_test(test_a_piece_of_a_log_says_where_the_next_begins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tests of client_events: events out of a stream, however it is cut. */
#include "cli/client_events.h"

#include <stdio.h>

#include "base/test_support.h"

struct heard {
    char text[1024];
    int stop_at, count;
};

static int hear(void *data, const char *name, const char *text, size_t len)
{
    struct heard *h = data;

    assert_int_equal(strlen(text), len);
    snprintf(h->text + strlen(h->text), sizeof h->text - strlen(h->text), "<%s|%s>", name, text);
    return ++h->count == h->stop_at;
}

static const char stream[] = ": comment\r\n\r\nevent: log\ndata: {\"text\":\"a\"}\nid: 7\n\n"
                             "data:one\ndata: two\n\nevent: end\r\ndata: {}\r\n\r\nevent: none\n\n"
                             "data\n\nevent: cut\ndata: never";

static void events_come_however_the_stream_is_cut(void **state)
{
    for (size_t step = 1; step < sizeof stream; step++) {
        struct heard h = {0};
        struct client_events s;

        client_events_init(&s, hear, &h);
        for (size_t at = 0; at < sizeof stream - 1; at += step) {
            size_t left = sizeof stream - 1 - at;

            assert_int_equal(client_events_feed(&s, stream + at, left < step ? left : step), 0);
        }
        assert_string_equal(h.text, "<log|{\"text\":\"a\"}><message|one\ntwo><end|{}><message|>");
        client_events_finish(&s);
    }
}

static void whoever_listens_may_end_it(void **state)
{
    struct heard h = {.stop_at = 1};
    struct client_events s;

    client_events_init(&s, hear, &h);
    assert_int_equal(client_events_feed(&s, stream, sizeof stream - 1), -1);
    assert_int_equal(h.count, 1);
    client_events_finish(&s);
}

static void an_endless_line_is_refused(void **state)
{
    static char chunk[1 << 20];
    struct heard h = {0};
    struct client_events s;
    int r = 0;

    memset(chunk, 'x', sizeof chunk);
    client_events_init(&s, hear, &h);
    for (size_t i = 0; r == 0 && i < 2 * CLIENT_EVENT_MAX / sizeof chunk; i++)
        r = client_events_feed(&s, chunk, sizeof chunk);
    assert_int_equal(r, -1);
    client_events_finish(&s);
}

static void a_long_name_is_cut(void **state)
{
    struct heard h = {0};
    struct client_events s;
    const char *text = "event: 0123456789012345678901234567890123456789\ndata: x\n\n";

    client_events_init(&s, hear, &h);
    assert_int_equal(client_events_feed(&s, text, strlen(text)), 0);
    assert_string_equal(h.text, "<0123456789012345678901234567890|x>");
    client_events_finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_however_the_stream_is_cut),
        cmocka_unit_test(whoever_listens_may_end_it),
        cmocka_unit_test(an_endless_line_is_refused),
        cmocka_unit_test(a_long_name_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

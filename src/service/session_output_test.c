/* Tests of what is kept of a process's output. */
#include "service/session_output.h"

#include <stdio.h>

#include "base/test_support.h"
#include "service/session_process.h"

/* All that there is to read, as "1:abc 2[5]:def " ([lost]). */
static void read_all(struct output_reader *r, char *out, size_t size)
{
    struct listener_piece piece;
    size_t len = 0;

    out[0] = '\0';
    while (output_read(r, &piece)) {
        if (piece.lost > 0)
            len += (size_t)snprintf(out + len, size - len, "%d[%d]:%.*s ", piece.stream,
                                    (int)piece.lost, (int)piece.len, piece.bytes);
        else
            len += (size_t)snprintf(out + len, size - len, "%d:%.*s ", piece.stream, (int)piece.len,
                                    piece.bytes);
    }
}

static void add(struct session_output *o, int stream, const char *text)
{
    output_append(o, stream, text, strlen(text));
}

static void the_order_of_both_streams_is_kept(void **state)
{
    struct session_output o;
    struct output_reader r = {0};
    char text[256];

    output_init(&o, 1000);
    add(&o, 0, "one");
    add(&o, 1, "bad");
    add(&o, 0, "two");
    add(&o, 0, "three");
    output_listen(&o, &r, (const uint64_t[2]){0, 0});
    read_all(&r, text, sizeof text);
    assert_string_equal(text, "1:one 2:bad 1:twothree ");
    add(&o, 0, "four");
    add(&o, 1, "worse");
    read_all(&r, text, sizeof text);
    assert_string_equal(text, "1:four 2:worse ");
    assert_int_equal(output_lag(&o, &r), 0);
    output_unlisten(&o, &r);
    output_finish(&o);
}

static void it_is_read_from_any_point_that_is_there(void **state)
{
    struct session_output o;
    struct output_reader r = {0};
    char text[256];

    output_init(&o, 1000);
    add(&o, 0, "abcdef");
    add(&o, 1, "xyz");
    output_listen(&o, &r, (const uint64_t[2]){4, 99});
    read_all(&r, text, sizeof text);
    assert_string_equal(text, "1:ef ");
    output_unlisten(&o, &r);
    output_listen(&o, &r, (const uint64_t[2]){UINT64_MAX, 1});
    read_all(&r, text, sizeof text);
    assert_string_equal(text, "2:yz ");
    add(&o, 0, "g");
    read_all(&r, text, sizeof text);
    assert_string_equal(text, "1:g ");
    output_unlisten(&o, &r);
    output_finish(&o);
}

static void a_chatty_stream_does_not_push_out_the_other(void **state)
{
    static char block[32 << 10];
    struct session_output o;
    struct output_reader r = {0};
    struct listener_piece piece;

    output_init(&o, 100000);
    memset(block, 'x', sizeof block);
    add(&o, 1, "the only error");
    for (int i = 0; i < 100; i++)
        output_append(&o, 0, block, sizeof block);
    assert_true(o.stream[0].kept >= 100000 && o.stream[0].kept < 100000 + sizeof block);
    assert_int_equal(output_first(&o, 1), 0);
    assert_int_equal(output_first(&o, 0), o.stream[0].total - o.stream[0].kept);
    output_listen(&o, &r, (const uint64_t[2]){1, 0});
    assert_true(output_read(&r, &piece));
    assert_int_equal(piece.stream, 2);
    assert_true(output_read(&r, &piece));
    assert_int_equal(piece.lost, output_first(&o, 0) - 1);
    output_unlisten(&o, &r);
    output_finish(&o);
    assert_int_equal(output_kept(&o), 0);
}

static void a_slow_reader_loses_unless_it_holds(void **state)
{
    static char block[8 << 10];
    struct session_output o;
    struct output_reader slow = {0}, holds = {.holds = true};
    struct listener_piece piece;
    uint64_t got = 0, lost = 0;

    output_init(&o, 0);
    output_listen(&o, &slow, (const uint64_t[2]){0, 0});
    output_listen(&o, &holds, (const uint64_t[2]){0, 0});
    for (int i = 0; i < 10; i++)
        output_append(&o, 0, block, sizeof block);
    assert_int_equal(output_lag(&o, &holds), sizeof block * 10);
    while (output_read(&holds, &piece)) {
        assert_int_equal(piece.lost, 0);
        got += piece.len;
    }
    assert_int_equal(got, sizeof block * 10);
    output_trim(&o, o.keep);
    add(&o, 0, "end");
    got = 0;
    while (output_read(&slow, &piece)) {
        lost += piece.lost;
        got += piece.len;
    }
    assert_int_equal(lost + got, sizeof block * 10 + 3);
    assert_true(lost > 0);
    output_unlisten(&o, &slow);
    output_unlisten(&o, &holds);
    output_finish(&o);
}

/* The next malloc fails. */
static bool out_of_memory;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    if (!out_of_memory)
        return __real_malloc(size);
    out_of_memory = false;
    return NULL;
}

static void what_found_no_memory_is_told_as_lost(void **state)
{
    struct session_output o;
    struct output_reader r = {.holds = true}, late = {0};
    char text[256];

    output_init(&o, 1000);
    output_listen(&o, &r, (const uint64_t[2]){0, 0});
    out_of_memory = true;
    add(&o, 0, "all");
    read_all(&r, text, sizeof text);
    assert_string_equal(text, "1[3]: ");
    assert_int_equal(output_lag(&o, &r), 0);
    add(&o, 0, "more");
    add(&o, 1, "err");
    out_of_memory = true;
    add(&o, 0, "tail");
    read_all(&r, text, sizeof text);
    assert_string_equal(text, "1:more 2:err 1[4]: ");
    output_listen(&o, &late, (const uint64_t[2]){0, 0});
    read_all(&late, text, sizeof text);
    assert_string_equal(text, "1:more 2:err 1[4]: ");
    add(&o, 1, "!");
    read_all(&r, text, sizeof text);
    assert_string_equal(text, "2:! ");
    output_unlisten(&o, &late);
    output_unlisten(&o, &r);
    output_finish(&o);
}

static void an_ended_one_takes_up_no_more_than_it_said(void **state)
{
    struct session_output o;
    struct output_reader early = {0}, late = {0};
    char text[256];

    output_init(&o, 10000);
    output_settle(&o);
    add(&o, 0, "one");
    output_listen(&o, &early, (const uint64_t[2]){0, 0});
    read_all(&early, text, sizeof text);
    add(&o, 1, "bad");
    add(&o, 0, "two");
    output_settle(&o);
    output_settle(&o);
    read_all(&early, text, sizeof text);
    assert_string_equal(text, "2:bad 1:two ");
    output_listen(&o, &late, (const uint64_t[2]){1, 1});
    read_all(&late, text, sizeof text);
    assert_string_equal(text, "1:ne 2:ad 1:two ");
    assert_int_equal(output_kept(&o), 9);
    output_unlisten(&o, &early);
    output_unlisten(&o, &late);
    output_finish(&o);
}

/* Against a plain copy of everything, with readers that come and go. */
static void random_readers_see_what_was_written(void **state)
{
    static char all[2][1 << 20];
    struct session_output o;
    struct output_reader readers[4];
    bool open[4] = {false};
    size_t len[2] = {0};
    struct listener_piece piece;

    srand(1);
    output_init(&o, 20000);
    for (int step = 0; step < 20000; step++) {
        int i = rand() % 4, stream = rand() % 2;

        if (!open[i]) {
            readers[i] = (struct output_reader){.holds = i == 0};
            output_listen(&o, &readers[i],
                          (const uint64_t[2]){(uint64_t)rand() % (len[0] + 1),
                                              (uint64_t)rand() % (len[1] + 1)});
            open[i] = true;
        } else if (rand() % 50 == 0) {
            output_unlisten(&o, &readers[i]);
            open[i] = false;
        }
        for (int n = rand() % 40; n > 0 && len[stream] < sizeof all[0]; n--)
            all[stream][len[stream]++] = (char)rand();
        output_append(&o, stream, all[stream] + o.stream[stream].total,
                      len[stream] - o.stream[stream].total);
        if (rand() % 100 == 0)
            output_settle(&o);
        i = rand() % 4;
        while (open[i] && rand() % 8 != 0) {
            uint64_t want[2] = {readers[i].offset[0], readers[i].offset[1]};

            if (!output_read(&readers[i], &piece))
                break;
            assert_int_equal(piece.offset, want[piece.stream - 1] + piece.lost);
            assert_memory_equal(all[piece.stream - 1] + piece.offset, piece.bytes, piece.len);
            /* What there was when a reader that holds came may have been dropped already. */
        }
    }
    for (int i = 0; i < 4; i++) {
        if (open[i])
            output_unlisten(&o, &readers[i]);
    }
    output_finish(&o);
    assert_null(o.first);
    assert_int_equal(output_kept(&o), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_of_both_streams_is_kept),
        cmocka_unit_test(it_is_read_from_any_point_that_is_there),
        cmocka_unit_test(a_chatty_stream_does_not_push_out_the_other),
        cmocka_unit_test(a_slow_reader_loses_unless_it_holds),
        cmocka_unit_test(what_found_no_memory_is_told_as_lost),
        cmocka_unit_test(an_ended_one_takes_up_no_more_than_it_said),
        cmocka_unit_test(random_readers_see_what_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

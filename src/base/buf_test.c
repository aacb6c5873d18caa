/* Tests of buf.  Linked with --wrap=realloc, so that memory can run out when a test wants it to. */
#include "base/buf.h"

#include <stdbool.h>

#include "base/test_support.h"

static bool out_of_memory;

void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_realloc(void *p, size_t size)
{
    return out_of_memory ? NULL : __real_realloc(p, size);
}

static void appending_grows_and_keeps_the_bytes(void **state)
{
    _cleanup_buf_ struct buf b;
    buf_init(&b, 0);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(buf_printf(&b, "%04d", i), 0);
    assert_int_equal(b.len, 40000);
    assert_memory_equal(b.data, "000000010002", 12);
    assert_memory_equal(b.data + b.len - 4, "9999", 4);
    assert_int_equal(buf_append_str(&b, "end"), 0);
    assert_memory_equal(b.data + b.len - 3, "end", 3);
    assert_int_equal(buf_append(&b, NULL, 0), 0);
    assert_int_equal(b.len, 40003);
}

static void the_maximum_is_exact_and_a_refusal_changes_nothing(void **state)
{
    _cleanup_buf_ struct buf b;
    buf_init(&b, 10);
    assert_int_equal(buf_append_str(&b, "0123456789"), 0);
    assert_int_equal(buf_append(&b, "x", 1), -1);
    assert_int_equal(buf_printf(&b, "x"), -1);
    assert_int_equal(buf_reserve(&b, 1), -1);
    assert_int_equal(buf_reserve(&b, SIZE_MAX), -1);
    assert_int_equal(b.len, 10);
    assert_true(b.cap <= 10);
    assert_memory_equal(b.data, "0123456789", 10);
    assert_int_equal(buf_printf(&b, "%s", ""), 0);
}

static void the_maximum_holds_for_odd_growth(void **state)
{
    _cleanup_buf_ struct buf b;
    buf_init(&b, 700);
    char piece[100] = {0};
    for (int i = 0; i < 7; i++)
        assert_int_equal(buf_append(&b, piece, sizeof piece), 0);
    assert_int_equal(b.cap, 700);
    assert_int_equal(buf_append(&b, piece, 1), -1);
}

static void zero_means_the_default_maximum(void **state)
{
    _cleanup_buf_ struct buf b = {0};
    assert_int_equal(buf_reserve(&b, BUF_MAX_DEFAULT + 1), -1);
    assert_int_equal(buf_append_str(&b, "x"), 0);
}

static void printf_measures_before_it_writes(void **state)
{
    _cleanup_buf_ struct buf b = {0};
    char text[1000];
    memset(text, 'y', sizeof text);
    assert_int_equal(buf_printf(&b, "%.*s|%d", (int)sizeof text, text, 5), 0);
    assert_int_equal(b.len, 1002);
    assert_memory_equal(b.data + 998, "yy|5", 4);
}

static void consume_drops_the_front(void **state)
{
    _cleanup_buf_ struct buf b = {0};
    buf_append_str(&b, "abcdef");
    buf_consume(&b, 0);
    buf_consume(&b, 2);
    assert_int_equal(b.len, 4);
    assert_memory_equal(b.data, "cdef", 4);
    buf_consume(&b, 4);
    assert_int_equal(b.len, 0);
    buf_consume(&b, 0);
}

static void steal_gives_a_terminated_text_and_empties_the_buffer(void **state)
{
    struct buf b;
    buf_init(&b, 3);
    buf_append(&b, "a\0b", 3);
    size_t len = 0;
    char *text = buf_steal(&b, &len);
    assert_int_equal(len, 3);
    assert_memory_equal(text, "a\0b", 4);
    free(text);
    assert_null(b.data);
    assert_int_equal(b.len + b.cap, 0);
    assert_int_equal(b.max, 3);

    text = buf_steal(&b, NULL);
    assert_string_equal(text, "");
    free(text);
}

static void finish_can_be_repeated(void **state)
{
    struct buf b;
    buf_init(&b, 77);
    buf_append_str(&b, "x");
    buf_finish(&b);
    assert_null(b.data);
    assert_int_equal(b.max, 77);
    buf_finish(&b);
}

static void running_out_of_memory_tears_it_until_it_is_finished(void **state)
{
    struct buf b = {0};
    out_of_memory = true;
    assert_int_equal(buf_append_str(&b, "x"), -1);
    out_of_memory = false;
    assert_true(b.torn);
    assert_int_equal(buf_append_str(&b, "y"), -1);
    assert_int_equal(buf_printf(&b, "z"), -1);
    assert_null(buf_steal(&b, NULL));
    assert_false(b.torn);
    assert_int_equal(buf_append_str(&b, "kept"), 0);
    buf_finish(&b);
}

static void half_a_text_is_never_given_away(void **state)
{
    struct buf b = {0};
    assert_int_equal(buf_append_str(&b, "half"), 0);
    out_of_memory = true;
    assert_int_equal(buf_reserve(&b, 100000), -1);
    out_of_memory = false;
    assert_int_equal(b.len, 4);
    assert_int_equal(buf_append_str(&b, "!"), -1); /* although there is room */
    assert_null(buf_steal(&b, NULL));
}

static void shrinking_needs_no_memory(void **state)
{
    struct buf b = {0};
    assert_int_equal(buf_append_str(&b, "kept"), 0);
    out_of_memory = true;
    char *text = buf_steal(&b, NULL);
    out_of_memory = false;
    assert_string_equal(text, "kept");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appending_grows_and_keeps_the_bytes),
        cmocka_unit_test(the_maximum_is_exact_and_a_refusal_changes_nothing),
        cmocka_unit_test(the_maximum_holds_for_odd_growth),
        cmocka_unit_test(zero_means_the_default_maximum),
        cmocka_unit_test(printf_measures_before_it_writes),
        cmocka_unit_test(consume_drops_the_front),
        cmocka_unit_test(steal_gives_a_terminated_text_and_empties_the_buffer),
        cmocka_unit_test(finish_can_be_repeated),
        cmocka_unit_test(running_out_of_memory_tears_it_until_it_is_finished),
        cmocka_unit_test(half_a_text_is_never_given_away),
        cmocka_unit_test(shrinking_needs_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

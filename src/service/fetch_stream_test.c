/* Tests of fetch_stream. */
#include "service/fetch_stream.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "base/test_support.h"

#define SIZED(text) text, sizeof(text) - 1

struct heard {
    struct fetch_stream stream;
    char body[64];
    size_t nbody;
    int failed;
    char words[240];
};

/* What becomes of `data` when it comes in steps of this many bytes. */
static struct heard hear(const char *data, size_t len, size_t step)
{
    struct heard h = {.stream.max = 20};

    for (size_t at = 0; at < len && !h.failed;) {
        size_t n = len - at < step ? len - at : step, nbytes;
        const char *bytes;
        struct err e = {0};
        long used = fetch_stream_take(&h.stream, data + at, n, &bytes, &nbytes, &e);

        if (used < 0) {
            h.failed = 1;
            snprintf(h.words, sizeof h.words, "%s", e.text);
            break;
        }
        assert_true(used > 0 && (size_t)used <= n);
        assert_true(h.nbody + nbytes <= sizeof h.body);
        if (nbytes > 0)
            memcpy(h.body + h.nbody, bytes, nbytes);
        h.nbody += nbytes;
        at += (size_t)used;
    }
    return h;
}

#define HEAD "{\"status\": 200, \"size\": 5}\n"
#define TAIL "{\"error\": null}\n"

static void a_file_comes_in_pieces_of_any_size(void **state)
{
    static const char text[] = HEAD "\0\0\0\3abc\0\0\0\2de\0\0\0\0" TAIL;

    for (size_t step = 1; step <= sizeof text; step++) {
        struct heard h = hear(SIZED(text), step);

        assert_false(h.failed);
        assert_int_equal(h.nbody, 5);
        assert_memory_equal(h.body, "abcde", 5);
        assert_int_equal(h.stream.phase, FETCH_OVER);
        assert_false(h.stream.facts.failed);
        assert_int_equal(h.stream.facts.status, 200);
        assert_int_equal(h.stream.facts.size, 5);
        assert_int_equal(h.stream.total, 5);
    }
}

static void an_empty_file_of_unknown_size_is_one(void **state)
{
    struct heard h = hear(SIZED("{\"status\":200,\"size\":null}\n\0\0\0\0" TAIL), 4096);

    assert_int_equal(h.stream.phase, FETCH_OVER);
    assert_false(h.stream.facts.failed);
    assert_true(h.stream.facts.size == UINT64_MAX);
}

static void what_went_wrong_is_told_at_either_end(void **state)
{
    struct heard before = hear(SIZED("{\"error\":\"404 \\u00e9\",\"status\":404}\n"), 4096);
    struct heard behind = hear(SIZED(HEAD "\0\0\0\1a\0\0\0\0{\"error\":\"cut off\"}\n"), 4096);

    assert_int_equal(before.stream.phase, FETCH_OVER);
    assert_true(before.stream.facts.failed);
    assert_string_equal(before.stream.facts.error, "404 \303\251");
    assert_int_equal(before.stream.facts.status, 404);
    assert_int_equal(behind.stream.phase, FETCH_OVER);
    assert_true(behind.stream.facts.failed);
    assert_string_equal(behind.stream.facts.error, "cut off");
    assert_int_equal(behind.stream.facts.status, 200);
}

static void a_store_says_what_its_document_is(void **state)
{
    struct heard h = hear(SIZED("{\"status\":200,\"size\":1,\"document\":{\"name\":\"a b\","
                                "\"rev\":\"7\"}}\n\0\0\0\1x\0\0\0\0" TAIL),
                          4096);

    assert_true(h.stream.facts.is_document);
    assert_string_equal(h.stream.facts.name, "a b");
    assert_string_equal(h.stream.facts.rev, "7");
}

static void long_texts_are_cut_between_characters(void **state)
{
    _cleanup_buf_ struct buf text = {0};
    struct heard h;

    buf_append_str(&text, "{\"error\":\"x");
    for (int i = 0; i < FETCH_ERROR_MAX; i++)
        buf_append_str(&text, "\303\251");
    buf_append_str(&text, "\"}\n");
    h = hear(text.data, text.len, 100);
    assert_false(h.failed);
    assert_int_equal(strlen(h.stream.facts.error), FETCH_ERROR_MAX - 1);
    assert_int_equal(utf8_valid_prefix(h.stream.facts.error, FETCH_ERROR_MAX - 1, NULL),
                     FETCH_ERROR_MAX - 1);
}

static void what_breaks_the_protocol_is_refused(void **state)
{
    static const struct {
        const char *data;
        size_t len;
        const char *words;
    } bad[] = {
        {SIZED("\n"), "a line that is no JSON object"},
        {SIZED("[1]\n"), "a line that is no JSON object"},
        {SIZED("{\"error\":\"a\\u0000b\"}\n"), "a line that is no JSON object"},
        {SIZED("{\"a\":1,\"a\":2}\n"), "a line that is no JSON object"},
        {SIZED("{\"error\":\"\377\"}\n"), "a line that is no JSON object"},
        {SIZED(HEAD "\0\0\0\25"), "more than 20 bytes"},
        {SIZED(HEAD "\0\0\0\21"
                    "0123456789abcdefg"
                    "\0\0\0\4"),
         "more than 20 bytes"},
        {SIZED(HEAD "\377\377\377\377"), "a piece of 4294967295 bytes"},
        {SIZED(HEAD "\0\0\0\0" TAIL "x"), "more behind the end"},
        {SIZED("{\"error\":\"e\"}\n\0"), "more behind the end"},
    };
    static char line[FETCH_LINE_MAX + 1];
    struct heard h;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        h = hear(bad[i].data, bad[i].len, i % 2 == 0 ? 4096 : 1);
        assert_true(h.failed);
        assert_string_equal(h.words, bad[i].words);
    }
    memset(line, ' ', sizeof line);
    h = hear(line, sizeof line, 1000);
    assert_string_equal(h.words, "a line that is too long");
}

static void numbers_that_make_no_sense_are_not_believed(void **state)
{
    struct heard h = hear(SIZED("{\"status\":99999,\"size\":-4}\n"), 4096);

    assert_int_equal(h.stream.facts.status, 0);
    assert_true(h.stream.facts.size == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_comes_in_pieces_of_any_size),
        cmocka_unit_test(an_empty_file_of_unknown_size_is_one),
        cmocka_unit_test(what_went_wrong_is_told_at_either_end),
        cmocka_unit_test(a_store_says_what_its_document_is),
        cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test(what_breaks_the_protocol_is_refused),
        cmocka_unit_test(numbers_that_make_no_sense_are_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

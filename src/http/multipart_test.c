/* Tests of multipart: each body is fed whole, and then byte by byte to a taker that takes one byte
 * at a time; both must tell the same story. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/buf.h"
#include "http/multipart.h"

#define TYPE "multipart/form-data; boundary=XX"

struct story {
    struct buf text;
    size_t most; /* bytes taken at once */
};

static int on_part(void *data, const char *name, const char *filename)
{
    struct story *s = data;

    buf_printf(&s->text, "[%s|%s:", name, filename != NULL ? filename : "-");
    return strcmp(name, "unwanted") != 0;
}

static size_t take(void *data, const char *bytes, size_t len)
{
    struct story *s = data;
    size_t n = len < s->most ? len : s->most;

    buf_append(&s->text, bytes, n);
    return n;
}

static void on_part_end(void *data)
{
    struct story *s = data;

    buf_append_str(&s->text, "]");
}

static void tell(struct story *s, const char *body, size_t piece)
{
    const struct multipart_events events = {on_part, take, on_part_end, s};
    static struct multipart m;
    size_t len = strlen(body);

    assert_int_equal(multipart_init(&m, TYPE, &events), 0);
    for (size_t at = 0; at < len;) {
        size_t n = len - at < piece ? len - at : piece;

        at += multipart_feed(&m, body + at, n);
    }
    buf_append_str(&s->text, multipart_is_broken(&m)     ? "broken"
                             : multipart_is_complete(&m) ? "complete"
                                                         : "cut");
    buf_append(&s->text, "", 1);
}

static void expect(const char *body, const char *story)
{
    for (size_t piece = 1; piece < 9; piece++) {
        struct story s = {.most = piece};

        tell(&s, body, piece == 8 ? SIZE_MAX : piece);
        assert_string_equal(s.text.data, story);
        buf_finish(&s.text);
    }
}

#define PART(parameters, data)                                                                     \
    "--XX\r\nContent-Disposition: form-data; " parameters "\r\n\r\n" data "\r\n"

static void test_parts_are_told_in_order(void **state)
{
    expect(PART("name=\"a\"", "one") PART("name=b; filename=\"x.bin\"", "two") "--XX--\r\n",
           "[a|-:one][b|x.bin:two]complete");
    expect("preamble\r\n" PART("name=\"a\"", "") "--XX--", "[a|-:]complete");
    expect(PART("name=unwanted", "much") PART("name=b", "x") "--XX--\r\nepilogue",
           "[unwanted|-:][b|-:x]complete");
    expect("--XX--", "complete");
}

static void test_data_that_looks_like_a_boundary_is_data(void **state)
{
    expect(PART("name=a", "\r\n--X\r\r\n--XY\r\n-\r") "--XX--",
           "[a|-:\r\n--X\r\r\n--XY\r\n-\r]complete");
    expect(PART("name=a", "--XX--") "--XX--", "[a|-:--XX--]complete");
}

static void test_file_names_are_what_was_sent(void **state)
{
    expect(PART("name=a; filename=\"a \\\"b\\\" \\\\ c.txt\"", "") "--XX--",
           "[a|a \"b\" \\ c.txt:]complete");
    expect(PART("name=a; filename=\"C:\\dir\\f\"", "") "--XX--", "[a|C:\\dir\\f:]complete");
    expect(PART("name=a; filename=\"\xc3\xa4;\xe2\x82\xac=.txt\"", "") "--XX--",
           "[a|\xc3\xa4;\xe2\x82\xac=.txt:]complete");
    expect(PART("name=a; filename=x; filename*=UTF-8''%c3%A4%20b", "") "--XX--",
           "[a|\xc3\xa4 b:]complete");
    expect(PART("name=a; filename=x; filename*=latin1''%e4", "") "--XX--", "[a|x:]complete");
    expect(PART("name=a; filename=x; filename*=UTF-8''a%00b", "") "--XX--", "[a|x:]complete");
    expect(PART("name=a; filename=\"\"", "") "--XX--", "[a|:]complete");
}

static void test_malformed_bodies_are_broken_or_cut(void **state)
{
    expect("", "cut");
    expect("no boundary at all", "cut");
    expect("--XX", "cut");
    expect("--XX\r\n", "cut");
    expect("--XXjunk\r\n", "broken");
    expect("--XX\r\n\r\n\r\n", "broken");
    expect("--XX\r\nContent-Type: text/plain\r\n\r\nx", "broken");
    expect(PART("filename=x", ""), "broken");
    expect(PART("name=\"a", ""), "broken");
    expect(PART("name", ""), "broken");
    expect(PART("name=a b", ""), "broken");
    expect(PART("name=a\r\nContent-Disposition: form-data; name=b", ""), "broken");
    expect("--XX\r\nContent-Disposition: attachment; name=a\r\n\r\n", "broken");
    expect(PART("name=a", "not ended"), "[a|-:not endedcut");
}

static void test_heads_and_parts_are_bounded(void **state)
{
    _cleanup_buf_ struct buf body = {0};

    buf_append_str(&body, "--XX\r\nContent-Disposition: form-data; name=");
    for (int i = 0; i < LIMIT_HTTP_PART_HEAD; i++)
        buf_append_str(&body, "a");
    buf_append(&body, "", 1);
    expect(body.data, "broken");
    buf_finish(&body);
    for (int i = 0; i <= LIMIT_HTTP_FORM_PARTS; i++)
        buf_append_str(&body, PART("name=unwanted", ""));
    buf_append(&body, "", 1);
    struct story s = {.most = SIZE_MAX};
    tell(&s, body.data, SIZE_MAX);
    assert_string_equal(s.text.data + s.text.len - 8, "]broken");
    buf_finish(&s.text);
}

static void test_only_forms_with_a_boundary_are_taken(void **state)
{
    static const char *const good[] = {"multipart/form-data; boundary=X",
                                       "Multipart/Form-Data;charset=utf-8; Boundary=\"a b\"",
                                       "multipart/form-data ; boundary=X ; x=\"y;\""};
    static const char *const bad[] = {"",
                                      "text/plain",
                                      "multipart/form-data",
                                      "multipart/form-data; boundary=",
                                      "multipart/form-data; boundary=\"x",
                                      "multipart/mixed; boundary=X",
                                      "multipart/form-dataX; boundary=X",
                                      "multipart/form-data; boundary=X y",
                                      "multipart/form-data; boundary="
                                      "01234567890123456789012345678901234567890123456789"
                                      "012345678901234567890"};
    static struct multipart m;
    const struct multipart_events events = {0};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(multipart_init(&m, good[i], &events), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(multipart_init(&m, bad[i], &events), -1);
    assert_int_equal(multipart_init(&m, NULL, &events), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_are_told_in_order),
        cmocka_unit_test(test_data_that_looks_like_a_boundary_is_data),
        cmocka_unit_test(test_file_names_are_what_was_sent),
        cmocka_unit_test(test_malformed_bodies_are_broken_or_cut),
        cmocka_unit_test(test_heads_and_parts_are_bounded),
        cmocka_unit_test(test_only_forms_with_a_boundary_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tests of base64. */
#include "base/base64.h"

#include <stdbool.h>

#include "base/test_support.h"

/* RFC 4648 section 10. */
static const struct {
    const char *plain, *coded;
} vectors[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
};

static void the_vectors_of_the_rfc_hold(void **state)
{
    for (size_t i = 0; i < TEST_COUNT(vectors); i++) {
        const char *plain = vectors[i].plain, *coded = vectors[i].coded;
        _cleanup_buf_ struct buf b = {0};
        assert_int_equal(base64_append(&b, plain, strlen(plain)), 0);
        assert_int_equal(b.len, strlen(coded));
        assert_int_equal(b.len, base64_encoded_size(strlen(plain)));
        if (b.len > 0)
            assert_memory_equal(b.data, coded, b.len);

        unsigned char out[16];
        size_t len = 99;
        assert_int_equal(base64_decode(coded, strlen(coded), out, &len, NULL), 0);
        assert_int_equal(len, strlen(plain));
        assert_memory_equal(out, plain, len);
    }
}

static void fill(unsigned char *data, size_t len)
{
    uint32_t x = 2463534242u;
    for (size_t i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        data[i] = (unsigned char)x;
    }
}

static void every_length_survives_a_round_trip_in_place(void **state)
{
    unsigned char data[300];
    fill(data, sizeof data);
    for (size_t len = 0; len <= sizeof data; len++) {
        _cleanup_buf_ struct buf b = {0};
        assert_int_equal(base64_append(&b, data, len), 0);
        size_t got = 999;
        unsigned char none = 0;
        unsigned char *out = b.data ? (unsigned char *)b.data : &none;
        assert_int_equal(base64_decode(b.data, b.len, out, &got, NULL), 0);
        assert_int_equal(got, len);
        assert_true(got <= base64_decoded_max(b.len));
        if (len > 0)
            assert_memory_equal(out, data, len);
    }
}

static void pieces_give_the_same_as_the_whole(void **state)
{
    unsigned char data[100];
    fill(data, sizeof data);
    _cleanup_buf_ struct buf whole = {0};
    assert_int_equal(base64_append(&whole, data, sizeof data), 0);
    for (size_t piece = 1; piece <= sizeof data; piece++) {
        struct base64_encoder enc = {0};
        char out[200];
        size_t n = 0;
        for (size_t at = 0; at < sizeof data; at += piece) {
            size_t len = sizeof data - at < piece ? sizeof data - at : piece;
            n += base64_encode_update(&enc, data + at, len, out + n);
            n += base64_encode_update(&enc, data, 0, out + n);
        }
        n += base64_encode_end(&enc, out + n);
        assert_int_equal(n, whole.len);
        assert_memory_equal(out, whole.data, n);
        char again[4];
        assert_int_equal(base64_encode_end(&enc, again), 0);
    }
}

static void white_space_is_skipped_everywhere(void **state)
{
    const char text[] = " \tZm\r\n9v\v\fYg \n=\t= \n";
    unsigned char out[sizeof text];
    size_t len = 0;
    assert_int_equal(base64_decode(text, strlen(text), out, &len, NULL), 0);
    assert_int_equal(len, 4);
    assert_memory_equal(out, "foob", 4);
    assert_int_equal(base64_decode(" \n ", 3, out, &len, NULL), 0);
    assert_int_equal(len, 0);
}

static void assert_refused(const char *text, size_t len, const char *reason)
{
    unsigned char out[64];
    size_t out_len = 77;
    struct err e;
    if (base64_decode(text, len, out, &out_len, &e) == 0)
        fail_msg("accepted: %s", text);
    assert_int_equal(e.code, ERR_INVALID);
    assert_contains(e.text, reason);
    assert_int_equal(out_len, 77);
}

static void wrong_padding_is_refused(void **state)
{
    static const char *const cases[] = {
        "Q",        "QQ",   "QQQ",   "QQ=",    "QQ===",    "QQQ==", "Q===",
        "=",        "====", "QUJD=", "QUJDR",  "QQ==QQ==", "QQ=Q",  "QUI=QUJD",
        "QUJD====", "QR==", "QUF=",  "QQ== =", "Zm9vZh==",
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++)
        assert_refused(cases[i], strlen(cases[i]), "padding");
}

static void foreign_characters_are_refused_and_named(void **state)
{
    for (int c = 0; c < 256; c++) {
        char text[8] = {'Z', 'm', '9', 'v', (char)c, 'm', '9', 'v'};
        bool known = c != 0 && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                      "0123456789+/= \t\n\v\f\r",
                                      c);
        if (!known)
            assert_refused(text, sizeof text, "foreign character");
    }
    assert_refused("Zm9vZm*v", 8, "foreign character 0x2a at offset 6");
    assert_refused("Zg==*", 5, "foreign character 0x2a at offset 4");
    assert_refused("Zm9-", 4, "0x2d");
    assert_refused("Zm9_", 4, "0x5f");
    assert_refused("Zm9v\0", 5, "0x00");
}

static void a_full_buffer_refuses_the_encoding(void **state)
{
    _cleanup_buf_ struct buf b;
    buf_init(&b, 7);
    assert_int_equal(base64_append(&b, "abcd", 4), -1);
    assert_int_equal(b.len, 0);
    assert_int_equal(base64_append(&b, "abc", 3), 0);
    assert_int_equal(b.len, 4);
    assert_int_equal(base64_append(&b, "abc", SIZE_MAX - 2), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_the_rfc_hold),
        cmocka_unit_test(every_length_survives_a_round_trip_in_place),
        cmocka_unit_test(pieces_give_the_same_as_the_whole),
        cmocka_unit_test(white_space_is_skipped_everywhere),
        cmocka_unit_test(wrong_padding_is_refused),
        cmocka_unit_test(foreign_characters_are_refused_and_named),
        cmocka_unit_test(a_full_buffer_refuses_the_encoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

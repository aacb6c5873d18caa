/* Tests of the frames that answer a call on files. */
#include "wire/session_file.h"

#include "base/test_support.h"

static char bytes[FILE_HEADER + FILE_PAYLOAD_MAX + 1];

static size_t encode(enum file_frame type, const void *fixed, const char *text, size_t text_len)
{
    size_t n = file_fixed_size(type);

    file_header(bytes, type, n + text_len);
    memcpy(bytes + FILE_HEADER, fixed, n);
    memcpy(bytes + FILE_HEADER + n, text, text_len);
    return FILE_HEADER + n + text_len;
}

static void test_reads_back_what_was_encoded(void **state)
{
    struct file_info info = {.type = TYPE_LINK, .mode = 0777, .size = 7, .modified_ns = -1};
    size_t len = encode(FILE_INFO, &info, "a\0target", 8);
    struct file_message m;

    assert_int_equal(file_parse(bytes, len + 1, &m, NULL), len);
    assert_int_equal(m.type, FILE_INFO);
    assert_memory_equal(&m.info, &info, sizeof info);
    assert_int_equal(m.text_len, 8);
    assert_memory_equal(m.text, "a\0target", 8);
}

static void test_asks_for_more_until_all_is_there(void **state)
{
    struct file_end end = {.error = 2};
    size_t len = encode(FILE_END, &end, "it does not exist", 17);
    struct file_message m;

    for (size_t i = 0; i < len; i++)
        assert_int_equal(file_parse(bytes, i, &m, NULL), 0);
    assert_int_equal(file_parse(bytes, len, &m, NULL), len);
}

static void refuse(enum file_frame type, size_t payload, const void *fixed)
{
    struct file_message m = {.type = 77};
    struct err e = {0};

    encode(type, fixed, "", 0);
    file_header(bytes, type, payload);
    assert_int_equal(file_parse(bytes, sizeof bytes, &m, &e), -1);
    assert_int_equal(e.code, ERR_INVALID);
    assert_int_equal(m.type, 77);
}

static void test_refuses_impossible_lengths(void **state)
{
    static const char zero[64];

    refuse(FILE_INFO, sizeof(struct file_info) - 1, zero);
    refuse(FILE_INFO, FILE_PAYLOAD_MAX + 1, zero);
    refuse(FILE_BYTES, sizeof(struct file_bytes) + 1, zero);
    refuse(FILE_STORAGE, UINT32_MAX, zero);
    refuse(0, 0, zero);
    refuse(FILE_END + 1, 0, zero);
    refuse((enum file_frame)UINT32_MAX, 16, zero);
}

static void test_refuses_numbers_out_of_their_range(void **state)
{
    refuse(FILE_INFO, sizeof(struct file_info), &(struct file_info){.type = 0});
    refuse(FILE_INFO, sizeof(struct file_info), &(struct file_info){.type = TYPE_OTHER + 1});
    refuse(FILE_INFO, sizeof(struct file_info), &(struct file_info){TYPE_FILE, .mode = 010000});
    refuse(FILE_EVENT, sizeof(struct file_event), &(struct file_event){CHANGE_LOST + 1, 0});
    refuse(FILE_EVENT, sizeof(struct file_event), &(struct file_event){CHANGE_LOST, 2});
    refuse(FILE_PROCESS, sizeof(struct file_process), &(struct file_process){.state = '\n'});
    refuse(FILE_END, sizeof(struct file_end), &(struct file_end){.error = -5});
    refuse(FILE_END, sizeof(struct file_end), &(struct file_end){.truncated = 2});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_back_what_was_encoded),
        cmocka_unit_test(test_asks_for_more_until_all_is_there),
        cmocka_unit_test(test_refuses_impossible_lengths),
        cmocka_unit_test(test_refuses_numbers_out_of_their_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

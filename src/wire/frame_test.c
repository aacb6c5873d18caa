/* Tests of frame: what is a frame, and what is not. */
#include "wire/frame.h"

#include "base/test_support.h"

static size_t make(char *out, enum frame_type type, const void *payload, size_t len)
{
    frame_header(out, type, len);
    memcpy(out + FRAME_HEADER, payload, len);
    return FRAME_HEADER + len;
}

static void a_header_is_two_little_words(void **state)
{
    char header[FRAME_HEADER];

    frame_header(header, FRAME_EXIT, 0x12345);
    assert_memory_equal(header, "\x14\0\0\0\x45\x23\1\0", sizeof header);
}

static void every_type_comes_back_as_it_was_sent(void **state)
{
    static const struct {
        enum frame_type type;
        size_t len;
    } sent[] = {
        {FRAME_JOB, sizeof(struct frame_job) + 3},
        {FRAME_FILE, sizeof(struct frame_blob) + 1},
        {FRAME_STDIN, sizeof(struct frame_blob)},
        {FRAME_GO, 0},
        {FRAME_READY, 0},
        {FRAME_FAILED, 0},
        {FRAME_FAILED, 10},
        {FRAME_BAD_FILE, sizeof(struct frame_errno) + 4},
        {FRAME_REFUSED, 2000},
        {FRAME_EXIT, sizeof(struct frame_exit)},
        {FRAME_OUTPUT, sizeof(struct frame_blob) + 1024},
        {FRAME_SKIPPED, sizeof(struct frame_skipped) + 1},
        {FRAME_DONE, 0},
        {FRAME_MODULES, 12},
    };
    char payload[4096], data[sizeof payload + FRAME_HEADER];

    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (char)i;
    for (size_t i = 0; i < TEST_COUNT(sent); i++) {
        size_t size = make(data, sent[i].type, payload, sent[i].len);
        struct frame f;

        assert_int_equal(frame_parse(data, size, &f, NULL), size);
        assert_int_equal(f.type, sent[i].type);
        assert_int_equal(f.len, sent[i].len);
        assert_ptr_equal(f.payload, data + FRAME_HEADER);
        assert_true(f.rest_len <= f.len);
        assert_ptr_equal(f.rest + f.rest_len, data + size);
        assert_memory_equal(&f.job, payload, f.len - f.rest_len);
    }
}

static void an_unfinished_frame_asks_for_more(void **state)
{
    struct frame_exit end = {.wait_status = 9};
    char data[FRAME_HEADER + sizeof end];
    size_t size = make(data, FRAME_EXIT, &end, sizeof end);
    struct frame f;

    for (size_t len = 0; len < size; len++)
        assert_int_equal(frame_parse(data, len, &f, NULL), 0);
    assert_int_equal(frame_parse(data, size, &f, NULL), size);
    assert_int_equal(f.exit.wait_status, 9);
}

static void the_next_frame_is_not_touched(void **state)
{
    char data[2 * FRAME_HEADER + 2];
    struct frame f;

    make(data + make(data, FRAME_REFUSED, "no", 2), FRAME_DONE, "", 0);
    assert_int_equal(frame_parse(data, sizeof data, &f, NULL), FRAME_HEADER + 2);
    assert_int_equal(f.rest_len, 2);
    assert_memory_equal(f.rest, "no", 2);
    assert_int_equal(frame_parse(data + FRAME_HEADER + 2, FRAME_HEADER, &f, NULL), FRAME_HEADER);
    assert_int_equal(f.type, FRAME_DONE);
}

static void unknown_types_are_refused_from_the_header_alone(void **state)
{
    static const uint32_t types[] = {0, 6, 15, 25, 0x80000000, UINT32_MAX};

    for (size_t i = 0; i < TEST_COUNT(types); i++) {
        uint32_t words[2] = {types[i], 0};
        struct err e = {0};
        struct frame f;

        assert_int_equal(frame_parse((char *)words, sizeof words, &f, &e), -1);
        assert_int_equal(e.code, ERR_INVALID);
        assert_contains(e.text, "unknown type");
    }
}

static void impossible_lengths_are_refused_from_the_header_alone(void **state)
{
    static const uint32_t headers[][2] = {
        {FRAME_JOB, sizeof(struct frame_job) - 1},
        {FRAME_JOB, FRAME_PAYLOAD_MAX + 1},
        {FRAME_JOB, UINT32_MAX},
        {FRAME_FILE, 0},
        {FRAME_STDIN, sizeof(struct frame_blob) + 1},
        {FRAME_GO, 1},
        {FRAME_READY, 1},
        {FRAME_EXIT, sizeof(struct frame_exit) - 1},
        {FRAME_EXIT, sizeof(struct frame_exit) + 1},
        {FRAME_OUTPUT, sizeof(struct frame_blob) - 1},
        {FRAME_SKIPPED, sizeof(struct frame_skipped) - 1},
        {FRAME_BAD_FILE, sizeof(struct frame_errno) - 1},
        {FRAME_DONE, 1},
    };

    for (size_t i = 0; i < TEST_COUNT(headers); i++) {
        struct frame f;

        assert_int_equal(frame_parse((char *)headers[i], sizeof headers[i], &f, NULL), -1);
    }
}

static void the_longest_payload_is_taken(void **state)
{
    char *data = calloc(1, FRAME_HEADER + FRAME_PAYLOAD_MAX);
    struct frame f;

    frame_header(data, FRAME_FAILED, FRAME_PAYLOAD_MAX);
    assert_int_equal(frame_parse(data, FRAME_HEADER + FRAME_PAYLOAD_MAX, &f, NULL),
                     FRAME_HEADER + FRAME_PAYLOAD_MAX);
    assert_int_equal(f.rest_len, FRAME_PAYLOAD_MAX);
    free(data);
}

static struct frame job_frame(const char *strings, size_t len, uint32_t nargs, uint32_t nenv)
{
    return (struct frame){
        .type = FRAME_JOB, .job = {.nargs = nargs, .nenv = nenv}, .rest = strings, .rest_len = len};
}

static void strings_of_a_job_are_split_and_counted(void **state)
{
    static const char text[] = "main.py\0off\0\0-v\0A=1";
    struct frame f = job_frame(text, sizeof text, 1, 1);
    const char *strings[5];

    assert_int_equal(frame_job_strings(&f, strings, 5), 5);
    assert_string_equal(strings[0], "main.py");
    assert_string_equal(strings[1], "off");
    assert_string_equal(strings[2], "");
    assert_string_equal(strings[3], "-v");
    assert_string_equal(strings[4], "A=1");
}

static void wrong_strings_of_a_job_are_refused(void **state)
{
    static const char text[] = "a\0b\0c\0d";
    const char *strings[8];
    struct frame unterminated = job_frame(text, sizeof text - 1, 1, 0);
    struct frame too_few = job_frame(text, sizeof text, 2, 0);
    struct frame too_many = job_frame(text, sizeof text, 0, 0);
    struct frame right = job_frame(text, sizeof text, 1, 0);
    struct frame none = job_frame(text, 0, 0, 0);
    struct frame wrapped = job_frame(text, sizeof text, UINT32_MAX, 2);

    assert_int_equal(frame_job_strings(&unterminated, strings, 8), -1);
    assert_int_equal(frame_job_strings(&too_few, strings, 8), -1);
    assert_int_equal(frame_job_strings(&too_many, strings, 8), -1);
    assert_int_equal(frame_job_strings(&none, strings, 8), -1);
    assert_int_equal(frame_job_strings(&wrapped, strings, 8), -1);
    assert_int_equal(frame_job_strings(&right, strings, 3), -1);
    assert_int_equal(frame_job_strings(&right, strings, 4), 4);
}

static void every_reason_for_skipping_has_a_text(void **state)
{
    assert_null(frame_skip_text(0));
    for (uint32_t reason = SKIP_SYMLINK; reason <= SKIP_TOO_DEEP; reason++)
        assert_non_null(frame_skip_text(reason));
    assert_null(frame_skip_text(SKIP_TOO_DEEP + 1));
    assert_null(frame_skip_text(UINT32_MAX));
    assert_string_equal(frame_skip_text(SKIP_SYMLINK), "symlink");
    assert_string_equal(frame_skip_text(SKIP_TOO_LARGE), "too large");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_is_two_little_words),
        cmocka_unit_test(every_type_comes_back_as_it_was_sent),
        cmocka_unit_test(an_unfinished_frame_asks_for_more),
        cmocka_unit_test(the_next_frame_is_not_touched),
        cmocka_unit_test(unknown_types_are_refused_from_the_header_alone),
        cmocka_unit_test(impossible_lengths_are_refused_from_the_header_alone),
        cmocka_unit_test(the_longest_payload_is_taken),
        cmocka_unit_test(strings_of_a_job_are_split_and_counted),
        cmocka_unit_test(wrong_strings_of_a_job_are_refused),
        cmocka_unit_test(every_reason_for_skipping_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

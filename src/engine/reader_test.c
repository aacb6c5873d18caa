/* Tests of reader: what a sandbox says, in order and out of it. */
#include "engine/reader.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/str.h"
#include "base/test_support.h"

struct fixture {
    struct reader reader;
    struct run_result result;
    struct buf input; /* frames to be fed */
    struct err e;
};

static int setup(void **state)
{
    struct fixture *x = calloc(1, sizeof *x);

    x->reader.result = &x->result;
    x->reader.max_file_size = 1 << 20;
    *state = x;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *x = *state;

    run_result_finish(&x->result);
    buf_finish(&x->input);
    free(x);
    return 0;
}

static void add(struct fixture *x, enum frame_type type, const void *fixed, size_t fixed_len,
                const char *rest)
{
    char header[FRAME_HEADER];

    frame_header(header, type, fixed_len + strlen(rest));
    buf_append(&x->input, header, sizeof header);
    buf_append(&x->input, fixed, fixed_len);
    buf_append_str(&x->input, rest);
}

static void add_exit(struct fixture *x, int wait_status, uint32_t flags)
{
    struct frame_exit end = {.wait_status = wait_status, .flags = flags};

    add(x, FRAME_EXIT, &end, sizeof end, "");
}

static void add_file(struct fixture *x, const char *name, const char *data)
{
    struct frame_blob blob = {.size = strlen(data)};

    add(x, FRAME_OUTPUT, &blob, sizeof blob, name);
    buf_append_str(&x->input, data);
}

static void add_skipped(struct fixture *x, const char *name, uint32_t reason)
{
    struct frame_skipped skipped = {.reason = reason};

    add(x, FRAME_SKIPPED, &skipped, sizeof skipped, name);
}

/* Feeds everything that was added, in pieces. */
static int feed(struct fixture *x, size_t piece)
{
    for (size_t at = 0; at < x->input.len; at += piece) {
        size_t left = x->input.len - at;

        if (reader_feed(&x->reader, x->input.data + at, left < piece ? left : piece, &x->e) < 0)
            return -1;
    }
    return 0;
}

static int feed_new(struct fixture *x)
{
    int r = feed(x, x->input.len);

    buf_consume(&x->input, x->input.len);
    return r;
}

static void begin(struct fixture *x)
{
    add(x, FRAME_READY, NULL, 0, "");
    assert_int_equal(feed_new(x), 0);
    assert_int_equal(x->reader.phase, READER_READY);
}

static void a_whole_run_is_decoded_in_pieces_of_any_size(void **state)
{
    for (size_t piece = 1; piece < 90; piece++) {
        struct fixture *x;

        setup((void **)&x);
        add(x, FRAME_READY, NULL, 0, "");
        add_exit(x, 3 << 8, 0);
        add_file(x, "a.txt", "hello");
        add_file(x, "empty", "");
        add_file(x, "d/\xc3\xa4", "second");
        add_skipped(x, "link", SKIP_SYMLINK);
        add(x, FRAME_DONE, NULL, 0, "");
        assert_int_equal(feed(x, piece), 0);
        assert_int_equal(x->reader.phase, READER_DONE);
        assert_int_equal(x->result.outcome, RUN_EXITED);
        assert_int_equal(x->result.exit_code, 3);
        assert_int_equal(x->result.nfiles, 3);
        assert_string_equal(x->result.files[0].name, "a.txt");
        assert_int_equal(x->result.files[0].len, 5);
        assert_memory_equal(x->result.files[0].data, "hello", 5);
        assert_int_equal(x->result.files[1].len, 0);
        assert_string_equal(x->result.files[2].name, "d/\xc3\xa4");
        assert_memory_equal(x->result.files[2].data, "second", 6);
        assert_int_equal(x->result.nskipped, 1);
        assert_string_equal(x->result.skipped[0].name, "link");
        assert_string_equal(x->result.skipped[0].reason, "symlink");
        assert_int_equal(x->result.limits_hit, 0);
        teardown((void **)&x);
    }
}

static void the_wait_status_is_the_verdict(void **state)
{
    struct fixture *x = *state;

    begin(x);
    add_exit(x, SIGSEGV | 0x80, 0);
    assert_int_equal(feed_new(x), 0);
    assert_int_equal(x->reader.phase, READER_ENDED);
    assert_int_equal(x->result.outcome, RUN_SIGNALED);
    assert_int_equal(x->result.signal, SIGSEGV);
    assert_int_equal(x->result.exit_code, 0);
}

static void a_deadline_keeps_the_signal(void **state)
{
    struct fixture *x = *state;

    begin(x);
    add_exit(x, SIGKILL, FRAME_EXIT_TIMEOUT | FRAME_EXIT_WORKSPACE);
    assert_int_equal(feed_new(x), 0);
    assert_int_equal(x->result.outcome, RUN_TIMEOUT);
    assert_int_equal(x->result.signal, SIGKILL);
    assert_int_equal(x->result.limits_hit, RUN_HIT_TIME | RUN_HIT_WORKSPACE);
}

static void a_refusal_outlives_the_exit_that_follows(void **state)
{
    struct fixture *x = *state;

    begin(x);
    add(x, FRAME_REFUSED, NULL, 0, "first");
    add(x, FRAME_REFUSED, NULL, 0, "no \xff import");
    add_exit(x, 0, 0);
    add(x, FRAME_DONE, NULL, 0, "");
    assert_int_equal(feed_new(x), 0);
    assert_int_equal(x->result.outcome, RUN_REFUSED);
    assert_string_equal(x->result.message, "no \xef\xbf\xbd import");
}

static void a_bad_input_file_is_the_end(void **state)
{
    struct fixture *x = *state;
    struct frame_errno fixed = {.errnum = ENAMETOOLONG};

    begin(x);
    add(x, FRAME_BAD_FILE, &fixed, sizeof fixed, "a/b");
    assert_int_equal(feed_new(x), 0);
    assert_int_equal(x->reader.phase, READER_DONE);
    assert_int_equal(x->result.outcome, RUN_BAD_FILE);
    assert_string_equal(x->result.bad_file, "a/b");
    assert_string_equal(x->result.message, strerror(ENAMETOOLONG));
    add(x, FRAME_DONE, NULL, 0, "");
    assert_int_equal(feed_new(x), -1);
}

static void a_failure_tells_its_reason(void **state)
{
    struct fixture *x = *state;

    add(x, FRAME_FAILED, NULL, 0, "sandbox: tmpfs");
    assert_int_equal(feed_new(x), -1);
    assert_int_equal(x->e.code, ERR_UNAVAILABLE);
    assert_string_equal(x->e.text, "sandbox: tmpfs");
}

/* The text ends up in logs and answers, which are UTF-8. */
static void the_text_of_a_failure_is_made_utf8(void **state)
{
    struct fixture *x = *state;
    char text[600];

    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (size_t i = 1; i + 1 < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa4", 2);
    memcpy(text, "\xff", 1);
    begin(x);
    add(x, FRAME_FAILED, NULL, 0, text);
    assert_int_equal(feed_new(x), -1);
    assert_int_equal(utf8_valid_prefix(x->e.text, strlen(x->e.text), NULL), strlen(x->e.text));
    assert_memory_equal(x->e.text, "\xef\xbf\xbd\xc3\xa4", 5);
}

static void nothing_but_failure_before_the_sandbox_is_ready(void **state)
{
    static const enum frame_type types[] = {FRAME_DONE, FRAME_REFUSED, FRAME_GO};

    for (size_t i = 0; i < TEST_COUNT(types); i++) {
        struct fixture *x;

        setup((void **)&x);
        add(x, types[i], NULL, 0, "");
        assert_int_equal(feed_new(x), -1);
        assert_int_equal(x->e.code, ERR_INVALID);
        teardown((void **)&x);
    }
}

static void a_result_before_there_is_a_job_is_refused(void **state)
{
    struct fixture *x = *state;

    x->reader.result = NULL;
    begin(x);
    add_exit(x, 0, 0);
    assert_int_equal(feed_new(x), -1);
    assert_contains(x->e.text, "before it had a job");
}

static void frames_out_of_order_are_refused(void **state)
{
    struct fixture *x = *state;
    struct reader ready, ended;

    begin(x);
    ready = x->reader;
    add(x, FRAME_READY, NULL, 0, "");
    assert_int_equal(feed_new(x), -1);
    x->reader = ready;
    add_file(x, "early", "");
    assert_int_equal(feed_new(x), -1);
    x->reader = ready;
    add(x, FRAME_DONE, NULL, 0, "");
    assert_int_equal(feed_new(x), -1);
    x->reader = ready;
    add_exit(x, 0, 0);
    assert_int_equal(feed_new(x), 0);
    ended = x->reader;
    add_exit(x, 0, 0);
    assert_int_equal(feed_new(x), -1);
    x->reader = ended;
    add(x, FRAME_REFUSED, NULL, 0, "late");
    assert_int_equal(feed_new(x), -1);
    assert_null(x->result.message);
    x->reader = ended;
    add(x, FRAME_FAILED, NULL, 0, "late");
    assert_int_equal(feed_new(x), -1);
}

static void frames_of_the_server_are_refused(void **state)
{
    struct fixture *x = *state;
    struct frame_blob blob = {0};

    begin(x);
    add(x, FRAME_FILE, &blob, sizeof blob, "name");
    assert_int_equal(feed_new(x), -1);
}

static void bytes_behind_the_end_are_refused(void **state)
{
    struct fixture *x = *state;

    begin(x);
    add_exit(x, 0, 0);
    add(x, FRAME_DONE, NULL, 0, "");
    buf_append_str(&x->input, "x");
    assert_int_equal(feed_new(x), -1);
    assert_contains(x->e.text, "after the end");
}

static void a_frame_longer_than_init_ever_sends_is_refused(void **state)
{
    struct fixture *x = *state;
    char *text = malloc(READER_FRAME_MAX + 1);

    memset(text, 'x', READER_FRAME_MAX);
    text[READER_FRAME_MAX - FRAME_HEADER] = '\0';
    begin(x);
    add(x, FRAME_REFUSED, NULL, 0, text);
    assert_int_equal(feed(x, 1000), 0);
    assert_int_equal(strlen(x->result.message), READER_FRAME_MAX - FRAME_HEADER);
    buf_consume(&x->input, x->input.len);
    text[READER_FRAME_MAX - FRAME_HEADER] = 'x';
    text[READER_FRAME_MAX - FRAME_HEADER + 1] = '\0';
    add(x, FRAME_REFUSED, NULL, 0, text);
    assert_int_equal(feed(x, 1000), -1);
    free(text);
}

static void begin_files(struct fixture *x)
{
    begin(x);
    add_exit(x, 0, 0);
    assert_int_equal(feed_new(x), 0);
}

static void impossible_file_names_are_refused(void **state)
{
    char longest[LIMIT_FILE_PATH + 2];
    const char *const names[] = {"", "\xff", "a\xc3", longest};

    memset(longest, 'n', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    for (size_t i = 0; i < TEST_COUNT(names); i++) {
        struct fixture *x;

        setup((void **)&x);
        begin_files(x);
        add_file(x, names[i], "");
        assert_int_equal(feed_new(x), -1);
        assert_int_equal(x->result.nfiles, 0);
        teardown((void **)&x);
    }
}

static void a_name_with_a_nul_is_refused(void **state)
{
    struct fixture *x = *state;
    struct frame_blob blob = {0};
    char header[FRAME_HEADER];

    begin_files(x);
    frame_header(header, FRAME_OUTPUT, sizeof blob + 3);
    buf_append(&x->input, header, sizeof header);
    buf_append(&x->input, &blob, sizeof blob);
    buf_append(&x->input, "a\0b", 3);
    assert_int_equal(feed_new(x), -1);
}

static int announce(struct fixture *x, uint64_t size)
{
    struct frame_blob blob = {.size = size};

    add(x, FRAME_OUTPUT, &blob, sizeof blob, "f");
    return feed_new(x);
}

static void sizes_are_never_believed(void **state)
{
    static const uint64_t sizes[] = {(1 << 20) + 1, LIMIT_OUTPUT_BYTES + 1, (uint64_t)1 << 63,
                                     UINT64_MAX};

    for (size_t i = 0; i < TEST_COUNT(sizes); i++) {
        struct fixture *x;

        setup((void **)&x);
        begin_files(x);
        assert_int_equal(announce(x, sizes[i]), -1);
        assert_int_equal(x->result.nfiles, 0);
        teardown((void **)&x);
    }
}

static void all_files_together_are_bounded(void **state)
{
    struct fixture *x = *state;
    char *zeros = calloc(1, 1 << 20);

    begin_files(x);
    for (uint32_t i = 0; i < LIMIT_OUTPUT_BYTES >> 20; i++) {
        assert_int_equal(announce(x, 1 << 20), 0);
        assert_int_equal(reader_feed(&x->reader, zeros, 1 << 20, NULL), 0);
    }
    assert_int_equal(announce(x, 0), 0);
    assert_int_equal(announce(x, 1), -1);
    free(zeros);
}

static void the_number_of_files_is_bounded(void **state)
{
    struct fixture *x = *state;

    begin_files(x);
    for (uint32_t i = 0; i < LIMIT_OUTPUT_FILES; i++)
        assert_int_equal(announce(x, 0), 0);
    assert_int_equal(announce(x, 0), -1);
    assert_int_equal(x->result.nfiles, LIMIT_OUTPUT_FILES);
}

static void skipped_names_are_bounded_and_the_rest_counted(void **state)
{
    struct fixture *x = *state;

    begin_files(x);
    for (int i = 0; i < LIMIT_SKIPPED_FILES + 7; i++)
        add_skipped(x, "b\xe4", SKIP_NAME);
    assert_int_equal(feed_new(x), 0);
    assert_int_equal(x->result.nskipped, LIMIT_SKIPPED_FILES);
    assert_int_equal(x->result.nskipped_unnamed, 7);
    assert_string_equal(x->result.skipped[99].name, "b\xef\xbf\xbd");
    assert_int_equal(x->result.limits_hit, 0);
}

static void files_left_out_for_their_size_hit_a_limit(void **state)
{
    static const uint32_t reasons[] = {SKIP_TOO_LARGE, SKIP_TOO_MANY, SKIP_TOTAL};

    for (size_t i = 0; i < TEST_COUNT(reasons); i++) {
        struct fixture *x;

        setup((void **)&x);
        begin_files(x);
        add_skipped(x, "big", reasons[i]);
        assert_int_equal(feed_new(x), 0);
        assert_int_equal(x->result.limits_hit, RUN_HIT_FILES);
        teardown((void **)&x);
    }
}

static void an_unknown_reason_is_refused(void **state)
{
    struct fixture *x = *state;

    begin_files(x);
    add_skipped(x, "f", 99);
    assert_int_equal(feed_new(x), -1);
}

static void imported_modules_are_kept_when_they_are_names(void **state)
{
    static const char *const bad[] = {"", "os, sys", "os\nsys", "o\xc3\xa9", "os;rm", "a/b"};
    struct fixture *x = *state;
    char large[FRAME_MODULES_MAX + 2];

    add(x, FRAME_READY, NULL, 0, "");
    for (size_t i = 0; i < TEST_COUNT(bad); i++)
        add(x, FRAME_MODULES, NULL, 0, bad[i]);
    memset(large, 'm', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    add(x, FRAME_MODULES, NULL, 0, large);
    assert_int_equal(feed(x, 100), 0);
    assert_null(x->result.modules);

    x->input.len = 0;
    add_exit(x, 0, 0);
    add(x, FRAME_MODULES, NULL, 0, "numpy,os.path,_x1");
    add(x, FRAME_MODULES, NULL, 0, "only.the.first");
    add(x, FRAME_DONE, NULL, 0, "");
    assert_int_equal(feed(x, 7), 0);
    assert_string_equal(x->result.modules, "numpy,os.path,_x1");
}

static void what_has_not_come_whole_is_not_among_the_files(void **state)
{
    struct fixture *x = *state;

    begin_files(x);
    add_file(x, "whole", "12345");
    add_file(x, "half", "67890");
    x->input.len -= 2;
    assert_int_equal(feed(x, 7), 0);
    assert_int_equal(x->result.nfiles, 2);
    reader_cut(&x->reader);
    assert_int_equal(x->result.nfiles, 1);
    assert_string_equal(x->result.files[0].name, "whole");
    assert_int_equal(x->result.nskipped, 1);
    assert_string_equal(x->result.skipped[0].name, "half");
    assert_string_equal(x->result.skipped[0].reason, "incomplete");
    assert_int_equal(x->result.limits_hit, RUN_HIT_FILES);
}

static void files_that_are_all_there_are_not_cut(void **state)
{
    struct fixture *x = *state;

    begin_files(x);
    add_file(x, "a", "12345");
    add(x, FRAME_DONE, "", 0, "");
    assert_int_equal(feed(x, 100), 0);
    reader_cut(&x->reader);
    assert_int_equal(x->result.nfiles, 1);
    assert_int_equal(x->result.limits_hit, 0);
}

static void modules_of_no_job_are_refused(void **state)
{
    struct fixture *x = *state;

    x->reader.result = NULL;
    add(x, FRAME_READY, NULL, 0, "");
    add(x, FRAME_MODULES, NULL, 0, "os");
    assert_int_equal(feed(x, 100), -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_run_is_decoded_in_pieces_of_any_size),
        TEST(the_wait_status_is_the_verdict),
        TEST(a_deadline_keeps_the_signal),
        TEST(a_refusal_outlives_the_exit_that_follows),
        TEST(a_bad_input_file_is_the_end),
        TEST(a_failure_tells_its_reason),
        TEST(the_text_of_a_failure_is_made_utf8),
        cmocka_unit_test(nothing_but_failure_before_the_sandbox_is_ready),
        TEST(a_result_before_there_is_a_job_is_refused),
        TEST(frames_out_of_order_are_refused),
        TEST(frames_of_the_server_are_refused),
        TEST(bytes_behind_the_end_are_refused),
        TEST(a_frame_longer_than_init_ever_sends_is_refused),
        cmocka_unit_test(impossible_file_names_are_refused),
        TEST(a_name_with_a_nul_is_refused),
        cmocka_unit_test(sizes_are_never_believed),
        TEST(all_files_together_are_bounded),
        TEST(the_number_of_files_is_bounded),
        TEST(skipped_names_are_bounded_and_the_rest_counted),
        cmocka_unit_test(files_left_out_for_their_size_hit_a_limit),
        TEST(an_unknown_reason_is_refused),
        TEST(imported_modules_are_kept_when_they_are_names),
        TEST(modules_of_no_job_are_refused),
        TEST(what_has_not_come_whole_is_not_among_the_files),
        TEST(files_that_are_all_there_are_not_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

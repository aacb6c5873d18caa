/* Tests of feed: what init reads is what the spec says, however the socket takes it. */
#include "engine/feed.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/test_support.h"
#include "engine/language.h"
#include "engine/run.h"
#include "wire/frame.h"

#define STRINGS 64

/* What came out at the other end. */
struct taken {
    struct buf bytes;
    size_t at;
    struct frame frame; /* of the last take() */
    const char *strings[STRINGS];
    int nstrings;
};

static void take(struct taken *t, enum frame_type type)
{
    long n = frame_parse(t->bytes.data + t->at, t->bytes.len - t->at, &t->frame, NULL);

    assert_true(n > 0);
    assert_int_equal(t->frame.type, type);
    t->at += (size_t)n;
    if (type == FRAME_JOB)
        t->nstrings = frame_job_strings(&t->frame, t->strings, STRINGS);
}

static void take_blob(struct taken *t, enum frame_type type, const char *name, const char *data)
{
    take(t, type);
    assert_int_equal(t->frame.rest_len, strlen(name));
    assert_memory_equal(t->frame.rest, name, strlen(name));
    assert_int_equal(t->frame.blob.size, strlen(data));
    assert_memory_equal(t->bytes.data + t->at, data, strlen(data));
    t->at += strlen(data);
}

static void read_all(int fd, struct buf *b)
{
    char chunk[4096];
    ssize_t n;

    while ((n = recv(fd, chunk, sizeof chunk, MSG_DONTWAIT)) > 0)
        buf_append(b, chunk, (size_t)n);
}

/* Sends the spec through a socket that holds little. */
static void send_with(const struct run_spec *spec, const struct feed_config *config,
                      struct taken *t)
{
    int pair[2], r, size = 1;
    struct feed f;

    *t = (struct taken){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    assert_int_equal(feed_init(&f, spec, config, NULL), 0);
    do {
        r = feed_write(&f, pair[0], NULL);
        assert_int_not_equal(r, -1);
        read_all(pair[1], &t->bytes);
    } while (r == 0);
    assert_int_equal(f.at, f.niov);
    assert_int_equal(feed_write(&f, pair[0], NULL), 1);
    feed_finish(&f);
    feed_finish(&f);
    close(pair[0]);
    close(pair[1]);
}

static void send_spec(const struct run_spec *spec, bool warm, struct taken *t)
{
    struct feed_config config = {.work_dir = "/work", .warm = warm};

    send_with(spec, &config, t);
}

static void end(struct taken *t)
{
    take(t, FRAME_GO);
    assert_int_equal(t->at, t->bytes.len);
    buf_finish(&t->bytes);
}

static bool has_string(const struct taken *t, const char *text)
{
    for (int i = 0; i < t->nstrings; i++) {
        if (strcmp(t->strings[i], text) == 0)
            return true;
    }
    return false;
}

static void a_small_job_is_job_code_go(void **state)
{
    char code[] = "print(1)";
    struct run_spec spec = {.language = language_find("python"),
                            .code = code,
                            .code_len = strlen(code),
                            .timeout_ms = 1500,
                            .max_file_size = 77};
    struct taken t;

    send_spec(&spec, true, &t);
    take(&t, FRAME_JOB);
    assert_int_equal(t.frame.job.flags, 0);
    assert_int_equal(t.frame.job.timeout_ms, 1500);
    assert_int_equal(t.frame.job.workspace_mb, 0);
    assert_int_equal(t.frame.job.max_file_size, 77);
    assert_int_equal(t.frame.job.nargv, 0);
    assert_string_equal(t.strings[0], "main.py");
    assert_string_equal(t.strings[1], "off");
    assert_string_equal(t.strings[2], "");
    take_blob(&t, FRAME_FILE, "main.py", "print(1)");
    end(&t);
}

static void files_come_first_and_the_code_last(void **state)
{
    char code[] = "c", one[] = "one", two[] = "", input[] = "in put";
    char name_one[] = "a/b.txt", name_two[] = "main.sh";
    struct run_file files[] = {{name_one, one, 3}, {name_two, two, 0}};
    struct run_spec spec = {.language = language_find("shell"),
                            .code = code,
                            .code_len = 1,
                            .files = files,
                            .nfiles = 2,
                            .stdin_data = input,
                            .stdin_len = 6};
    struct taken t;

    send_spec(&spec, false, &t);
    take(&t, FRAME_JOB);
    take_blob(&t, FRAME_FILE, "a/b.txt", "one");
    take_blob(&t, FRAME_FILE, "main.sh", "");
    take_blob(&t, FRAME_STDIN, "", "in put");
    take_blob(&t, FRAME_FILE, "main.sh", "c");
    end(&t);
}

static void a_large_job_is_written_as_the_socket_takes_it(void **state)
{
    enum { FILES = 150, BYTES = 20000 };
    char *data = malloc(BYTES + 1), code[] = "x", name[] = "f";
    struct run_file files[FILES];
    struct run_spec spec = {.language = language_find("js"),
                            .code = code,
                            .code_len = 1,
                            .files = files,
                            .nfiles = FILES};
    struct taken t;

    for (size_t i = 0; i < BYTES; i++)
        data[i] = (char)('a' + i % 23);
    data[BYTES] = '\0';
    for (size_t i = 0; i < FILES; i++)
        files[i] = (struct run_file){name, data, BYTES};
    send_spec(&spec, false, &t);
    take(&t, FRAME_JOB);
    for (size_t i = 0; i < FILES; i++)
        take_blob(&t, FRAME_FILE, "f", data);
    take_blob(&t, FRAME_FILE, "main.js", "x");
    end(&t);
    free(data);
}

static void a_cold_job_carries_argv_and_a_warm_one_does_not(void **state)
{
    char arg[] = "-v", code[] = "", *args[] = {arg};
    struct run_spec spec = {
        .language = language_find("python"), .code = code, .args = args, .nargs = 1};
    struct taken t;

    send_spec(&spec, false, &t);
    take(&t, FRAME_JOB);
    assert_int_equal(t.frame.job.flags, FRAME_JOB_RUNNER);
    assert_int_equal(t.frame.job.nargv, 3);
    assert_string_equal(t.strings[3], "/usr/bin/python3");
    assert_string_equal(t.strings[6], "-v");
    buf_finish(&t.bytes);

    send_spec(&spec, true, &t);
    take(&t, FRAME_JOB);
    assert_int_equal(t.frame.job.flags, 0);
    assert_int_equal(t.frame.job.nargv, 0);
    assert_string_equal(t.strings[3], "-v");
    buf_finish(&t.bytes);
}

static void the_clients_environment_comes_first_and_wins(void **state)
{
    char home[] = "HOME=/x", prefix[] = "PATHS=1", code[] = "", *env[] = {home, prefix};
    struct run_spec spec = {
        .language = language_find("shell"), .code = code, .env = env, .nenv = 2};
    struct taken t;

    send_spec(&spec, false, &t);
    take(&t, FRAME_JOB);
    assert_string_equal(t.strings[4], "HOME=/x");
    assert_string_equal(t.strings[5], "PATHS=1");
    assert_false(has_string(&t, "HOME=/tmp"));
    assert_true(has_string(&t, "PATH=/usr/local/bin:/usr/bin:/bin"));
    assert_true(has_string(&t, "PYTHONPATH=/work"));
    assert_int_equal(t.frame.job.nenv, t.nstrings - 4);
    buf_finish(&t.bytes);
}

#define IMAGE_PATH                                                                                 \
    "PATH=/opt/venv/bin:/opt/conda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/"  \
    "bin"

static void in_an_image_programs_are_found_on_its_path(void **state)
{
    struct feed_config config = {.work_dir = "/work", .is_image = true};
    char code[] = "";
    struct run_spec spec = {.language = language_find("python"), .code = code};
    struct taken t;

    send_with(&spec, &config, &t);
    take(&t, FRAME_JOB);
    assert_string_equal(t.strings[3], "python3");
    assert_string_equal(t.strings[5], "/opt/dunlin/python/runner.py");
    assert_true(has_string(&t, IMAGE_PATH));
    assert_true(has_string(&t, "HOME=/tmp"));
    assert_true(has_string(&t, "PYTHONPATH=/work"));
    assert_int_equal(t.frame.job.nenv, t.nstrings - 6);
    buf_finish(&t.bytes);
}

static void a_program_of_our_own_has_no_code(void **state)
{
    char setup[] = "/opt/dunlin/build/setup", arg[] = "-x", *argv[] = {setup, arg};
    char name[] = "setup.sh", script[] = "true", set[] = "DUNLIN_X=1", *env[] = {set};
    struct run_file files[] = {{name, script, 4}};
    struct feed_config config = {.work_dir = "/work", .is_image = true, .workspace_mb = 128};
    struct run_spec spec = {.program = argv,
                            .nprogram = 2,
                            .files = files,
                            .nfiles = 1,
                            .env = env,
                            .nenv = 1,
                            .limits = {.workspace_mb = 128}};
    struct taken t;

    send_with(&spec, &config, &t);
    take(&t, FRAME_JOB);
    assert_int_equal(t.frame.job.flags, 0);
    assert_int_equal(t.frame.job.nargv, 2);
    assert_int_equal(t.frame.job.nargs, 0);
    assert_string_equal(t.strings[0], "");
    assert_string_equal(t.strings[1], "off");
    assert_string_equal(t.strings[3], "/opt/dunlin/build/setup");
    assert_string_equal(t.strings[4], "-x");
    assert_string_equal(t.strings[5], "DUNLIN_X=1");
    assert_true(has_string(&t, IMAGE_PATH));
    assert_true(has_string(&t, "HOME=/root"));
    assert_false(has_string(&t, "PYTHONPATH=/work"));
    assert_int_equal(t.frame.job.nenv, t.nstrings - 5);
    take_blob(&t, FRAME_FILE, "setup.sh", "true");
    end(&t);
}

static void the_policy_applies_only_where_there_is_one(void **state)
{
    char modules[] = "numpy,os", code[] = "";
    struct run_spec spec = {.language = language_find("python"),
                            .code = code,
                            .policy = POLICY_STRICT,
                            .allowed_modules = modules,
                            .check_only = true,
                            .files_mode = RUN_FILES_CHANGED,
                            .limits = {.workspace_mb = 64}};
    struct taken t;

    send_spec(&spec, true, &t);
    take(&t, FRAME_JOB);
    assert_int_equal(t.frame.job.flags, FRAME_JOB_CHECK | FRAME_JOB_CHANGED);
    assert_int_equal(t.frame.job.workspace_mb, 64);
    assert_string_equal(t.strings[1], "strict");
    assert_string_equal(t.strings[2], "numpy,os");
    buf_finish(&t.bytes);

    spec.language = language_find("shell");
    send_spec(&spec, false, &t);
    take(&t, FRAME_JOB);
    assert_string_equal(t.strings[1], "off");
    buf_finish(&t.bytes);
}

static void a_job_beyond_the_frame_is_refused(void **state)
{
    char *arg = malloc(FRAME_PAYLOAD_MAX + 1), code[] = "";
    struct run_spec spec = {
        .language = language_find("shell"), .code = code, .args = &arg, .nargs = 1};
    struct feed_config config = {.work_dir = "/work"};
    struct err e = {0};
    struct feed f;

    memset(arg, 'a', FRAME_PAYLOAD_MAX);
    arg[FRAME_PAYLOAD_MAX] = '\0';
    assert_int_equal(feed_init(&f, &spec, &config, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_int_equal(f.niov, 0);
    feed_finish(&f);
    free(arg);
}

static void a_peer_that_went_away_is_an_error(void **state)
{
    char code[] = "c";
    struct run_spec spec = {.language = language_find("shell"), .code = code, .code_len = 1};
    struct feed_config config = {.work_dir = "/work"};
    int pair[2];
    struct err e = {0};
    struct feed f;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    close(pair[1]);
    assert_int_equal(feed_init(&f, &spec, &config, NULL), 0);
    assert_int_equal(feed_write(&f, pair[0], &e), -1);
    assert_int_equal(e.code, ERR_CLOSED);
    feed_finish(&f);
    close(pair[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_job_is_job_code_go),
        cmocka_unit_test(files_come_first_and_the_code_last),
        cmocka_unit_test(a_large_job_is_written_as_the_socket_takes_it),
        cmocka_unit_test(a_cold_job_carries_argv_and_a_warm_one_does_not),
        cmocka_unit_test(the_clients_environment_comes_first_and_wins),
        cmocka_unit_test(in_an_image_programs_are_found_on_its_path),
        cmocka_unit_test(a_program_of_our_own_has_no_code),
        cmocka_unit_test(the_policy_applies_only_where_there_is_one),
        cmocka_unit_test(a_job_beyond_the_frame_is_refused),
        cmocka_unit_test(a_peer_that_went_away_is_an_error),
    };
    signal(SIGPIPE, SIG_IGN); /* as the server does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tests of watching a directory.  As file_test.c. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test_support.h"
#include "init/file_harness.h"

#define PATIENCE_MS 10000

static int setup(void **state)
{
    return harness_open("size=16m,nr_inodes=30000,mode=0777");
}

static int teardown(void **state)
{
    return harness_close();
}

#define ROOT_ONLY()                                                                                \
    do {                                                                                           \
        if (!harness_is_root())                                                                    \
            skip();                                                                                \
    } while (0)

/* Waits for this change of this name, passing over others. */
static void expect(int stream, enum file_change change, const char *name)
{
    const struct file_message *m = &answer.frames[0].m;

    do
        assert_true(harness_next(stream, PATIENCE_MS));
    while (m->type != FILE_EVENT || m->event.change != change || strcmp(m->text, name) != 0);
}

static void finish(int stream, pid_t pid)
{
    int status;

    close(stream);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_changes_are_told(void **state)
{
    static const struct session_file what = {.op = FILE_WATCH, .flags = FILE_RECURSIVE};
    pid_t pid;
    int stream;

    ROOT_ONLY();
    mkdir("w", 0755);
    mkdir("w/d", 0755);
    mkdir("out", 0755);
    stream = harness_start(&what, "w", "", &pid);
    assert_true(harness_next(stream, PATIENCE_MS));
    assert_int_equal(answer.frames[0].m.type, FILE_INFO);
    put("w/f", "text");
    expect(stream, CHANGE_CREATED, "f");
    expect(stream, CHANGE_MODIFIED, "f");
    put("w/d/g", "");
    expect(stream, CHANGE_CREATED, "d/g");
    assert_int_equal(rename("w/f", "w/d/h"), 0);
    expect(stream, CHANGE_MOVED, "f");
    assert_string_equal(answer.frames[0].m.text + 2, "d/h");
    assert_int_equal(rename("w/d", "w/e"), 0);
    expect(stream, CHANGE_MOVED, "d");
    assert_int_equal(answer.frames[0].m.event.is_directory, 1);
    unlink("w/e/g");
    expect(stream, CHANGE_REMOVED, "e/g");
    assert_int_equal(system("mkdir -p w/new/a/b && touch w/new/a/b/c"), 0);
    expect(stream, CHANGE_CREATED, "new/a/b/c");
    assert_int_equal(rename("w/new", "out/new"), 0);
    expect(stream, CHANGE_REMOVED, "new");
    put("out/new/a/unseen", "");
    put("w/last", "");
    expect(stream, CHANGE_CREATED, "last");
    finish(stream, pid);
}

/* Of a file that is replaced by a call, and of one that has no name, in a directory that is not the
 * root. */
static void test_only_what_has_a_name_is_told(void **state)
{
    static const struct session_file what = {.op = FILE_WATCH},
                                     write = {.op = FILE_WRITE, .size = 1};
    const struct file_message *m = &answer.frames[0].m;
    pid_t pid;
    int stream, fd;

    ROOT_ONLY();
    mkdir("w", 0755);
    put("w/f", "text");
    stream = harness_start(&what, "w", "", &pid);
    assert_true(harness_next(stream, PATIENCE_MS));
    assert_int_equal(harness_call(&write, "w/f", "", "x", 1), 0);
    assert_true(harness_next(stream, PATIENCE_MS));
    assert_int_equal(m->type, FILE_EVENT);
    assert_int_equal(m->event.change, CHANGE_MODIFIED);
    assert_string_equal(m->text, "f");
    fd = open("w", O_TMPFILE | O_RDWR, 0600);
    assert_true(fd >= 0 && dprintf(fd, "x") == 1 && fchmod(fd, 0644) == 0);
    close(fd);
    put("w/#7", "");
    assert_true(harness_next(stream, PATIENCE_MS));
    assert_string_equal(m->text, "#7");
    finish(stream, pid);
}

/* Whoever watches knows that he does not see all. */
static void test_what_is_too_deep_to_be_watched_is_lost(void **state)
{
    static const struct session_file what = {.op = FILE_WATCH, .flags = FILE_RECURSIVE};
    pid_t pid;
    int stream;

    ROOT_ONLY();
    assert_int_equal(system("mkdir -p w/$(yes d | head -n 70 | tr '\\n' /)"), 0);
    stream = harness_start(&what, "w", "", &pid);
    expect(stream, CHANGE_LOST, "");
    put("w/d/seen", "");
    expect(stream, CHANGE_CREATED, "d/seen");
    finish(stream, pid);
}

static void test_the_end_of_the_directory_ends_it(void **state)
{
    static const struct session_file what = {.op = FILE_WATCH};
    pid_t pid;
    int stream;

    ROOT_ONLY();
    mkdir("w", 0755);
    stream = harness_start(&what, "w", "", &pid);
    assert_true(harness_next(stream, PATIENCE_MS));
    rmdir("w");
    expect(stream, CHANGE_REMOVED, "");
    finish(stream, pid);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_changes_are_told),
        TEST(test_only_what_has_a_name_is_told),
        TEST(test_what_is_too_deep_to_be_watched_is_lost),
        TEST(test_the_end_of_the_directory_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

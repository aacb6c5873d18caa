/* Tests of cgroup_file, on ordinary files that look like the kernel's. */
#include "spawner/cgroup_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test_support.h"

static char folder[] = "/tmp/cgroup_file_test.XXXXXX";

static int make_folder(void **state)
{
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[sizeof folder + 16];

    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

/* A file with this text. */
static int file_with(const char *text)
{
    char path[sizeof folder + 8];
    int fd;

    snprintf(path, sizeof path, "%s/file", folder);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_int_equal(fd_write_all(fd, text, strlen(text), NULL), 0);
    return fd;
}

static int number_of(const char *text, const char *key, uint64_t *ret, struct err *e)
{
    _cleanup_fd_ int fd = file_with(text);

    return cgroup_file_number(fd, key, ret, e);
}

static void a_number_is_read_from_the_start_each_time(void **state)
{
    _cleanup_fd_ int fd = file_with("18446744073709551615\n");
    uint64_t n = 0;

    assert_int_equal(cgroup_file_number(fd, NULL, &n, NULL), 0);
    assert_true(n == UINT64_MAX);
    assert_int_equal(cgroup_file_number(fd, NULL, &n, NULL), 0);
}

static void a_key_is_found_at_the_start_of_a_line_only(void **state)
{
    static const char text[] = "low 0\nnot_oom_kill 1\noom_kill_disable 2\noom_kill 3\noom 4\n";
    uint64_t n;

    assert_int_equal(number_of(text, "oom_kill", &n, NULL), 0);
    assert_int_equal(n, 3);
    assert_int_equal(number_of(text, "oom", &n, NULL), 0);
    assert_int_equal(n, 4);
    assert_int_equal(number_of(text, "low", &n, NULL), 0);
    assert_int_equal(n, 0);
    assert_int_equal(number_of("oom_kill 7", "oom_kill", &n, NULL), 0);
    assert_int_equal(n, 7);
}

static void what_is_not_there_is_an_error(void **state)
{
    struct err e = {0};
    uint64_t n;

    assert_int_equal(number_of("low 0\n", "high", &n, &e), -1);
    assert_contains(e.text, "without 'high'");
    assert_int_equal(number_of("", NULL, &n, &e), -1);
    assert_int_equal(number_of("max\n", NULL, &n, &e), -1);
    assert_contains(e.text, "without a number");
    assert_int_equal(number_of("max nothing\n", "max", &n, &e), -1);
    assert_int_equal(cgroup_file_number(-1, NULL, &n, &e), -1);
}

static void writing_names_the_file_that_refused(void **state)
{
    struct err e = {0};
    _cleanup_fd_ int fd = file_with("");
    char text[32] = "";

    assert_int_equal(cgroup_file_write_number(folder, "file", -5, NULL), 0);
    assert_int_equal(pread(fd, text, sizeof text - 1, 0), 2);
    assert_string_equal(text, "-5");
    assert_int_equal(cgroup_file_write(folder, "none", "1", &e), -1);
    assert_contains(e.text, "none");
    assert_int_equal(cgroup_file_write("/dev", "full", "1", &e), -1);
    assert_contains(e.text, "/dev/full");
}

static void a_mount_is_found_by_type_and_option(void **state)
{
    char dir[256];

    assert_true(cgroup_file_mount("proc", NULL, dir, sizeof dir));
    assert_int_equal(dir[0], '/');
    assert_false(cgroup_file_mount("proc", "no_such_option", dir, sizeof dir));
    assert_false(cgroup_file_mount("no_such_type", NULL, dir, sizeof dir));
}

static void sweeping_removes_the_groups_and_the_base(void **state)
{
    char base[sizeof folder + 8], group[sizeof base + 16];

    snprintf(base, sizeof base, "%s/base", folder);
    assert_int_equal(mkdir(base, 0755), 0);
    for (int i = 0; i < 3; i++) {
        snprintf(group, sizeof group, "%s/s%d", base, i);
        assert_int_equal(mkdir(group, 0755), 0);
    }
    cgroup_file_sweep(base);
    assert_int_equal(access(base, F_OK), -1);
    cgroup_file_sweep(base);
}

static void sweeping_does_not_follow_links(void **state)
{
    char base[sizeof folder + 8], target[sizeof folder + 8], link[sizeof base + 8];

    snprintf(base, sizeof base, "%s/base", folder);
    snprintf(target, sizeof target, "%s/kept", folder);
    snprintf(link, sizeof link, "%s/s0", base);
    assert_int_equal(mkdir(base, 0755) | mkdir(target, 0755) | symlink(target, link), 0);
    cgroup_file_sweep(base);
    assert_int_equal(access(target, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_is_read_from_the_start_each_time),
        cmocka_unit_test(a_key_is_found_at_the_start_of_a_line_only),
        cmocka_unit_test(what_is_not_there_is_an_error),
        cmocka_unit_test(writing_names_the_file_that_refused),
        cmocka_unit_test(a_mount_is_found_by_type_and_option),
        cmocka_unit_test(sweeping_removes_the_groups_and_the_base),
        cmocka_unit_test(sweeping_does_not_follow_links),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

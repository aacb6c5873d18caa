/* Tests of memory: the readers, on files of a temporary folder. */
#include "service/memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/test_support.h"

static char root[] = "/tmp/dunlin-memory-test-XXXXXX";

static void write_file(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void make_folder(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static int set_up(void **state)
{
    if (!mkdtemp(root))
        return -1;
    write_file("meminfo", "MemFree: 5 kB\nMemTotal:       2048 kB\n");
    write_file("empty", "");
    write_file("limit", "9223372036854771712\n");
    make_folder("a");
    write_file("a/limit", "1000000\n");
    make_folder("a/b");
    write_file("a/b/limit", "max\n");
    return 0;
}

static int tear_down(void **state)
{
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", root);
    return system(command);
}

static void test_the_machines_memory_is_read(void **state)
{
    char path[64];
    uint64_t bytes = 0;
    struct err e = {0};
    snprintf(path, sizeof path, "%s/meminfo", root);
    assert_int_equal(memory_read_total(path, &bytes, &e), 0);
    assert_int_equal(bytes, 2048 * 1024);
    snprintf(path, sizeof path, "%s/empty", root);
    assert_int_equal(memory_read_total(path, &bytes, &e), -1);
    snprintf(path, sizeof path, "%s/absent", root);
    assert_int_equal(memory_read_total(path, &bytes, &e), -1);
}

static void test_the_lowest_limit_on_the_way_up_counts(void **state)
{
    assert_int_equal(memory_read_cgroup_limit(root, "/a/b", "limit"), 1000000);
    assert_int_equal(memory_read_cgroup_limit(root, "/a", "limit"), 1000000);
    assert_int_equal(memory_read_cgroup_limit(root, "/", "limit"), 9223372036854771712u);
    /* A path that is not visible here, as in a container: what is above it still counts. */
    assert_int_equal(memory_read_cgroup_limit(root, "/a/x/y", "limit"), 1000000);
    assert_int_equal(memory_read_cgroup_limit(root, "/a/b", "other"), UINT64_MAX);
}

static void test_a_configured_budget_is_taken_as_it_is(void **state)
{
    uint64_t mb = 0;
    struct err e = {0};
    assert_int_equal(memory_budget_mb(600 << 20, &mb, &e), 0);
    assert_int_equal(mb, 600);
    assert_int_equal(memory_budget_mb(0, &mb, &e), 0);
    assert_true(mb > 0);
}

static void what_is_available_is_read_again_and_again(void **state)
{
    int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC), other = open("/proc/uptime", O_RDONLY);
    uint64_t total = 0, available = 0;

    for (int i = 0; i < 2; i++) {
        assert_int_equal(memory_read_available(fd, &total, &available), 0);
        assert_true(available > 0 && available < total);
    }
    assert_int_equal(memory_read_available(other, &total, &available), -1);
    close(other);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_machines_memory_is_read),
        cmocka_unit_test(what_is_available_is_read_again_and_again),
        cmocka_unit_test(test_the_lowest_limit_on_the_way_up_counts),
        cmocka_unit_test(test_a_configured_budget_is_taken_as_it_is),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

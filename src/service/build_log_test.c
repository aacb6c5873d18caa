/* Tests of build_log. */
#include "service/build_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test_support.h"

struct place {
    char dir[48];
    struct build_log_name name;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);

    strcpy(p->dir, "/tmp/dunlin-log-XXXXXX");
    if (mkdtemp(p->dir) == NULL)
        return -1;
    p->name = (struct build_log_name){open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), 7};
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;

    build_log_remove(p->name);
    close(p->name.dir);
    rmdir(p->dir);
    free(p);
    return 0;
}

static char *read_all(struct place *p)
{
    static char text[65536];
    long n = build_log_read(p->name, 0, text, sizeof text - 1, NULL);
    uint64_t size;

    assert_true(n >= 0);
    assert_int_equal(build_log_size(p->name, &size, NULL), 0);
    assert_int_equal(size, n);
    text[n] = '\0';
    return text;
}

static void open_one(struct place *p, struct build_log *l, uint64_t limit)
{
    assert_int_equal(build_log_open(l, p->name, limit, NULL), 0);
}

static void every_line_has_its_time(void **state)
{
    struct place *p = *state;
    struct build_log l;
    char *text, *second;

    open_one(p, &l, 10000);
    build_log_output(&l, "one", 3);
    build_log_note(&l, "two %d", 2);
    text = read_all(p); /* while it is being written */
    assert_memory_equal(text + 4, "-", 1);
    assert_memory_equal(text + 26, "Z one\n", 6);
    second = strchr(text, '\n') + 1;
    assert_string_equal(second + 26, "Z dunlin: two 2\n");
    build_log_close(&l);
    assert_string_equal(read_all(p), text);
}

static void what_is_too_much_is_left_out_in_the_middle(void **state)
{
    struct place *p = *state;
    struct build_log l;
    char line[16], *text;
    uint64_t before;

    open_one(p, &l, 4000);
    for (int i = 0; i < 1000; i++)
        build_log_output(&l, line, (size_t)snprintf(line, sizeof line, "line %d.", i));
    build_log_flush(&l);
    assert_int_equal(build_log_size(p->name, &before, NULL), 0);
    assert_in_range(before, 1900, 2000);
    build_log_close(&l);
    text = read_all(p);
    assert_in_range(strlen(text), 3800, 4100);
    assert_contains(text, "line 0.\n");
    assert_contains(text, " bytes left out (BUILD_LOG_LIMIT) ...\n20");
    assert_contains(text, "line 999.\n");
    assert_null(strstr(text, "line 500."));
}

static void the_last_lines_are_whole(void **state)
{
    struct place *p = *state;
    struct build_log l;
    char line[2 * BUILD_LOG_LAST];
    const char *last;

    open_one(p, &l, 1 << 20);
    assert_string_equal(build_log_last(&l), "");
    for (int i = 0; i < 1000; i++)
        build_log_output(&l, line, (size_t)snprintf(line, sizeof line, "line %d", i));
    build_log_note(&l, "not of the script");
    last = build_log_last(&l);
    assert_in_range(strlen(last), BUILD_LOG_LAST - 20, BUILD_LOG_LAST);
    assert_memory_equal(last, "line ", 5);
    assert_contains(last, "line 998\nline 999");
    assert_null(strstr(last, "dunlin"));
    memset(line, 'x', sizeof line);
    build_log_output(&l, line, sizeof line);
    assert_int_equal(strlen(build_log_last(&l)), BUILD_LOG_LAST - 1);
    build_log_close(&l);
}

static void a_new_build_starts_anew(void **state)
{
    struct place *p = *state;
    struct build_log l;

    open_one(p, &l, 1000);
    build_log_output(&l, "old", 3);
    build_log_close(&l);
    build_log_close(&l);
    open_one(p, &l, 1000);
    build_log_output(&l, "new", 3);
    build_log_close(&l);
    assert_null(strstr(read_all(p), "old"));
    build_log_append(p->name, "interrupted");
    assert_contains(read_all(p), "new\n20");
    assert_contains(read_all(p), "Z dunlin: interrupted\n");
}

static void one_that_is_not_there_is_empty(void **state)
{
    struct place *p = *state;
    uint64_t size = 9;
    char c;

    assert_int_equal(build_log_size(p->name, &size, NULL), 0);
    assert_int_equal(size, 0);
    assert_int_equal(build_log_read(p->name, UINT64_MAX, &c, 1, NULL), 0);
    build_log_remove(p->name);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_line_has_its_time),        TEST(what_is_too_much_is_left_out_in_the_middle),
        TEST(the_last_lines_are_whole),       TEST(a_new_build_starts_anew),
        TEST(one_that_is_not_there_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

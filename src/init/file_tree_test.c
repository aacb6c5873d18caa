/* Tests of calls on whole trees, and of searching them.  As file_test.c. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/test_support.h"
#include "init/file_harness.h"

static int setup(void **state)
{
    return harness_open("size=16m,nr_inodes=30000,mode=0777");
}

static int setup_tiny(void **state)
{
    return harness_open("size=64k,nr_inodes=100,mode=0777");
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

static void make_deep(int depth)
{
    int at = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (int i = 0; i < depth; i++) {
        int next;

        assert_int_equal(mkdirat(at, "deep", 0700), 0);
        next = openat(at, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(at);
        at = next;
    }
    close(at);
}

static void make_tree(void)
{
    assert_int_equal(mkdir("t", 0755), 0);
    assert_int_equal(mkdir("t/d", 0711), 0);
    put("t/d/f", "deep file");
    put("t/run", "#!");
    chmod("t/run", 06755);
    assert_int_equal(symlink("d/f", "t/l"), 0);
    assert_int_equal(symlink("/etc", "t/out"), 0);
    assert_int_equal(mkfifo("t/p", 0600), 0);
}

static int remove_path(const char *path)
{
    return CALL(path, "", .op = FILE_REMOVE, .flags = FILE_RECURSIVE);
}

/* -- remove */

static void test_remove_takes_away_only_what_is_asked(void **state)
{
    ROOT_ONLY();
    make_tree();
    put("other", "stays");
    assert_int_equal(CALL("t", "", .op = FILE_REMOVE), ENOTEMPTY);
    assert_int_equal(CALL("t/run", "", .op = FILE_REMOVE), 0);
    assert_int_equal(answer.end.bytes, 1);
    assert_int_equal(CALL("t/run", "", .op = FILE_REMOVE), ENOENT);
    assert_int_equal(remove_path("t/run"), ENOENT);
    assert_int_equal(CALL("t/out", "", .op = FILE_REMOVE), 0);
    assert_int_equal(access("/etc/passwd", F_OK), 0);
    chmod("t/d", 0);
    assert_int_equal(remove_path("t"), 0);
    assert_int_equal(answer.end.bytes, 5);
    assert_int_equal(count_names("."), 1);
    assert_int_equal(CALL("", "", .op = FILE_REMOVE), EBUSY);
    assert_int_equal(remove_path("/workspace/"), 0);
    assert_int_equal(count_names("."), 0);
    mkdir("empty", 0);
    assert_int_equal(CALL("empty", "", .op = FILE_REMOVE), 0);
    assert_int_equal(remove_path(".."), EINVAL);
}

static void test_remove_ends_trees_of_any_depth(void **state)
{
    ROOT_ONLY();
    make_deep(5 * LIMIT_FILE_TREE_DEPTH);
    assert_int_equal(remove_path("deep"), 0);
    assert_int_equal(answer.end.bytes, 5 * LIMIT_FILE_TREE_DEPTH);
    assert_int_equal(count_names("."), 0);
}

/* -- move */

static void test_move_renames(void **state)
{
    ROOT_ONLY();
    make_tree();
    put("f", "f");
    assert_int_equal(CALL("f", "g", .op = FILE_MOVE), 0);
    assert_string_equal(answer.frames[0].m.text, "g");
    assert_string_equal(get("g"), "f");
    assert_int_equal(CALL("g", "t/run", .op = FILE_MOVE), EEXIST);
    assert_string_equal(answer.text, "t/run exists already");
    assert_int_equal(CALL("g", "t/run", .op = FILE_MOVE, .flags = FILE_REPLACE), 0);
    assert_string_equal(get("t/run"), "f");
    assert_int_equal(CALL("t/out", "moved", .op = FILE_MOVE), 0);
    assert_int_equal(CALL("moved", "", .op = FILE_STAT), 0);
    assert_int_equal(answer.frames[0].m.info.type, TYPE_LINK);
    assert_int_equal(CALL("none", "x", .op = FILE_MOVE), ENOENT);
    assert_string_equal(answer.text, "none does not exist");
    assert_int_equal(CALL("t", "a/b", .op = FILE_MOVE), ENOENT);
    assert_int_equal(CALL("t", "a/b", .op = FILE_MOVE, .flags = FILE_PARENTS), 0);
    assert_int_equal(CALL("a", "a/b/c", .op = FILE_MOVE), EINVAL);
    assert_int_equal(CALL("a", "moved/x", .op = FILE_MOVE), EXDEV);
    assert_int_equal(CALL("a", "../x", .op = FILE_MOVE), EXDEV);
    assert_int_equal(CALL("", "x", .op = FILE_MOVE), EBUSY);
}

static void test_move_replaces_a_directory_by_one(void **state)
{
    ROOT_ONLY();
    mkdir("a", 0755);
    put("a/new", "");
    mkdir("b", 0755);
    put("b/old", "");
    put("f", "");
    assert_int_equal(CALL("f", "b", .op = FILE_MOVE, .flags = FILE_REPLACE), EISDIR);
    assert_int_equal(CALL("a", "f", .op = FILE_MOVE, .flags = FILE_REPLACE), ENOTDIR);
    assert_int_equal(CALL("a", "b", .op = FILE_MOVE, .flags = FILE_REPLACE), 0);
    assert_int_equal(access("b/new", F_OK), 0);
    assert_int_equal(access("b/old", F_OK), -1);
    assert_int_equal(count_names("."), 2);
}

/* -- copy */

static void test_copy_takes_files_directories_and_links(void **state)
{
    char target[64] = "";
    struct stat st;

    ROOT_ONLY();
    make_tree();
    assert_int_equal(CALL("t", "u", .op = FILE_COPY), EISDIR);
    assert_int_equal(CALL("t", "u", .op = FILE_COPY, .flags = FILE_RECURSIVE), 0);
    assert_contains(answer.text, "1 left out");
    assert_string_equal(get("u/d/f"), "deep file");
    assert_int_equal(mode_of("u/d"), 0711);
    assert_int_equal(mode_of("u/run"), 0755);
    assert_int_equal(readlink("u/out", target, sizeof target), 4);
    assert_string_equal(target, "/etc");
    assert_int_equal(lstat("u/out", &st), 0);
    assert_int_equal(st.st_uid, 1000);
    assert_int_equal(access("u/p", F_OK), -1);
    assert_int_equal(CALL("t/run", "x/y", .op = FILE_COPY, .flags = FILE_PARENTS), 0);
    assert_string_equal(get("x/y"), "#!");
    assert_int_equal(CALL("t/l", "x/y", .op = FILE_COPY), EEXIST);
    assert_int_equal(CALL("t/l", "x/y", .op = FILE_COPY, .flags = FILE_REPLACE), 0);
    assert_int_equal(readlink("x/y", target, sizeof target), 3);
    assert_int_equal(CALL("t/p", "x/p", .op = FILE_COPY), ENXIO);
    assert_int_equal(CALL("t", "u", .op = FILE_COPY, .flags = FILE_RECURSIVE), EEXIST);
    put("u/d/old", "");
    assert_int_equal(CALL("t", "u", .op = FILE_COPY, .flags = FILE_RECURSIVE | FILE_REPLACE), 0);
    assert_int_equal(access("u/d/old", F_OK), -1);
    assert_int_equal(CALL("t/run", "t/out/x", .op = FILE_COPY), EXDEV);
    assert_int_equal(count_names("."), 3);
}

static void test_copy_into_itself_is_refused(void **state)
{
    ROOT_ONLY();
    make_tree();
    assert_int_equal(CALL("t", "t/d/u", .op = FILE_COPY, .flags = FILE_RECURSIVE), EINVAL);
    assert_string_equal(answer.text, "a directory cannot be copied into itself");
    assert_int_equal(count_names("t/d"), 1);
}

static void test_copy_keeps_holes(void **state)
{
    struct stat st;

    ROOT_ONLY();
    put("sparse", "begin");
    assert_int_equal(truncate("sparse", 1ll << 40), 0);
    assert_int_equal(CALL("sparse", "copy", .op = FILE_COPY), 0);
    assert_int_equal(stat("copy", &st), 0);
    assert_int_equal(st.st_size, 1ll << 40);
    assert_true(st.st_blocks < 100);
}

static void test_a_copy_that_does_not_fit_leaves_nothing(void **state)
{
    static char big[20000];

    ROOT_ONLY();
    memset(big, 'b', sizeof big - 1);
    mkdir("t", 0755);
    put("t/a", "small");
    put("t/b", big);
    assert_int_equal(CALL("t", "u", .op = FILE_COPY, .flags = FILE_RECURSIVE), 0);
    assert_int_equal(CALL("t", "v", .op = FILE_COPY, .flags = FILE_RECURSIVE), ENOSPC);
    assert_int_equal(CALL("t/b", "v", .op = FILE_COPY), ENOSPC);
    assert_int_equal(count_names("."), 2);
}

static void test_a_tree_too_deep_is_not_copied(void **state)
{
    ROOT_ONLY();
    make_deep(LIMIT_FILE_TREE_DEPTH + 5);
    assert_int_equal(CALL("deep", "u", .op = FILE_COPY, .flags = FILE_RECURSIVE), ENAMETOOLONG);
    assert_int_equal(count_names("."), 1);
}

static void test_a_copy_that_is_broken_off_leaves_nothing(void **state)
{
    static const struct session_file what = {.op = FILE_COPY, .flags = FILE_RECURSIVE};
    char name[32];
    pid_t pid;

    ROOT_ONLY();
    mkdir("t", 0755);
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "t/%d", i);
        put(name, "x");
    }
    close(harness_start(&what, "t", "u", &pid));
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(count_names("."), 1);
}

/* Wherever it is killed: what it leaves is at the top, of our form, and swept. */
static void test_what_a_killed_call_leaves_is_swept(void **state)
{
    static const struct session_file copy = {.op = FILE_COPY, .flags = FILE_RECURSIVE};
    char name[32];
    pid_t pid;
    int root, left = 0;

    ROOT_ONLY();
    mkdir("s", 0755);
    mkdir("s/t", 0755);
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "s/t/%d", i);
        put(name, "x");
    }
    root = open(".", O_PATH | O_DIRECTORY);
    for (int i = 0; i < 8; i++) {
        int stream = harness_start(&copy, "s/t", "s/u", &pid);

        usleep(1000 + 2000 * i);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        close(stream);
        left += count_names(".") > 1;
        remove_path("s/u");
        assert_int_equal(count_names("s"), 1);
    }
    assert_true(left > 0);
    file_sweep(root);
    close(root);
    assert_int_equal(count_names("."), 1);
}

/* -- chmod */

static void test_chmod_changes_modes_and_no_link(void **state)
{
    struct stat before, after;

    ROOT_ONLY();
    make_tree();
    assert_int_equal(stat("/etc", &before), 0);
    assert_int_equal(CALL("t/run", "", .op = FILE_CHMOD, .mode = 07640), 0);
    assert_int_equal(answer.frames[0].m.info.mode, 01640);
    assert_int_equal(CALL("t/out", "", .op = FILE_CHMOD, .mode = 0777), EXDEV);
    assert_int_equal(CALL("t/l", "", .op = FILE_CHMOD, .mode = 0600), 0);
    assert_int_equal(mode_of("t/d/f"), 0600);
    assert_int_equal(CALL("t", "", .op = FILE_CHMOD, .mode = 0, .flags = FILE_RECURSIVE), 0);
    assert_int_equal(mode_of("t/d/f"), 0);
    assert_int_equal(mode_of("t/d"), 0);
    assert_int_equal(mode_of("t/p"), 0);
    assert_int_equal(CALL("t", "", .op = FILE_CHMOD, .mode = 0755, .flags = FILE_RECURSIVE), 0);
    assert_int_equal(mode_of("t/d/f"), 0755);
    assert_int_equal(stat("/etc", &after), 0);
    assert_int_equal(before.st_mode, after.st_mode);
}

/* -- while others change the tree */

static pid_t start_swapping(const char *outside)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        mkdir("t/d", 0755);
        close(open("t/d/f", O_WRONLY | O_CREAT | O_CLOEXEC, 0644)); /* it may be gone already */
        rename("t/d", "away");
        if (symlink(outside, "t/d") == 0)
            unlink("t/d");
        unlink("away/f");
        rmdir("away");
    }
}

static void test_trees_that_change_lead_nowhere(void **state)
{
    char outside[] = "/tmp/file_outside.XXXXXX", file[64], target[64];
    struct stat st;
    pid_t pid;

    ROOT_ONLY();
    assert_non_null(mkdtemp(outside));
    snprintf(file, sizeof file, "%s/f", outside);
    put(file, "outside");
    chmod(file, 0640);
    mkdir("t", 0755);
    pid = start_swapping(outside);
    for (int i = 0; i < 150; i++) {
        CALL("t", "", .op = FILE_CHMOD, .mode = 0777, .flags = FILE_RECURSIVE);
        CALL("t/d", "", .op = FILE_REMOVE, .flags = FILE_RECURSIVE);
        CALL("t", "u", .op = FILE_COPY, .flags = FILE_RECURSIVE | FILE_REPLACE);
        /* A link is copied as a link. */
        if (readlink("u/d", target, sizeof target) < 0 && get("u/d/f") != NULL)
            assert_string_equal(get("u/d/f"), "");
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_string_equal(get(file), "outside");
    unlink(file);
    rmdir(outside);
}

/* -- search */

static int search_text(const char *path, const char *text, uint32_t flags)
{
    return CALL(path, text, .op = FILE_SEARCH, .flags = flags);
}

static void test_search_finds_lines(void **state)
{
    const struct file_message *m;

    ROOT_ONLY();
    make_tree();
    put("a", "one\ntwo needle and needle\n\nNEEDLE four\nfive needle");
    assert_int_equal(search_text("", "needle", 0), 0);
    assert_int_equal(answer.n, 2);
    m = &answer.frames[0].m;
    assert_int_equal(m->match.line, 2);
    assert_memory_equal(m->text, "a\0two needle and needle", m->text_len);
    assert_int_equal(m->text_len, 23);
    assert_int_equal(answer.frames[1].m.match.line, 5);
    assert_int_equal(search_text("", "nEEdle", FILE_ICASE), 0);
    assert_int_equal(answer.n, 3);
    assert_int_equal(answer.frames[1].m.match.line, 4);
    assert_string_equal(answer.frames[1].m.text + 2, "NEEDLE four");
    assert_int_equal(search_text("a", "needle", 0), 0);
    assert_string_equal(answer.frames[0].m.text, "");
    assert_int_equal(search_text("t", "deep", 0), 0);
    assert_int_equal(answer.n, 1);
    assert_string_equal(answer.frames[0].m.text, "d/f");
    assert_int_equal(search_text("t/p", "x", 0), ENXIO);
    assert_int_equal(search_text("", "", 0), EINVAL);
    assert_int_equal(search_text("", "a\nb", 0), EINVAL);
    assert_int_equal(CALL("", "needle", .op = FILE_SEARCH, .limit = 1), 0);
    assert_int_equal(answer.n, 1);
    assert_int_equal(answer.end.truncated, 1);
}

static void test_search_passes_over_what_is_no_text(void **state)
{
    _cleanup_fd_ int fd = -1;

    ROOT_ONLY();
    fd = open("binary", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(write(fd, "needle\0needle\n", 14), 14);
    put("sparse", "");
    assert_int_equal(truncate("sparse", 1ll << 40), 0);
    assert_int_equal(search_text("", "needle", 0), 0);
    assert_int_equal(answer.n, 0);
}

/* A match on either side of each end of the buffer, and a line that is longer than it. */
static void test_search_finds_across_blocks(void **state)
{
    static char text[(512 << 10) + 5000];

    ROOT_ONLY();
    for (size_t cut = 0; cut <= 8; cut++) {
        memset(text, 'x', sizeof text - 1);
        memcpy(text + (512 << 10) - cut, "needle", 6);
        memcpy(text + sizeof text - 20, "\nneedle", 7);
        put("f", text);
        assert_int_equal(search_text("", "needle", 0), 0);
        assert_int_equal(answer.n, 2);
        assert_int_equal(answer.frames[0].m.match.line, 1);
        assert_true(answer.frames[0].m.text_len <= 2 + 512);
        assert_contains(answer.frames[0].m.text + 2, "needle");
        assert_int_equal(answer.frames[1].m.match.line, 2);
    }
    for (size_t i = 0; i < sizeof text - 1; i++)
        text[i] = i % 100 == 99 ? '\n' : 'x';
    memcpy(text + (512 << 10) + 1000, "needle", 6);
    put("f", text);
    assert_int_equal(search_text("", "needle", 0), 0);
    assert_int_equal(answer.n, 1);
    assert_int_equal(answer.frames[0].m.match.line, ((512 << 10) + 1000) / 100 + 1);
}

static void test_search_finds_names(void **state)
{
    ROOT_ONLY();
    make_tree();
    put("t/d/A.py", "");
    put("b.py", "");
    assert_int_equal(search_text("", "*.py", FILE_NAMES), 0);
    assert_int_equal(answer.n, 2);
    assert_non_null(answer_find("t/d/A.py"));
    assert_int_equal(answer.frames[0].m.match.line, 0);
    assert_int_equal(search_text("", "a.PY", FILE_NAMES | FILE_ICASE), 0);
    assert_int_equal(answer.n, 1);
    assert_int_equal(search_text("", "t/*/*.py", FILE_NAMES), 0);
    assert_int_equal(answer.n, 1);
    assert_int_equal(search_text("", "passwd", FILE_NAMES), 0);
    assert_int_equal(answer.n, 0);
}

#define TEST(name)      cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_TINY(name) cmocka_unit_test_setup_teardown(name, setup_tiny, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_remove_takes_away_only_what_is_asked),
        TEST(test_remove_ends_trees_of_any_depth),
        TEST(test_move_renames),
        TEST(test_move_replaces_a_directory_by_one),
        TEST(test_copy_takes_files_directories_and_links),
        TEST(test_copy_into_itself_is_refused),
        TEST(test_copy_keeps_holes),
        TEST_TINY(test_a_copy_that_does_not_fit_leaves_nothing),
        TEST(test_a_tree_too_deep_is_not_copied),
        TEST(test_a_copy_that_is_broken_off_leaves_nothing),
        TEST(test_what_a_killed_call_leaves_is_swept),
        TEST(test_chmod_changes_modes_and_no_link),
        TEST(test_trees_that_change_lead_nowhere),
        TEST(test_search_finds_lines),
        TEST(test_search_passes_over_what_is_no_text),
        TEST(test_search_finds_across_blocks),
        TEST(test_search_finds_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tests of calls that read and write files: through a fork of file_serve and a socket, as in a
 * sandbox.  They need root, as init has it; without, they skip themselves. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
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

static int write_text(const char *path, const char *text, uint32_t flags)
{
    return SEND(path, text, strlen(text), .op = FILE_WRITE, .flags = flags, .size = strlen(text));
}

static int read_text(const char *path)
{
    return CALL(path, "", .op = FILE_READ, .size = FILE_UNTIL_END);
}

/* -- reading */

static void test_stat_tells_what_a_name_is(void **state)
{
    ROOT_ONLY();
    put("f", "hello");
    chmod("f", 0640);
    mkdir("d", 0700);
    assert_int_equal(symlink("f", "l"), 0);
    assert_int_equal(mkfifo("p", 0600), 0);
    assert_int_equal(CALL("f", "", .op = FILE_STAT), 0);
    assert_int_equal(answer.n, 1);
    assert_int_equal(answer.frames[0].m.info.type, TYPE_FILE);
    assert_int_equal(answer.frames[0].m.info.mode, 0640);
    assert_int_equal(answer.frames[0].m.info.size, 5);
    assert_true(answer.frames[0].m.info.modified_ns > 1000000000ll * 1000000000ll);
    assert_int_equal(CALL("d", "", .op = FILE_STAT), 0);
    assert_int_equal(answer.frames[0].m.info.type, TYPE_DIRECTORY);
    assert_int_equal(CALL("p", "", .op = FILE_STAT), 0);
    assert_int_equal(answer.frames[0].m.info.type, TYPE_OTHER);
    assert_int_equal(CALL("l", "", .op = FILE_STAT), 0);
    assert_int_equal(answer.frames[0].m.info.type, TYPE_LINK);
    assert_memory_equal(answer.frames[0].m.text, "l\0f", 3);
    assert_int_equal(CALL("l", "", .op = FILE_STAT, .flags = FILE_FOLLOW), 0);
    assert_int_equal(answer.frames[0].m.info.type, TYPE_FILE);
    assert_int_equal(CALL("", "", .op = FILE_STAT), 0);
    assert_int_equal(answer.frames[0].m.info.type, TYPE_DIRECTORY);
}

static void test_times_beyond_what_a_number_holds_are_the_farthest(void **state)
{
    static const struct {
        int64_t s, ns;
    } times[] = {
        {INT64_MAX, INT64_MAX}, {INT64_MIN, INT64_MIN}, {9223372036, INT64_MAX}, {-1, -999999990}};

    ROOT_ONLY();
    put("f", "");
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        struct timespec set[2] = {{.tv_nsec = UTIME_NOW}, {.tv_sec = times[i].s, .tv_nsec = 10}};

        assert_int_equal(utimensat(AT_FDCWD, "f", set, 0), 0);
        assert_int_equal(CALL("f", "", .op = FILE_STAT), 0);
        assert_true(answer.frames[0].m.info.modified_ns == times[i].ns);
    }
}

static void test_what_is_not_there_is_told_in_words(void **state)
{
    ROOT_ONLY();
    assert_int_equal(CALL("none", "", .op = FILE_STAT), ENOENT);
    assert_string_equal(answer.text, "none does not exist");
    assert_int_equal(read_text("no\nne\xff"), ENOENT);
    assert_string_equal(answer.text, "no?ne? does not exist");
    assert_int_equal(CALL("none", "", .op = FILE_LIST), ENOENT);
    assert_int_equal(CALL("none", "", .op = 99), ENOSYS);
}

static void test_list_gives_names_of_any_bytes(void **state)
{
    char longest[256];

    ROOT_ONLY();
    memset(longest, 'n', 255);
    longest[255] = '\0';
    put("a\nb", "");
    put("\xff\xfe", "");
    put(longest, "x");
    mkdir("d", 0700);
    put("d/inner", "");
    assert_int_equal(CALL("", "", .op = FILE_LIST), 0);
    assert_int_equal(answer.n, 4);
    assert_non_null(answer_find("a\nb"));
    assert_non_null(answer_find("\xff\xfe"));
    assert_int_equal(answer_find(longest)->info.size, 1);
    assert_int_equal(CALL("", "", .op = FILE_LIST, .flags = FILE_RECURSIVE), 0);
    assert_int_equal(answer.n, 5);
    assert_non_null(answer_find("d/inner"));
    assert_int_equal(CALL("d", "", .op = FILE_LIST), 0);
    assert_string_equal(answer.frames[0].m.text, "inner");
    assert_int_equal(CALL(longest, "", .op = FILE_LIST), ENOTDIR);
}

static void test_list_stops_at_its_limit(void **state)
{
    char name[16];

    ROOT_ONLY();
    for (int i = 0; i < 10100; i++) {
        snprintf(name, sizeof name, "f%d", i);
        put(name, "");
    }
    assert_int_equal(CALL("", "", .op = FILE_LIST, .limit = 7), 0);
    assert_int_equal(answer.n, 7);
    assert_int_equal(answer.end.truncated, 1);
    assert_int_equal(CALL("", "", .op = FILE_LIST, .limit = 1000000), 0);
    assert_int_equal(answer.n, LIMIT_FILE_ENTRIES);
    assert_int_equal(answer.end.truncated, 1);
}

static void test_a_deep_tree_is_listed_as_far_as_the_limit(void **state)
{
    int at;

    ROOT_ONLY();
    at = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < LIMIT_FILE_TREE_DEPTH + 10; i++) {
        assert_int_equal(mkdirat(at, "deep", 0700), 0);
        int next = openat(at, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(at);
        at = next;
    }
    close(at);
    assert_int_equal(CALL("", "", .op = FILE_LIST, .flags = FILE_RECURSIVE), 0);
    assert_int_equal(answer.end.truncated, 1);
    assert_int_equal(answer.n, LIMIT_FILE_TREE_DEPTH + 1);
}

static void test_read_gives_the_bytes_asked_for(void **state)
{
    ROOT_ONLY();
    put("f", "0123456789");
    assert_int_equal(read_text("f"), 0);
    assert_int_equal(answer.frames[0].m.type, FILE_INFO);
    assert_int_equal(answer.frames[1].m.type, FILE_BYTES);
    assert_string_equal(answer.raw, "0123456789");
    assert_int_equal(answer.end.bytes, 10);
    assert_int_equal(CALL("f", "", .op = FILE_READ, .offset = 3, .size = 4), 0);
    assert_string_equal(answer.raw, "3456");
    assert_int_equal(CALL("f", "", .op = FILE_READ, .offset = 8, .size = 400), 0);
    assert_string_equal(answer.raw, "89");
    assert_int_equal(CALL("f", "", .op = FILE_READ, .offset = UINT64_MAX, .size = 4), 0);
    assert_int_equal(answer.raw_len, 0);
}

static void test_read_refuses_what_is_no_file(void **state)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "s"};
    _cleanup_fd_ int sock = -1;
    uint64_t start;

    ROOT_ONLY();
    sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(sock, (void *)&name, sizeof name), 0);
    assert_int_equal(mkfifo("p", 0600), 0);
    assert_int_equal(mknod("zero", S_IFCHR | 0600, makedev(1, 5)), 0);
    mkdir("d", 0700);
    start = clock_now_us();
    assert_int_equal(read_text("p"), ENXIO);
    assert_int_equal(read_text("s"), ENXIO);
    assert_int_equal(read_text("zero"), ENXIO);
    assert_int_equal(read_text("d"), EISDIR);
    assert_int_equal(read_text(""), EISDIR);
    assert_int_equal(write_text("d", "x", 0), EISDIR);
    assert_int_equal(SEND("p", "x", 1, .op = FILE_APPEND, .size = 1), ENXIO);
    assert_int_equal(SEND("p", "x", 1, .op = FILE_PATCH, .size = 1), ENXIO);
    assert_true(clock_now_us() - start < 5000000);
}

static void test_modes_do_not_hinder_the_server(void **state)
{
    ROOT_ONLY();
    mkdir("d", 0700);
    put("d/f", "secret");
    chmod("d/f", 0);
    chmod("d", 0);
    assert_int_equal(read_text("d/f"), 0);
    assert_string_equal(answer.raw, "secret");
    assert_int_equal(CALL("", "", .op = FILE_LIST, .flags = FILE_RECURSIVE), 0);
    assert_int_equal(answer.n, 2);
    assert_int_equal(write_text("d/f", "new", 0), 0);
    assert_int_equal(mode_of("d/f"), 0);
    assert_string_equal(get("d/f"), "new");
}

/* -- links */

static void test_links_inside_are_followed(void **state)
{
    ROOT_ONLY();
    mkdir("d", 0755);
    put("d/f", "inside");
    assert_int_equal(symlink("d", "rel"), 0);
    assert_int_equal(symlink("/workspace/d", "abs"), 0);
    assert_int_equal(symlink("../rel/f", "d/up"), 0);
    assert_int_equal(symlink("/workspace/abs/../d/up", "chain"), 0);
    assert_int_equal(symlink("/workspace", "top"), 0);
    assert_int_equal(read_text("rel/f"), 0);
    assert_int_equal(read_text("abs/f"), 0);
    assert_int_equal(read_text("abs/up"), 0);
    assert_int_equal(read_text("chain"), 0);
    assert_string_equal(answer.raw, "inside");
    assert_int_equal(read_text("top/top/chain"), 0);
    assert_string_equal(answer.raw, "inside");
    assert_int_equal(read_text("/workspace//./top/chain"), 0);
    assert_int_equal(write_text("chain", "through", 0), 0);
    assert_string_equal(get("d/f"), "through");
    assert_int_equal(symlink("/workspace/fresh", "dangling"), 0);
    assert_int_equal(write_text("dangling", "made", 0), 0);
    assert_string_equal(get("fresh"), "made");
    assert_int_equal(write_text("abs/new/f", "deep", FILE_PARENTS), 0);
    assert_string_equal(get("d/new/f"), "deep");
}

static void test_links_out_of_the_workspace_lead_nowhere(void **state)
{
    static const char *const targets[] = {
        "/etc/passwd", "../../etc/passwd", "/workspacex/f", "/workspace/../etc/passwd", "..", "/"};
    char name[8];

    ROOT_ONLY();
    for (size_t i = 0; i < TEST_COUNT(targets); i++) {
        snprintf(name, sizeof name, "l%zu", i);
        assert_int_equal(symlink(targets[i], name), 0);
        assert_int_equal(CALL(name, "", .op = FILE_STAT, .flags = FILE_FOLLOW), EXDEV);
        assert_int_equal(read_text(name), EXDEV);
        assert_int_equal(write_text(name, "x", 0), EXDEV);
        assert_int_equal(SEND(name, "x", 1, .op = FILE_APPEND, .size = 1), EXDEV);
        assert_int_equal(SEND(name, "x", 1, .op = FILE_PATCH, .size = 1), EXDEV);
        assert_int_equal(CALL(name, "", .op = FILE_LIST), EXDEV);
        assert_int_equal(CALL(name, "", .op = FILE_STAT), 0);
    }
    assert_int_equal(symlink("l5/tmp", "chain"), 0);
    assert_int_equal(write_text("chain/file_test_escape", "x", FILE_PARENTS), EXDEV);
    assert_int_equal(write_text("l5/tmp/file_test_escape", "x", 0), EXDEV);
    assert_int_equal(access("/tmp/file_test_escape", F_OK), -1);
    assert_int_equal(read_text("../../../etc/passwd"), EXDEV);
    assert_int_equal(read_text("/etc/passwd"), EXDEV);
    assert_int_equal(write_text("..", "x", 0), EXDEV);
}

static void test_loops_of_links_end(void **state)
{
    ROOT_ONLY();
    assert_int_equal(symlink("b", "a"), 0);
    assert_int_equal(symlink("a", "b"), 0);
    assert_int_equal(symlink("/workspace/d", "c"), 0);
    assert_int_equal(symlink("/workspace/c", "d"), 0);
    assert_int_equal(symlink("/workspace/grow/x", "grow"), 0);
    assert_int_equal(read_text("a"), ELOOP);
    assert_int_equal(read_text("c"), ELOOP);
    assert_int_equal(read_text("grow"), ELOOP);
    assert_int_equal(write_text("a", "x", 0), ELOOP);
    assert_int_equal(write_text("c/x", "x", FILE_PARENTS), ELOOP);
}

/* -- writing */

static void test_write_makes_and_replaces(void **state)
{
    struct stat st;

    ROOT_ONLY();
    assert_int_equal(write_text("f", "one", 0), 0);
    assert_int_equal(answer.frames[0].m.info.size, 3);
    assert_int_equal(answer.end.bytes, 3);
    assert_int_equal(stat("f", &st), 0);
    assert_int_equal(st.st_uid, 1000);
    assert_int_equal(st.st_gid, 1000);
    assert_int_equal(mode_of("f"), 0644);
    chmod("f", 0750);
    assert_int_equal(write_text("f", "two", 0), 0);
    assert_string_equal(get("f"), "two");
    assert_int_equal(mode_of("f"), 0750);
    assert_int_equal(SEND("f", "three", 5, .op = FILE_WRITE, .size = FILE_UNTIL_END, .mode = 06711),
                     0);
    assert_string_equal(get("f"), "three");
    assert_int_equal(mode_of("f"), 0711);
    assert_int_equal(write_text("f", "four", FILE_EXCLUSIVE), EEXIST);
    assert_string_equal(get("f"), "three");
    assert_int_equal(write_text("new", "", FILE_EXCLUSIVE), 0);
    assert_int_equal(count_names("."), 2);
}

static void test_write_makes_directories_only_when_asked(void **state)
{
    struct stat st;

    ROOT_ONLY();
    assert_int_equal(write_text("a/b/c", "x", 0), ENOENT);
    assert_int_equal(access("a", F_OK), -1);
    assert_int_equal(write_text("a/b/c", "x", FILE_PARENTS), 0);
    assert_int_equal(stat("a/b", &st), 0);
    assert_int_equal(st.st_uid, 1000);
    assert_int_equal(mode_of("a/b"), 0755);
    assert_int_equal(write_text("a/b/c/d", "x", FILE_PARENTS), ENOTDIR);
    assert_int_equal(write_text("", "x", 0), EBUSY);
}

static void test_a_broken_write_changes_nothing(void **state)
{
    static const struct session_file sized = {.op = FILE_WRITE, .size = 100},
                                     open_end = {.op = FILE_WRITE, .size = FILE_UNTIL_END};

    ROOT_ONLY();
    put("f", "old");
    assert_int_equal(harness_break(&sized, "f", "0123456789", 10, false), EIO);
    assert_string_equal(answer.text, "10 of 100 bytes came");
    assert_int_equal(harness_break(&sized, "f", "0123456789", 10, true), -1);
    assert_int_equal(harness_break(&open_end, "f", "0123456789", 10, true), -1);
    assert_string_equal(get("f"), "old");
    assert_int_equal(count_names("."), 1);
    assert_int_equal(harness_break(&open_end, "f", "0123456789", 10, false), 0);
    assert_string_equal(get("f"), "0123456789");
}

static void test_a_full_workspace_keeps_the_old_file(void **state)
{
    static char big[200000];

    ROOT_ONLY();
    put("f", "old");
    assert_int_equal(SEND("f", big, sizeof big, .op = FILE_WRITE, .size = sizeof big), ENOSPC);
    assert_contains(answer.text, "full");
    assert_int_equal(SEND("f", big, sizeof big, .op = FILE_WRITE, .size = FILE_UNTIL_END), ENOSPC);
    assert_string_equal(get("f"), "old");
    assert_int_equal(count_names("."), 1);
    assert_int_equal(SEND("g", big, sizeof big, .op = FILE_APPEND, .size = sizeof big), ENOSPC);
    assert_int_equal(count_names("."), 2);
    assert_int_equal(CALL("", "", .op = FILE_USAGE), 0);
    assert_int_equal(answer.frames[0].m.storage.size, 65536);
    assert_int_equal(answer.frames[0].m.storage.used, 65536);
    assert_int_equal(answer.frames[0].m.storage.inodes, 100);
}

static void test_two_writers_leave_one_whole_file(void **state)
{
    static char texts[2][300000];

    ROOT_ONLY();
    memset(texts[0], 'a', sizeof texts[0]);
    memset(texts[1], 'b', sizeof texts[1]);
    for (int i = 0; i < 20; i++) {
        pid_t pids[2];

        for (int w = 0; w < 2; w++) {
            pids[w] = fork();
            if (pids[w] == 0)
                _exit(SEND("f", texts[w], sizeof texts[w], .op = FILE_WRITE,
                           .size = sizeof texts[w]));
        }
        for (int w = 0; w < 2; w++) {
            int status;

            waitpid(pids[w], &status, 0);
            assert_int_equal(status, 0);
        }
        assert_int_equal(read_text("f"), 0);
        assert_int_equal(answer.raw_len, sizeof texts[0]);
        assert_memory_equal(answer.raw, texts[answer.raw[0] == 'b'], sizeof texts[0]);
    }
    assert_int_equal(count_names("."), 1);
}

static void test_hard_links_keep_the_old_bytes(void **state)
{
    ROOT_ONLY();
    put("f", "old");
    assert_int_equal(link("f", "g"), 0);
    assert_int_equal(write_text("f", "new", 0), 0);
    assert_string_equal(get("g"), "old");
    assert_string_equal(get("f"), "new");
}

static void test_append_and_patch_change_in_place(void **state)
{
    ROOT_ONLY();
    assert_int_equal(SEND("log", "one ", 4, .op = FILE_APPEND, .size = 4), 0);
    assert_int_equal(SEND("log", "two", 3, .op = FILE_APPEND, .size = FILE_UNTIL_END), 0);
    assert_string_equal(get("log"), "one two");
    assert_int_equal(answer.frames[0].m.info.size, 7);
    assert_int_equal(mode_of("log"), 0644);
    assert_int_equal(SEND("log", "XX", 2, .op = FILE_PATCH, .size = 2, .offset = 1), 0);
    assert_string_equal(get("log"), "oXX two");
    assert_int_equal(SEND("none", "XX", 2, .op = FILE_PATCH, .size = 2), ENOENT);
    assert_int_equal(SEND("log", "XX", 2, .op = FILE_PATCH, .size = 2, .offset = 1ull << 63),
                     EINVAL);
    assert_int_equal(SEND("log", "X", 1, .op = FILE_APPEND, .size = 1, .flags = FILE_EXCLUSIVE),
                     EEXIST);
}

static void test_mkdir_makes_a_directory(void **state)
{
    ROOT_ONLY();
    put("f", "");
    assert_int_equal(CALL("d", "", .op = FILE_MKDIR, .mode = 01700), 0);
    assert_int_equal(mode_of("d"), 01700);
    assert_int_equal(CALL("d", "", .op = FILE_MKDIR), EEXIST);
    assert_int_equal(CALL("d", "", .op = FILE_MKDIR, .flags = FILE_PARENTS), 0);
    assert_int_equal(CALL("d/e/f", "", .op = FILE_MKDIR), ENOENT);
    assert_int_equal(CALL("d/e/f", "", .op = FILE_MKDIR, .flags = FILE_PARENTS), 0);
    assert_int_equal(mode_of("d/e/f"), 0755);
    assert_int_equal(CALL("f", "", .op = FILE_MKDIR, .flags = FILE_PARENTS), EEXIST);
}

/* -- while others change the tree */

/* Swaps a directory for a link that leads out, until it is killed. */
static pid_t start_swapping(void)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        rename("d", "d.away");
        if (symlink("/etc", "d") < 0)
            _exit(1);
        unlink("d");
        rename("d.away", "d");
    }
}

static void test_a_directory_swapped_for_a_link_leads_nowhere(void **state)
{
    pid_t pid;

    ROOT_ONLY();
    mkdir("d", 0755);
    put("d/passwd", "mine");
    pid = start_swapping();
    for (int i = 0; i < 300; i++) {
        int r = read_text("d/passwd");

        assert_true(r == 0 || r == EXDEV || r == ENOENT || r == ENOTDIR);
        if (r == 0)
            assert_string_equal(answer.raw, "mine");
        r = write_text("d/passwd", "mine", 0);
        assert_true(r == 0 || r == EXDEV || r == ENOENT || r == ENOTDIR);
        assert_int_equal(CALL("", "", .op = FILE_LIST, .flags = FILE_RECURSIVE), 0);
        assert_null(answer_find("d/hostname"));
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void test_a_file_that_shrinks_ends_without_an_end(void **state)
{
    static const struct session_file what = {.op = FILE_READ, .size = FILE_UNTIL_END};
    char bytes[4096];
    size_t total = 0;
    ssize_t n;
    pid_t pid;
    int stream;

    ROOT_ONLY();
    put("f", "");
    assert_int_equal(truncate("f", 12 << 20), 0);
    stream = harness_start(&what, "f", "", &pid);
    assert_true(recv(stream, bytes, 1, 0) == 1); /* it has begun */
    assert_int_equal(truncate("f", 0), 0);
    while ((n = recv(stream, bytes, sizeof bytes, 0)) > 0)
        total += (size_t)n;
    assert_true(total < 12u << 20);
    close(stream);
    waitpid(pid, NULL, 0);
}

static void test_a_file_that_grows_is_read_as_it_was(void **state)
{
    static const struct session_file what = {.op = FILE_READ, .size = FILE_UNTIL_END};
    char bytes[4096];
    size_t total = 1;
    ssize_t n;
    pid_t pid;
    int stream;

    ROOT_ONLY();
    put("f", "");
    assert_int_equal(truncate("f", 2 << 20), 0);
    stream = harness_start(&what, "f", "", &pid);
    assert_true(recv(stream, bytes, 1, 0) == 1);
    assert_int_equal(truncate("f", 12 << 20), 0);
    unlink("f");
    while ((n = recv(stream, bytes, sizeof bytes, 0)) > 0)
        total += (size_t)n;
    assert_true(total > 2u << 20 && total < (2u << 20) + 500);
    close(stream);
    waitpid(pid, NULL, 0);
}

static void test_a_call_ends_when_the_server_goes(void **state)
{
    static const struct session_file what = {.op = FILE_READ, .size = FILE_UNTIL_END};
    int stream, status;
    pid_t pid;

    ROOT_ONLY();
    put("f", "");
    assert_int_equal(truncate("f", 12 << 20), 0);
    stream = harness_start(&what, "f", "", &pid);
    close(stream);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

#define TEST(name)      cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_TINY(name) cmocka_unit_test_setup_teardown(name, setup_tiny, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_stat_tells_what_a_name_is),
        TEST(test_times_beyond_what_a_number_holds_are_the_farthest),
        TEST(test_what_is_not_there_is_told_in_words),
        TEST(test_list_gives_names_of_any_bytes),
        TEST(test_list_stops_at_its_limit),
        TEST(test_a_deep_tree_is_listed_as_far_as_the_limit),
        TEST(test_read_gives_the_bytes_asked_for),
        TEST(test_read_refuses_what_is_no_file),
        TEST(test_modes_do_not_hinder_the_server),
        TEST(test_links_inside_are_followed),
        TEST(test_links_out_of_the_workspace_lead_nowhere),
        TEST(test_loops_of_links_end),
        TEST(test_write_makes_and_replaces),
        TEST(test_write_makes_directories_only_when_asked),
        TEST(test_a_broken_write_changes_nothing),
        TEST_TINY(test_a_full_workspace_keeps_the_old_file),
        TEST(test_two_writers_leave_one_whole_file),
        TEST(test_hard_links_keep_the_old_bytes),
        TEST(test_append_and_patch_change_in_place),
        TEST(test_mkdir_makes_a_directory),
        TEST(test_a_directory_swapped_for_a_link_leads_nowhere),
        TEST(test_a_file_that_shrinks_ends_without_an_end),
        TEST(test_a_file_that_grows_is_read_as_it_was),
        TEST(test_a_call_ends_when_the_server_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

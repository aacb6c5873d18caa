/* Tests of packing and unpacking, and of the list of processes.  As file_test.c. */
#include "init/file_tar.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test_support.h"
#include "init/file_harness.h"

static char archive[1 << 20];
static size_t archive_len;

static int setup(void **state)
{
    archive_len = 0;
    return harness_open("size=16m,nr_inodes=30000,mode=0777");
}

static int setup_tiny(void **state)
{
    archive_len = 0;
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

static void add(char type, const char *name, const char *target, const char *text)
{
    static struct tar_member m;
    size_t len = strlen(text);

    m = (struct tar_member){.type = type, .mode = 04755, .size = len, .modified_s = 1000};
    snprintf(m.name, sizeof m.name, "%s", name);
    snprintf(m.target, sizeof m.target, "%s", target);
    archive_len += tar_format(&m, archive + archive_len);
    memset(archive + archive_len, 0, TAR_BLOCK);
    memcpy(archive + archive_len, text, len);
    archive_len += (len + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
}

static int unpack(const char *path)
{
    return SEND(path, archive, archive_len, .op = FILE_UNPACK, .flags = FILE_PARENTS);
}

static void keep_packed(void)
{
    assert_true(answer.raw_len <= sizeof archive);
    memcpy(archive, answer.raw, answer.raw_len);
    archive_len = answer.raw_len;
}

static void test_what_was_packed_is_unpacked_the_same(void **state)
{
    char longest[256], target[300] = "", path[600];
    struct stat a, b;

    ROOT_ONLY();
    memset(longest, 'n', 255);
    longest[255] = '\0';
    assert_int_equal(mkdir("t", 0755), 0);
    assert_int_equal(mkdir("t/d", 0), 0);
    put("t/d/f\n\xff", "text");
    put("t/empty", "");
    snprintf(path, sizeof path, "t/d/%s", longest);
    put(path, "long name");
    chmod(path, 0600);
    assert_int_equal(link("t/empty", "t/zz"), 0);
    assert_int_equal(symlink("/etc", "t/out"), 0);
    assert_int_equal(symlink(longest, "t/long"), 0);
    assert_int_equal(mkfifo("t/p", 0600), 0);
    assert_int_equal(CALL("t", "", .op = FILE_PACK), 0);
    assert_contains(answer.text, "1 left out");
    keep_packed();
    assert_int_equal(archive_len % TAR_BLOCK, 0);
    assert_int_equal(unpack("a/u"), 0);
    assert_string_equal(get("a/u/d/f\n\xff"), "text");
    snprintf(path, sizeof path, "a/u/d/%s", longest);
    assert_string_equal(get(path), "long name");
    assert_int_equal(mode_of(path), 0600);
    assert_int_equal(mode_of("a/u/d"), 0);
    assert_int_equal(readlink("a/u/out", target, sizeof target), 4);
    assert_int_equal(readlink("a/u/long", target, sizeof target), 255);
    assert_int_equal(stat("a/u/empty", &a), 0);
    assert_int_equal(stat("a/u/zz", &b), 0);
    assert_int_equal(a.st_ino, b.st_ino);
    assert_int_equal(a.st_uid, 1000);
    assert_int_equal(CALL("t/zz", "", .op = FILE_PACK), 0);
    assert_memory_equal(answer.raw, "zz", 3);
}

/* Whatever other programs write and read. */
static void test_tar_of_the_system_agrees(void **state)
{
    static const char *const formats[] = {"gnu", "ustar", "posix", "v7"};
    char command[300];

    ROOT_ONLY();
    if (system("tar --version >/dev/null 2>&1") != 0)
        skip();
    assert_int_equal(system("n=$(printf '%0180d' 1); mkdir -p t/$n && echo 1 >t/$n/f && "
                            "ln -s $n t/l && ln t/$n/f t/h"),
                     0);
    for (size_t i = 0; i < TEST_COUNT(formats); i++) {
        _cleanup_fd_ int fd = -1;
        bool is_gnu_or_pax = i % 2 == 0;

        snprintf(command, sizeof command, "cd t && tar --format=%s -cf ../x.tar %s", formats[i],
                 is_gnu_or_pax ? "." : "h");
        assert_int_equal(system(command), 0);
        fd = open("x.tar", O_RDONLY | O_CLOEXEC);
        archive_len = (size_t)read(fd, archive, sizeof archive);
        assert_int_equal(unpack("u"), 0);
        snprintf(command, sizeof command, "diff -r %s && rm -rf u",
                 is_gnu_or_pax ? "t u" : "t/h u/h");
        assert_int_equal(system(command), 0);
    }
    assert_int_equal(CALL("t", "", .op = FILE_PACK), 0);
    assert_true(answer.raw_len > 0);
    _cleanup_fd_ int out = open("y.tar", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(fd_write_all(out, answer.raw, answer.raw_len, NULL), 0);
    assert_int_equal(system("mkdir v && tar -C v -xf y.tar && diff -r t v"), 0);
}

static void test_members_never_leave_the_directory(void **state)
{
    char outside[] = "/tmp/file_outside.XXXXXX", name[100];

    ROOT_ONLY();
    assert_non_null(mkdtemp(outside));
    snprintf(name, sizeof name, "../..%s/f", outside);
    add('0', "before", "", "kept");
    add('0', name, "", "x");
    assert_int_equal(unpack("u"), EXDEV);
    assert_string_equal(get("u/before"), "kept");
    archive_len = 0;
    add('2', "link", outside, "");
    add('0', "link/f", "", "x");
    assert_int_equal(unpack("u"), EXDEV);
    archive_len = 0;
    add('2', "up", "..", "");
    add('0', "up/f", "", "x");
    assert_int_equal(unpack("u"), EXDEV);
    assert_int_equal(access("f", F_OK), -1);
    archive_len = 0;
    put("secret", "s");
    add('1', "hard", "../secret", "");
    assert_int_equal(unpack("u"), EXDEV);
    archive_len = 0;
    add('1', "hard", "up/secret", "");
    assert_int_equal(unpack("u"), EXDEV);
    archive_len = 0;
    snprintf(name, sizeof name, "%s/f", outside);
    add('0', name, "", "beneath");
    assert_int_equal(unpack("u"), 0);
    assert_int_equal(count_names(outside), 0);
    archive_len = 0;
    add('2', "same", "target", "");
    add('0', "same", "", "instead");
    assert_int_equal(unpack("u"), 0);
    assert_int_equal(access("u/target", F_OK), -1);
    assert_string_equal(get("u/same"), "instead");
    rmdir(outside);
}

static void test_devices_are_left_out(void **state)
{
    ROOT_ONLY();
    add('3', "null", "", "");
    add('6', "fifo", "", "");
    add('0', "f", "", "text");
    assert_int_equal(unpack("u"), 0);
    assert_contains(answer.text, "2 left out");
    assert_int_equal(count_names("u"), 1);
    assert_int_equal(mode_of("u/f"), 0755);
}

static void test_a_malformed_archive_is_told_in_words(void **state)
{
    ROOT_ONLY();
    add('0', "f", "", "text");
    archive_len -= 100;
    assert_int_equal(unpack("u"), EINVAL);
    assert_contains(answer.text, "ends early");
    archive_len = 600;
    assert_int_equal(unpack("u"), EINVAL);
    archive_len = 1024;
    archive[0] ^= 1;
    assert_int_equal(unpack("u"), EINVAL);
    assert_contains(answer.text, "no tar archive");
    memset(archive, 'x', sizeof archive);
    archive_len = sizeof archive;
    assert_int_equal(unpack("u"), EINVAL);
    archive_len = 0;
    assert_int_equal(unpack("u"), 0);
    put("f", "");
    assert_int_equal(unpack("f"), ENOTDIR);
}

static void test_what_is_longer_than_any_name_is_refused(void **state)
{
    static char longer[TAR_EXTRA + 1];

    ROOT_ONLY();
    memset(longer, 'n', sizeof longer - 1);
    add('x', "records", "", longer);
    add('0', "f", "", "text");
    assert_int_equal(unpack("u"), EINVAL);
    assert_contains(answer.text, "name or record that is too long");
    archive_len = 0;
    longer[TAR_NAME] = '\0';
    add('L', "name", "", longer);
    add('0', "f", "", "text");
    assert_int_equal(unpack("u"), EINVAL);
    assert_contains(answer.text, "name that is too long");
    assert_int_equal(access("u/f", F_OK), -1);
}

static void test_a_full_workspace_ends_it(void **state)
{
    char name[16], text[400];

    ROOT_ONLY();
    memset(text, 't', sizeof text);
    text[sizeof text - 1] = '\0';
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "f%d", i);
        add('0', name, "", text);
    }
    assert_int_equal(unpack("u"), ENOSPC);
    assert_true(answer.n >= 10 && answer.n < 30);
    assert_int_equal(count_names("u"), answer.n);
}

static void test_processes_are_told(void **state)
{
    pid_t child;
    bool found = false;

    ROOT_ONLY();
    /* As in a sandbox. */
    assert_int_equal(mount("proc", "/proc", "proc", MS_RDONLY, "hidepid=invisible,subset=pid"), 0);
    child = fork();
    if (child == 0) {
        if (setgroups(0, NULL) < 0 || setresgid(1000, 1000, 1000) < 0 ||
            setresuid(1000, 1000, 1000) < 0)
            _exit(126);
        execlp("sleep", "sleep", "30", NULL);
        _exit(127);
    }
    for (int i = 0; i < 200 && !found; i++) {
        assert_int_equal(CALL("", "", .op = FILE_PROCESSES), 0);
        for (size_t n = 0; n < answer.n && !found; n++) {
            const struct file_message *m = &answer.frames[n].m;

            found = m->process.pid == (uint32_t)child && strcmp(m->text, "sleep 30") == 0;
            assert_true(!found || m->process.parent == (uint32_t)getpid());
            assert_true(!found || m->process.started_us < 60000000);
        }
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    umount("/proc");
    assert_true(found);
}

#define TEST(name)      cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_TINY(name) cmocka_unit_test_setup_teardown(name, setup_tiny, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_was_packed_is_unpacked_the_same),
        TEST(test_tar_of_the_system_agrees),
        TEST(test_members_never_leave_the_directory),
        TEST(test_devices_are_left_out),
        TEST(test_a_malformed_archive_is_told_in_words),
        TEST(test_what_is_longer_than_any_name_is_refused),
        TEST_TINY(test_a_full_workspace_ends_it),
        TEST(test_processes_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tests of files, in a small file system of their own.  They need root, as init has it; without,
 * they skip themselves. */
#include "init/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test_support.h"
#include "init/control.h"
#include "wire/frame.h"
#include "wire/nest.h"

enum { ENTRIES_MAX = 2400 };

/* What was sent. */
struct entry {
    enum frame_type type;
    uint32_t reason;
    char name[LIMIT_FILE_PATH + 1];
    const char *data;
    uint64_t size;
};

static char folder[] = "/tmp/files_test.XXXXXX";
static bool usable;
static struct files files;
static char *sent; /* the whole stream */
static size_t sent_len;
static struct entry entries[ENTRIES_MAX];
static size_t nentries;

static int make_world(void **state)
{
    if (mkdtemp(folder) == NULL)
        return -1;
    usable = geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
             mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    return 0;
}

static int remove_world(void **state)
{
    return rmdir(folder);
}

static int mount_storage(const char *options)
{
    if (!usable)
        return 0;
    if (mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0 || chdir(folder) < 0)
        return -1;
    files.nseen = 0;
    files.owner = SANDBOX_UID_RUN;
    return files_open(&files, folder, NULL);
}

static int setup(void **state)
{
    return mount_storage("size=8m,nr_inodes=4000,mode=0755");
}

static int setup_tiny(void **state)
{
    return mount_storage("size=16k,nr_inodes=4,mode=0755");
}

static int teardown(void **state)
{
    if (!usable)
        return 0;
    free(sent);
    sent = NULL;
    fd_close(&files.dir);
    return chdir("/") < 0 ? -1 : umount2(folder, MNT_DETACH);
}

#define NEEDS_ROOT()                                                                               \
    do {                                                                                           \
        if (!usable)                                                                               \
            skip();                                                                                \
    } while (0)

/* -- inputs ------------------------------------------------------------------------------------ */

/* Init's end of a socket on which the server has said `text`; close(c.fd) is the caller's.  Not any
 * other descriptor: init would take it for a server that is gone, and end this process, well. */
static struct control told(const char *text)
{
    int pair[2];
    pid_t pid;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    pid = fork();
    if (pid == 0) {
        close(pair[0]);
        if (fork() == 0) /* nobody waits for it: it may say more than a socket takes */
            fd_write_all(pair[1], text, strlen(text), NULL);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    close(pair[1]);
    return (struct control){.fd = pair[0]};
}

/* Gives init `text` behind a frame that announced `size` bytes. */
static int receive_sized(const char *name, const char *text, uint64_t size)
{
    struct control c = told(text);
    int r;

    r = files_receive(&files, &c, name, size);
    close(c.fd);
    return r;
}

static int receive(const char *name, const char *text)
{
    return receive_sized(name, text, strlen(text));
}

static void assert_content(const char *name, const char *text)
{
    char have[256] = "";
    _cleanup_fd_ int fd = open(name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(read(fd, have, sizeof have), strlen(text));
    assert_memory_equal(have, text, strlen(text));
}

static void assert_owner_and_mode(const char *name, mode_t mode)
{
    struct stat st;

    assert_int_equal(lstat(name, &st), 0);
    assert_int_equal(st.st_uid, SANDBOX_UID_RUN);
    assert_int_equal(st.st_gid, SANDBOX_UID_RUN);
    assert_int_equal(st.st_mode, mode);
}

static void write_own(const char *name, const char *text)
{
    _cleanup_fd_ int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_int_equal(fd_write_all(fd, text, strlen(text), NULL), 0);
}

static void an_input_belongs_to_the_run_and_so_do_its_parents(void **state)
{
    NEEDS_ROOT();
    assert_int_equal(receive("a/b/c.txt", "hello"), 0);
    assert_content("a/b/c.txt", "hello");
    assert_owner_and_mode("a/b/c.txt", S_IFREG | 0644);
    assert_owner_and_mode("a", S_IFDIR | 0755);
    assert_owner_and_mode("a/b", S_IFDIR | 0755);
    assert_int_equal(receive("a/d", ""), 0);
    assert_owner_and_mode("a/d", S_IFREG | 0644);
    assert_int_equal(files.nseen, 2);
}

static void a_large_input_arrives_whole(void **state)
{
    char *text = malloc(1000001);
    struct stat st;

    NEEDS_ROOT();
    memset(text, 'x', 1000000);
    text[1000000] = '\0';
    assert_int_equal(receive("large", text), 0);
    assert_int_equal(stat("large", &st), 0);
    assert_int_equal(st.st_size, 1000000);
    free(text);
}

static void an_older_file_of_the_name_is_replaced(void **state)
{
    NEEDS_ROOT();
    assert_int_equal(receive("f", "first version"), 0);
    assert_int_equal(link("f", "other"), 0);
    assert_int_equal(receive("f", "second"), 0);
    assert_content("f", "second");
    assert_content("other", "first version");
}

static void links_are_replaced_and_never_followed(void **state)
{
    NEEDS_ROOT();
    write_own("target", "kept");
    assert_int_equal(symlink("target", "f") | symlink("none", "dangling"), 0);
    assert_int_equal(receive("f", "new"), 0);
    assert_int_equal(receive("dangling", "new"), 0);
    assert_content("target", "kept");
    assert_content("f", "new");
    assert_int_equal(access("none", F_OK), -1);
}

static void a_link_is_not_taken_for_a_folder(void **state)
{
    NEEDS_ROOT();
    assert_int_equal(mkdir("real", 0755) | symlink("real", "d") | symlink("/tmp", "out"), 0);
    assert_int_not_equal(receive("d/f", "x"), 0);
    assert_int_not_equal(receive("out/files_test_escape", "x"), 0);
    assert_int_equal(access("real/f", F_OK), -1);
    assert_int_equal(access("/tmp/files_test_escape", F_OK), -1);
}

static void a_fifo_in_the_way_does_not_block(void **state)
{
    NEEDS_ROOT();
    assert_int_equal(mkfifo("f", 0600) | mkfifo("p", 0600), 0);
    assert_int_equal(receive("f", "x"), 0);
    assert_content("f", "x");
    assert_int_equal(receive("p/f", "x"), ENOTDIR);
}

static void names_that_cannot_be_written_say_why(void **state)
{
    char longest[258] = "", nested[600];

    NEEDS_ROOT();
    memset(longest, 'n', 256);
    assert_int_equal(receive(longest, "x"), ENAMETOOLONG);
    snprintf(nested, sizeof nested, "%s/f", longest);
    assert_int_equal(receive(nested, "x"), ENAMETOOLONG);
    longest[255] = '\0';
    assert_int_equal(receive(longest, "x"), 0);
    assert_int_equal(mkdir("folder", 0755), 0);
    assert_int_equal(receive("folder", "x"), EISDIR);
    assert_int_equal(receive("file", "x"), 0);
    assert_int_equal(receive("file/f", "x"), ENOTDIR);
}

static void an_input_that_fails_is_read_to_its_end(void **state)
{
    struct control c = told("bytesnext");
    char next[5] = "";

    NEEDS_ROOT();
    assert_int_equal(mkdir("d", 0755), 0);
    assert_int_equal(files_receive(&files, &c, "d", 5), EISDIR);
    assert_int_equal(control_read_raw(&c, next, 4), 4);
    assert_string_equal(next, "next");
    close(c.fd);
}

static void full_storage_is_told_by_errno(void **state)
{
    char text[20000];

    NEEDS_ROOT();
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_false(files_storage_full(folder));
    assert_int_equal(receive("large", text), ENOSPC);
    assert_true(files_storage_full(folder));
    assert_int_equal(unlink("large"), 0);
    assert_int_equal(receive("a", ""), 0);
    assert_int_equal(receive("b", ""), 0);
    assert_int_equal(receive("c", ""), 0);
    assert_int_equal(receive("d", ""), ENOSPC);
    assert_int_equal(receive("e/f", ""), ENOSPC);
    assert_true(files_storage_full(folder));
}

static void init_ends_when_the_server_goes_away(void **state)
{
    int status;
    pid_t pid;

    NEEDS_ROOT();
    pid = fork();
    if (pid == 0) {
        receive_sized("f", "half", 8);
        _exit(99);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* -- outputs ----------------------------------------------------------------------------------- */

static void parse_sent(void)
{
    struct frame f;
    long n;

    nentries = 0;
    for (size_t at = 0; at < sent_len; at += (size_t)n) {
        struct entry *e = &entries[nentries++];

        assert_true(nentries <= ENTRIES_MAX);
        n = frame_parse(sent + at, sent_len - at, &f, NULL);
        assert_true(n > 0);
        *e = (struct entry){.type = f.type, .data = sent + at + n};
        snprintf(e->name, sizeof e->name, "%.*s", (int)f.rest_len, f.rest);
        if (f.type == FRAME_OUTPUT)
            n += (long)(e->size = f.blob.size);
        else
            e->reason = f.skipped.reason;
    }
}

static void collect(bool changed, uint64_t max_size)
{
    struct files_wanted wanted = {.main_file = "main.py", .max_size = max_size, .changed = changed};
    struct control c = {.fd = memfd_create("out", MFD_CLOEXEC)};
    struct stat st;

    free(sent);
    files_send(&files, &c, &wanted);
    control_flush(&c);
    assert_int_equal(fstat(c.fd, &st), 0);
    sent_len = (size_t)st.st_size;
    sent = malloc(sent_len + 1);
    assert_int_equal(pread(c.fd, sent, sent_len, 0), sent_len);
    close(c.fd);
    parse_sent();
}

static const struct entry *find(const char *name)
{
    for (size_t i = 0; i < nentries; i++) {
        if (strcmp(entries[i].name, name) == 0)
            return &entries[i];
    }
    return NULL;
}

static void assert_sent(const char *name, const char *data)
{
    const struct entry *e = find(name);

    assert_non_null(e);
    assert_int_equal(e->type, FRAME_OUTPUT);
    assert_int_equal(e->size, strlen(data));
    assert_memory_equal(e->data, data, e->size);
}

static void assert_skipped(const char *name, enum frame_skip_reason reason)
{
    const struct entry *e = find(name);

    assert_non_null(e);
    assert_int_equal(e->type, FRAME_SKIPPED);
    assert_int_equal(e->reason, reason);
}

static void all_means_the_top_of_the_workspace(void **state)
{
    NEEDS_ROOT();
    assert_int_equal(receive("in.txt", "input"), 0);
    assert_int_equal(receive("main.py", "code"), 0);
    assert_int_equal(receive("d/nested", "x"), 0);
    write_own("out.txt", "output");
    write_own("empty", "");
    collect(false, 100);
    assert_int_equal(nentries, 4);
    assert_sent("in.txt", "input");
    assert_sent("out.txt", "output");
    assert_sent("empty", "");
    assert_skipped("d", SKIP_DIRECTORY);
}

static void what_is_no_regular_file_is_named_and_left_out(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    _cleanup_fd_ int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    NEEDS_ROOT();
    assert_int_equal(symlink("/etc/shadow", "link") | symlink("none", "dangling"), 0);
    assert_int_equal(mkfifo("fifo", 0666), 0);
    assert_int_equal(bind(sock, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(mknod("device", S_IFCHR | 0666, makedev(1, 5)), 0);
    collect(false, 100);
    assert_int_equal(nentries, 5);
    assert_skipped("link", SKIP_SYMLINK);
    assert_skipped("dangling", SKIP_SYMLINK);
    assert_skipped("fifo", SKIP_SPECIAL);
    assert_skipped("socket", SKIP_SPECIAL);
    assert_skipped("device", SKIP_SPECIAL);
}

static void modes_hide_nothing_from_init(void **state)
{
    NEEDS_ROOT();
    assert_int_equal(mkdir("d", 0755), 0);
    write_own("d/f", "deep");
    write_own("f", "top");
    assert_int_equal(chmod("f", 0) | chmod("d/f", 0) | chmod("d", 0), 0);
    collect(true, 100);
    assert_sent("f", "top");
    assert_sent("d/f", "deep");
}

static void odd_names_lose_only_themselves(void **state)
{
    NEEDS_ROOT();
    write_own("b\xe4ume", "x");
    write_own("new\nline", "y");
    write_own("\xc3\xa4", "z");
    write_own("-rf *", "w");
    collect(false, 100);
    assert_int_equal(nentries, 4);
    assert_skipped("b\xe4ume", SKIP_NAME);
    assert_sent("new\nline", "y");
    assert_sent("\xc3\xa4", "z");
    assert_sent("-rf *", "w");
}

static void size_counts_holes(void **state)
{
    NEEDS_ROOT();
    write_own("fits", "0123456789");
    write_own("long", "0123456789a");
    write_own("sparse", "");
    assert_int_equal(truncate("sparse", (off_t)1 << 40), 0);
    collect(false, 10);
    assert_int_equal(nentries, 3);
    assert_sent("fits", "0123456789");
    assert_skipped("long", SKIP_TOO_LARGE);
    assert_skipped("sparse", SKIP_TOO_LARGE);
}

static void all_files_together_are_bounded(void **state)
{
    uint64_t total = 0;
    size_t nsent = 0;

    NEEDS_ROOT();
    for (int i = 0; i < 5; i++) {
        char name[16];

        snprintf(name, sizeof name, "f%d", i);
        write_own(name, "");
        assert_int_equal(truncate(name, 15 << 20), 0);
    }
    collect(false, UINT64_MAX);
    for (size_t i = 0; i < nentries; i++) {
        total += entries[i].size;
        nsent += entries[i].type == FRAME_OUTPUT;
        if (entries[i].type == FRAME_SKIPPED)
            assert_int_equal(entries[i].reason, SKIP_TOTAL);
    }
    assert_int_equal(nentries, 5);
    assert_int_equal(nsent, 4);
    assert_true(total <= LIMIT_OUTPUT_BYTES);
}

static void the_number_of_files_and_of_names_is_bounded(void **state)
{
    size_t nsent = 0;

    NEEDS_ROOT();
    for (int i = 0; i < LIMIT_OUTPUT_FILES + 3 * LIMIT_SKIPPED_FILES; i++) {
        char name[16];

        snprintf(name, sizeof name, "f%d", i);
        write_own(name, "");
    }
    collect(true, 100);
    for (size_t i = 0; i < nentries; i++)
        nsent += entries[i].type == FRAME_OUTPUT;
    assert_int_equal(nsent, LIMIT_OUTPUT_FILES);
    assert_int_equal(nentries - nsent, 2 * LIMIT_SKIPPED_FILES);
    assert_int_equal(entries[nentries - 1].reason, SKIP_TOO_MANY);
}

static void changed_means_new_or_different_anywhere(void **state)
{
    NEEDS_ROOT();
    assert_int_equal(receive("main.py", "code"), 0);
    assert_int_equal(receive("same", "1"), 0);
    assert_int_equal(receive("longer", "1"), 0);
    assert_int_equal(receive("rewritten", "1"), 0);
    assert_int_equal(receive("replaced", "1"), 0);
    assert_int_equal(receive("moded", "1"), 0);
    assert_int_equal(receive("d/same", "1"), 0);
    assert_int_equal(receive("d/main.py", "1"), 0);
    write_own("longer", "12");
    write_own("rewritten", "2");
    write_own("new", "1");
    assert_int_equal(rename("new", "replaced") | chmod("moded", 0700), 0);
    write_own("d/new", "3");
    write_own("d/main.py", "4");
    collect(true, 100);
    assert_int_equal(nentries, 5);
    assert_sent("longer", "12");
    assert_sent("rewritten", "2");
    assert_sent("replaced", "1");
    assert_sent("d/new", "3");
    assert_sent("d/main.py", "4");
}

static void an_empty_folder_is_no_file(void **state)
{
    NEEDS_ROOT();
    assert_int_equal(mkdir("d", 0755), 0);
    collect(true, 100);
    assert_int_equal(nentries, 0);
}

static void links_to_folders_are_not_entered(void **state)
{
    NEEDS_ROOT();
    assert_int_equal(symlink("/etc", "etc") | symlink(".", "loop"), 0);
    collect(true, 100);
    assert_int_equal(nentries, 2);
    assert_skipped("etc", SKIP_SYMLINK);
    assert_skipped("loop", SKIP_SYMLINK);
}

/* Nested folders beneath the workspace, with a file in each. */
static void make_deep(int levels, const char *name)
{
    for (int i = 0; i < levels; i++) {
        assert_int_equal(mkdir(name, 0755) | chdir(name), 0);
        write_own("f", "x");
    }
    assert_int_equal(chdir(folder), 0);
}

static void depth_is_bounded(void **state)
{
    size_t nsent = 0;

    NEEDS_ROOT();
    make_deep(200, "d");
    collect(true, 100);
    for (size_t i = 0; i < nentries; i++)
        nsent += entries[i].type == FRAME_OUTPUT;
    /* A name has at most LIMIT_FILE_DEPTH parts, the file's own included. */
    assert_int_equal(nsent, LIMIT_FILE_DEPTH - 1);
    assert_int_equal(nentries, nsent + 1);
    assert_skipped("d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d", SKIP_TOO_DEEP);
}

static void a_path_that_is_too_long_is_left_out(void **state)
{
    char name[251];

    NEEDS_ROOT();
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    make_deep(6, name);
    collect(true, 100);
    for (size_t i = 0; i < nentries; i++) {
        assert_true(strlen(entries[i].name) <= LIMIT_FILE_PATH);
        if (entries[i].type == FRAME_SKIPPED)
            assert_int_equal(entries[i].reason, SKIP_TOO_DEEP);
    }
    assert_true(nentries > 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_input_belongs_to_the_run_and_so_do_its_parents),
        TEST(a_large_input_arrives_whole),
        TEST(an_older_file_of_the_name_is_replaced),
        TEST(links_are_replaced_and_never_followed),
        TEST(a_link_is_not_taken_for_a_folder),
        TEST(a_fifo_in_the_way_does_not_block),
        TEST(names_that_cannot_be_written_say_why),
        TEST(an_input_that_fails_is_read_to_its_end),
        cmocka_unit_test_setup_teardown(full_storage_is_told_by_errno, setup_tiny, teardown),
        TEST(init_ends_when_the_server_goes_away),
        TEST(all_means_the_top_of_the_workspace),
        TEST(what_is_no_regular_file_is_named_and_left_out),
        TEST(modes_hide_nothing_from_init),
        TEST(odd_names_lose_only_themselves),
        TEST(size_counts_holes),
        TEST(all_files_together_are_bounded),
        TEST(the_number_of_files_and_of_names_is_bounded),
        TEST(changed_means_new_or_different_anywhere),
        TEST(an_empty_folder_is_no_file),
        TEST(links_to_folders_are_not_entered),
        TEST(depth_is_bounded),
        TEST(a_path_that_is_too_long_is_left_out),
    };
    return cmocka_run_group_tests(tests, make_world, remove_world);
}

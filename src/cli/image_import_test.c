/* Tests of image_import: an archive is where the spawner finds it, or nothing is left.  As root. */
#include "cli/image_import.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test_support.h"

#define CONTENT_LEN ((size_t)3 << 20)

static char folder[] = "/tmp/image_import_test.XXXXXX";
static char content[CONTENT_LEN];
static int lock = -1;

static void write_file(const char *path, const void *data, size_t len)
{
    _cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_int_equal(fd_write_all(fd, data, len, NULL), 0);
}

/* A state directory with its lock held, as a running server has it. */
static int set_up(void **state)
{
    if (mkdtemp(folder) == NULL || chdir(folder) < 0 || mkdir("data", 0755) < 0 ||
        mkdir("unused", 0755) < 0 || mkdir("layout", 0755) < 0)
        return -1;
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (char)(i * 31 >> 3);
    write_file("archive", content, sizeof content);
    write_file("empty", "", 0);
    write_file("layout/oci-layout", "{}", 2);
    write_file("data/lock", "", 0);
    write_file("unused/lock", "", 0);
    lock = open("data/lock", O_RDONLY | O_CLOEXEC);
    return flock(lock, LOCK_EX);
}

static int tear_down(void **state)
{
    char command[sizeof folder + 16];

    fd_close(&lock);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return chdir("/") < 0 ? -1 : system(command);
}

static size_t files_in_imports(void)
{
    DIR *dir = opendir("data/imports");
    size_t n = 0;
    struct dirent *one;

    while (dir != NULL && (one = readdir(dir)) != NULL)
        n += one->d_name[0] != '.';
    if (dir != NULL)
        closedir(dir);
    return n;
}

static void path_of(const struct image_copy *c, char path[static 64])
{
    snprintf(path, 64, "data/imports/%" PRIu64, c->number);
}

static void an_archive_is_copied_for_root_alone(void **state)
{
    static char copied[CONTENT_LEN + 1];
    struct image_copy c;
    struct stat st;
    char path[64];

    assert_int_equal(image_copy_make("archive", "data", &c, NULL), 0);
    assert_true(c.number < (uint64_t)1 << 48);
    path_of(&c, path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0600);
    assert_int_equal(st.st_uid, 0);
    {
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);

        assert_int_equal(read(fd, copied, sizeof copied), (ssize_t)sizeof content);
    }
    assert_memory_equal(copied, content, sizeof content);
    image_copy_finish(&c, 0);
    assert_int_equal(files_in_imports(), 0);
    image_copy_finish(&c, 0);
}

static void a_copy_that_a_server_may_still_read_is_kept(void **state)
{
    struct image_copy c;
    char path[64];

    assert_int_equal(image_copy_make("archive", "data", &c, NULL), 0);
    path_of(&c, path);
    image_copy_finish(&c, 1);
    assert_int_equal(unlink(path), 0);
}

static void standard_input_is_an_archive_too(void **state)
{
    int ends[2], old = dup(STDIN_FILENO);
    struct image_copy c;
    struct stat st;
    char path[64];

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "archive", 7), 7);
    close(ends[1]);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    assert_int_equal(image_copy_make("-", "data", &c, NULL), 0);
    dup2(old, STDIN_FILENO);
    close(old);
    path_of(&c, path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 7);
    image_copy_finish(&c, 0);
}

static void a_folder_is_packed(void **state)
{
    struct image_copy c;
    char path[64], command[128];

    assert_int_equal(image_copy_make("layout", "data", &c, NULL), 0);
    path_of(&c, path);
    snprintf(command, sizeof command, "tar -tf %s | grep -qx ./oci-layout", path);
    assert_int_equal(system(command), 0);
    image_copy_finish(&c, 0);
}

static void what_cannot_be_imported_leaves_nothing(void **state)
{
    static const struct {
        const char *from, *data, *text;
    } wrong[] = {{"missing", "data", "missing"},
                 {"empty", "data", "empty is empty"},
                 {"unused", "data", "unused is no OCI layout"},
                 {"archive", "unused", "no server runs with the data directory unused"},
                 {"archive", "layout", "no server runs"},
                 {"archive", "nowhere", "nowhere"},
                 {"archive", "archive", "open the data directory"}};

    for (size_t i = 0; i < TEST_COUNT(wrong); i++) {
        struct image_copy c;
        struct err e = {0};

        assert_int_equal(image_copy_make(wrong[i].from, wrong[i].data, &c, &e), -1);
        assert_contains(e.text, wrong[i].text);
        assert_int_equal(files_in_imports(), 0);
    }
}

static void a_place_that_others_may_write_to_is_refused(void **state)
{
    struct image_copy c;
    struct err e = {0};

    assert_int_equal(chmod("data/imports", 0777), 0);
    assert_int_equal(image_copy_make("archive", "data", &c, &e), -1);
    assert_contains(e.text, "not root's alone");
    assert_int_equal(chmod("data/imports", 0700), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_archive_is_copied_for_root_alone),
        cmocka_unit_test(a_copy_that_a_server_may_still_read_is_kept),
        cmocka_unit_test(standard_input_is_an_archive_too),
        cmocka_unit_test(a_folder_is_packed),
        cmocka_unit_test(what_cannot_be_imported_leaves_nothing),
        cmocka_unit_test(a_place_that_others_may_write_to_is_refused),
    };
    if (geteuid() != 0)
        return 77; /* meson: skipped */
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* Tests of layer and idmap with real file systems, in a mount namespace of their own.  They need
 * root and loop devices; anywhere else they skip themselves. */
#include "spawner/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test_support.h"
#include "spawner/idmap.h"
#include "spawner/loop.h"

static struct spawn_config config;
static char folder[] = "/tmp/dunlin-layer-test.XXXXXX";
static bool usable;

static int make_folder(void **state)
{
    if (geteuid() != 0 || access("/dev/loop-control", R_OK) < 0)
        return 0;
    if (mkdtemp(folder) == NULL || unshare(CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || chdir(folder) < 0)
        return -1;
    snprintf(config.data, sizeof config.data, "%s", folder);
    usable = true;
    return layer_prepare(&config, NULL);
}

static int remove_folder(void **state)
{
    char command[sizeof folder + 16];

    snprintf(command, sizeof command, "rm -r %s", folder);
    return usable ? chdir("/") | system(command) : 0;
}

#define NEEDS_LOOP()                                                                               \
    do {                                                                                           \
        if (!usable)                                                                               \
            skip();                                                                                \
    } while (0)

static void write_file(const char *path, const char *text)
{
    _cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, text, strlen(text), NULL), 0);
}

/* A new layer mounted on "t" for writing; its root. */
static int create(uint64_t layer)
{
    int fd;

    assert_int_equal(mkdir("t", 0755), 0);
    assert_int_equal(layer_create(&config, layer, 16, "t", NULL), 0);
    fd = open("t", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void seal(uint64_t layer, int fd, uint64_t *ret_bytes)
{
    struct err e = {0};

    assert_int_equal(layer_seal(&config, layer, "t", fd, ret_bytes, &e), 0);
    close(fd);
    loop_unmount("t");
    assert_int_equal(access("t", F_OK), -1);
}

static void a_layer_is_made_filled_sealed_and_shown(void **state)
{
    uint64_t bytes = 0;
    struct stat st;
    int fd;

    NEEDS_LOOP();
    fd = create(1);
    write_file("t/root/hello", "hello");
    assert_int_equal(chown("t/root/hello", 33, 44), 0);
    assert_int_equal(access("layers/1.img", F_OK), -1);
    seal(1, fd, &bytes);
    assert_true(bytes > 0 && bytes < 4 << 20);
    assert_int_equal(stat("layers/1.img", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, 16 << 20);

    assert_int_equal(mkdir("l1", 0755), 0);
    assert_int_equal(layer_mount(&config, 1, "l1", NULL), 0);
    assert_int_equal(stat("l1/hello", &st), 0);
    assert_int_equal(st.st_uid, 33);
    assert_int_equal(st.st_gid, 44);
    assert_int_equal(access("l1/work", F_OK), -1);
    assert_int_equal(open("l1/new", O_WRONLY | O_CREAT, 0644), -1);
    assert_int_equal(errno, EROFS);
    loop_unmount("l1");
    assert_int_equal(access("l1", F_OK), -1);
    assert_int_equal(layer_remove(&config, 1, NULL), 0);
    assert_int_equal(layer_remove(&config, 1, NULL), 0);
    assert_int_equal(access("layers/1.img", F_OK), -1);
}

/* What the kernel still writes to must not be mounted a second time: its blocks are the script's.
 */
static void a_layer_is_none_before_it_is_sealed(void **state)
{
    struct err e = {0};
    uint64_t n;
    int fd;

    NEEDS_LOOP();
    fd = create(1);
    assert_int_equal(mkdir("l1", 0755), 0);
    assert_int_equal(layer_mount(&config, 1, "l1", &e), -1);
    assert_int_equal(e.errnum, ENOENT);
    assert_int_equal(layer_next(&config, 0, &n, NULL), 0);
    assert_int_equal(n, 0);
    loop_unmount("l1");
    close(fd);
    loop_unmount("t");
    assert_int_equal(layer_remove(&config, 1, NULL), 0);
    assert_int_equal(access("layers/1.img.part", F_OK), -1);
}

static void a_quota_is_the_size_of_the_file_system(void **state)
{
    static const char zeros[1 << 16];
    size_t written = 0;
    int fd, file;

    NEEDS_LOOP();
    fd = create(1);
    file = open("t/root/large", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    while (write(file, zeros, sizeof zeros) == sizeof zeros && written < 64 << 20)
        written += sizeof zeros;
    assert_int_equal(errno, ENOSPC);
    assert_true(written < 16 << 20);
    close(file);
    close(fd);
    loop_unmount("t");
    layer_remove(&config, 1, NULL);
}

static void an_existing_layer_is_not_touched(void **state)
{
    struct err e = {0};
    char text[8] = "";
    int fd;

    NEEDS_LOOP();
    write_file("layers/1.img", "mine");
    assert_int_equal(mkdir("t", 0755), 0);
    assert_int_equal(layer_create(&config, 1, 16, "t", &e), -1);
    assert_int_equal(e.errnum, EEXIST);
    assert_contains(e.text, "layer 1");
    assert_int_equal(layer_make_host(&config, 1, SPAWN_HOST_BASE, &(uint64_t){0}, &e), -1);
    assert_int_equal(e.errnum, EEXIST);
    fd = open("layers/1.img", O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, text, sizeof text), 4);
    assert_string_equal(text, "mine");
    close(fd);
    layer_remove(&config, 1, NULL);
    loop_unmount("t");
}

static void a_layer_that_cannot_be_made_leaves_no_file(void **state)
{
    struct err e = {0};

    NEEDS_LOOP();
    assert_int_equal(layer_create(&config, 1, 16, "nowhere", &e), -1);
    assert_contains(e.text, "layer 1");
    assert_null(strstr(e.text, config.data)); /* a client may read it */
    assert_int_equal(access("layers/1.img", F_OK), -1);
    assert_int_equal(layer_make_host(&config, 1, SPAWN_HOST_BASE, &(uint64_t){0}, &e), -1);
    assert_contains(e.text, "system-image");
    assert_int_equal(access("layers/1.img.part", F_OK), -1);
}

static void what_is_no_image_is_not_mounted(void **state)
{
    struct err e = {0};

    NEEDS_LOOP();
    write_file("layers/1.img", "no file system at all");
    assert_int_equal(mkdir("l1", 0755), 0);
    assert_int_equal(layer_mount(&config, 1, "l1", &e), -1);
    assert_contains(e.text, "layer 1");
    assert_null(strstr(e.text, config.data));
    assert_int_equal(layer_mount(&config, 2, "l1", &e), -1);
    assert_int_equal(e.errnum, ENOENT);
    assert_null(strstr(e.text, config.data));
    loop_unmount("l1");
    layer_remove(&config, 1, NULL);
}

/* Who fills an image as /image may leave anything in the place of root. */
static void a_root_that_is_a_link_leads_nowhere(void **state)
{
    struct err e = {0};
    uint64_t bytes;
    int fd;

    NEEDS_LOOP();
    fd = create(1);
    assert_int_equal(rmdir("t/root") | symlink("/", "t/root"), 0);
    seal(1, fd, &bytes);
    assert_int_equal(mkdir("l1", 0755), 0);
    assert_int_equal(layer_mount(&config, 1, "l1", &e), -1);
    assert_contains(e.text, "no directory root");
    loop_unmount("l1");
    layer_remove(&config, 1, NULL);
}

static void layers_are_listed_by_number(void **state)
{
    static const char *const others[] = {
        "layers/x.img",  "layers/03.img", "layers/7.img.part",         "layers/-5.img",
        "layers/8.imgx", "layers/.img",   "layers/281474976710656.img"};
    uint64_t n;

    NEEDS_LOOP();
    for (size_t i = 0; i < TEST_COUNT(others); i++)
        write_file(others[i], "");
    write_file("layers/12.img", "");
    write_file("layers/9.img", "");
    assert_int_equal(layer_next(&config, 0, &n, NULL), 0);
    assert_int_equal(n, 9);
    assert_int_equal(layer_next(&config, 9, &n, NULL), 0);
    assert_int_equal(n, 12);
    assert_int_equal(layer_next(&config, 12, &n, NULL), 0);
    assert_int_equal(n, 0);
    assert_int_equal(layer_prepare(&config, NULL), 0);
    assert_int_equal(access("layers/7.img.part", F_OK), -1);
    for (size_t i = 0; i < TEST_COUNT(others); i++)
        unlink(others[i]);
    layer_remove(&config, 9, NULL);
    layer_remove(&config, 12, NULL);
}

static void an_input_is_a_plain_file_with_one_name(void **state)
{
    struct err e = {0};
    struct stat st;
    int fd;

    NEEDS_LOOP();
    write_file("imports/1", "archive");
    assert_int_equal(chmod("imports/1", 0600), 0);
    fd = layer_open_input(&config, 1, NULL);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0444);
    close(fd);
    assert_int_equal(symlink("/etc/shadow", "imports/2") | mkfifo("imports/3", 0600) |
                         mkdir("imports/4", 0700) | link("imports/1", "imports/5"),
                     0);
    for (uint64_t n = 1; n <= 6; n++)
        assert_int_equal(layer_open_input(&config, n, &e), -1);
    assert_int_equal(layer_remove_input(&config, 1, NULL), 0);
    assert_int_equal(layer_remove_input(&config, 1, NULL), 0);
    assert_int_equal(layer_prepare(&config, NULL), 0);
    assert_int_equal(access("imports/2", F_OK) & access("imports/3", F_OK), -1);
    assert_int_equal(access("imports/5", F_OK), -1);
    assert_int_equal(rmdir("imports/4"), 0);
}

static void a_nest_writes_plain_ids(void **state)
{
    uid_t nest_root = SPAWN_UID_NEST + 5 * SPAWN_UID_COUNT;
    _cleanup_fd_ int userns = -1;
    _cleanup_fd_ int tree = -1;
    struct stat st;
    int fd, file;

    NEEDS_LOOP();
    fd = create(1);
    userns = idmap_open(5, NULL);
    tree = idmap_clone(userns, "t", NULL);
    assert_true(tree >= 0);
    assert_int_equal(idmap_act_as_nest(5, NULL), 0);
    file = openat(tree, "root/file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    assert_true(file >= 0);
    idmap_act_as_host();
    assert_int_equal(fstat(file, &st), 0);
    assert_int_equal(st.st_uid, nest_root);
    assert_int_equal(stat("t/root/file", &st), 0);
    assert_int_equal(st.st_uid, 0);
    assert_int_equal(st.st_gid, 0);
    assert_int_equal(openat(tree, "root/other", O_WRONLY | O_CREAT | O_CLOEXEC, 0644), -1);
    assert_int_equal(errno, EOVERFLOW); /* the host's own root has no id there */
    close(file);
    close(fd);
    loop_unmount("t");
    layer_remove(&config, 1, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_layer_is_made_filled_sealed_and_shown),
        cmocka_unit_test(a_layer_is_none_before_it_is_sealed),
        cmocka_unit_test(a_quota_is_the_size_of_the_file_system),
        cmocka_unit_test(an_existing_layer_is_not_touched),
        cmocka_unit_test(a_layer_that_cannot_be_made_leaves_no_file),
        cmocka_unit_test(what_is_no_image_is_not_mounted),
        cmocka_unit_test(a_root_that_is_a_link_leads_nowhere),
        cmocka_unit_test(layers_are_listed_by_number),
        cmocka_unit_test(an_input_is_a_plain_file_with_one_name),
        cmocka_unit_test(a_nest_writes_plain_ids),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

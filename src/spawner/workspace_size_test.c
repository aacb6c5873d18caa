/* Tests of workspace_size: what it computes against what mke2fs makes of it. */
#include "spawner/workspace_size.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test_support.h"
#include "spawner/image.h"
#include "spawner/workspace.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)

/* Fields of an ext4 superblock (ext4(5), little-endian): blocks, free blocks and inodes. */
struct superblock {
    uint32_t inodes, blocks_low, reserved, free_low;
};

static struct superblock made_with(const struct workspace_geometry *g)
{
    char path[] = "/tmp/dunlin-workspace-size.XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    struct superblock super;
    struct err e = {0};

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)(g->blocks * IMAGE_BLOCK)), 0);
    if (workspace_make_file_system(path, g, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(pread(fd, &super, sizeof super, 1024), sizeof super);
    close(fd);
    unlink(path);
    return super;
}

static void mke2fs_makes_room_for_what_was_computed(void **state)
{
    static const uint64_t sizes[] = {64 * KIB,  68 * KIB + 1, MIB,       16 * MIB, 50 * MIB,
                                     100 * MIB, 127 * MIB,    128 * MIB, GIB,      10 * GIB};

    if (access(IMAGE_MKE2FS, X_OK) < 0)
        skip();
    for (size_t i = 0; i < TEST_COUNT(sizes); i++) {
        struct workspace_geometry g;
        struct superblock super;
        uint64_t want = (sizes[i] + IMAGE_BLOCK - 1) / IMAGE_BLOCK * WORKSPACE_GROWTH;

        assert_int_equal(workspace_geometry(sizes[i], &g, NULL), 0);
        super = made_with(&g);
        assert_true(super.blocks_low <= g.blocks);
        assert_true(super.free_low >= want);
        /* And is not much larger: what a directory entry and an inode table can make of it. */
        assert_true(super.free_low <= want + want / 50 + 4096);
        assert_true(super.inodes >= g.inodes);
        assert_true(super.inodes <= g.inodes + g.inodes / 10 + 1024);
        assert_int_equal(super.reserved, 0);
    }
}

static void inodes_follow_the_first_size(void **state)
{
    struct workspace_geometry g;

    assert_int_equal(workspace_geometry(WORKSPACE_BYTES_MIN, &g, NULL), 0);
    assert_int_equal(g.inodes, WORKSPACE_INODES);
    assert_int_equal(workspace_geometry(100 * MIB, &g, NULL), 0);
    assert_int_equal(g.inodes, 12800);
}

static void what_no_image_can_hold_is_refused(void **state)
{
    struct workspace_geometry g;
    struct err e = {0};

    assert_int_equal(workspace_geometry(14 * TIB, &g, NULL), 0);
    assert_true(g.blocks * IMAGE_BLOCK < 16 * TIB);
    assert_int_equal(workspace_geometry(16 * TIB, &g, &e), -1);
    assert_int_equal(e.errnum, ERANGE);
    assert_int_equal(workspace_geometry(UINT64_MAX, &g, &e), -1);
    assert_int_equal(e.errnum, ERANGE);
}

static void the_reserve_leaves_exactly_what_may_be_used(void **state)
{
    struct err e = {0};

    assert_int_equal(workspace_reserve(1000, 10 * IMAGE_BLOCK, NULL),
                     1000 - 10 - WORKSPACE_OWN_BLOCKS);
    assert_int_equal(workspace_reserve(1000, 9 * IMAGE_BLOCK + 1, NULL),
                     1000 - 10 - WORKSPACE_OWN_BLOCKS);
    assert_int_equal(workspace_reserve(16, 10 * IMAGE_BLOCK, NULL), 0);
    assert_int_equal(workspace_reserve(15, 10 * IMAGE_BLOCK, &e), -1);
    assert_int_equal(e.errnum, ERANGE);
    assert_int_equal(workspace_reserve(0, 1, &e), -1);
    assert_int_equal(workspace_reserve(1000, UINT64_MAX, &e), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mke2fs_makes_room_for_what_was_computed),
        cmocka_unit_test(inodes_follow_the_first_size),
        cmocka_unit_test(what_no_image_can_hold_is_refused),
        cmocka_unit_test(the_reserve_leaves_exactly_what_may_be_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* workspace_size: computes the geometry of workspaces.
 *
 * Runs in the spawner's worker.  Pure functions of numbers that were checked.  What mke2fs makes of
 * them is the kernel's to say (statfs), and the reserve follows from that; so the geometry need
 * only never be too small. */
#include "spawner/workspace_size.h"

#include <errno.h>
#include <inttypes.h>

#include "spawner/image.h"

#define GROUP_BLOCKS     (8 * IMAGE_BLOCK) /* a bitmap of one block bounds a group (ext4(5)) */
#define INODE_BYTES      256
#define INODES_STEP      16 /* mke2fs fills whole blocks of the inode tables */
#define DESCRIPTOR_BYTES 64
#define JOURNAL_BLOCKS   ((WORKSPACE_JOURNAL_MB << 20) / IMAGE_BLOCK)
#define LAST_GROUP_MIN   64 /* mke2fs leaves a last group out that has fewer left for data: 50 */
/* ext4 on the host bounds a file at 16 TiB. */
#define IMAGE_BLOCKS_MAX ((UINT64_C(15) << 40) / IMAGE_BLOCK)

static uint64_t divide_up(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

/* Blocks of the groups' own: two bitmaps, the inode table, and in all of them (mke2fs: in a few)
 * the superblock and the descriptors. */
static uint64_t own_blocks(uint64_t groups, uint64_t inodes)
{
    uint64_t each = divide_up(divide_up(inodes, groups), INODES_STEP) * INODES_STEP;
    uint64_t tables = divide_up(each * INODE_BYTES, IMAGE_BLOCK) + 2;
    uint64_t copies = groups < 32 ? groups : 32 + groups / GROUP_BLOCKS;

    return groups * tables + copies * (1 + divide_up(groups * DESCRIPTOR_BYTES, IMAGE_BLOCK));
}

/* Blocks of a file system with so many for data. */
static uint64_t total_blocks(uint64_t data, uint64_t inodes)
{
    uint64_t groups = 1, total;

    do {
        total = data + JOURNAL_BLOCKS + own_blocks(groups, inodes);
        /* So that the last group is never left out. */
        total += LAST_GROUP_MIN + own_blocks(groups, inodes) / groups;
    } while (divide_up(total, GROUP_BLOCKS) > groups && ++groups > 0);
    return total;
}

int workspace_geometry(uint64_t bytes, struct workspace_geometry *ret, struct err *e)
{
    uint64_t first = divide_up(bytes, IMAGE_BLOCK) + WORKSPACE_OWN_BLOCKS;
    uint64_t data = first <= IMAGE_BLOCKS_MAX ? first * WORKSPACE_GROWTH : UINT64_MAX;
    uint64_t inodes = divide_up(bytes, WORKSPACE_INODE);

    if (inodes < WORKSPACE_INODES)
        inodes = WORKSPACE_INODES;
    /* mke2fs takes no journal that is more than half of what is free. */
    if (data < 2 * JOURNAL_BLOCKS)
        data = 2 * JOURNAL_BLOCKS;
    if (data > IMAGE_BLOCKS_MAX)
        data = IMAGE_BLOCKS_MAX;
    if (first > data || inodes > UINT32_MAX)
        return err_set(e, ERR_LIMIT, ERANGE, "no workspace can have %" PRIu64 " bytes", bytes);
    *ret = (struct workspace_geometry){.blocks = total_blocks(data, inodes), .inodes = inodes};
    return 0;
}

int64_t workspace_reserve(uint64_t blocks, uint64_t bytes, struct err *e)
{
    uint64_t used = divide_up(bytes, IMAGE_BLOCK) + WORKSPACE_OWN_BLOCKS;

    if (used > blocks)
        return err_set(
            e, ERR_LIMIT, ERANGE, "the workspace was made for at most %" PRIu64 " bytes",
            blocks < WORKSPACE_OWN_BLOCKS ? 0 : (blocks - WORKSPACE_OWN_BLOCKS) * IMAGE_BLOCK);
    return (int64_t)(blocks - used);
}

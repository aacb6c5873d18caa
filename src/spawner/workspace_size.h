/* workspace_size: how large the file system of a workspace must be. */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "wire/workspace.h"

#define WORKSPACE_JOURNAL_MB 4 /* the least that ext4 takes */

struct workspace_geometry {
    uint64_t blocks; /* of IMAGE_BLOCK bytes */
    uint64_t inodes;
};

/* For a first size of `bytes`: room for WORKSPACE_GROWTH times as much, as far as an image may
 * grow.  -1 and ERANGE when not even the first size is possible. */
int workspace_geometry(uint64_t bytes, struct workspace_geometry *ret, struct err *e);

/* Blocks to be kept from everybody in a file system with `blocks` for data and directories, so that
 * `bytes` can be used.  -1 and ERANGE when there are not as many. */
int64_t workspace_reserve(uint64_t blocks, uint64_t bytes, struct err *e);

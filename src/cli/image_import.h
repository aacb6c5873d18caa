/* image_import: brings an archive to where the server's spawner finds it. */
#pragma once

#include <stdint.h>

#include "base/err.h"

struct image_copy {
    uint64_t number; /* of the file data/imports/<number> */
    int imports;     /* the directory, -1: there is nothing to remove */
};

/* Copies `from` (a file, "-" for standard input, a directory: packed by tar) into the state
 * directory `data` of a server that runs there; file systems that can share the blocks do.  Needs
 * root.  On success *ret must be given to image_copy_finish.  -1 and e, nothing is left over. */
int image_copy_make(const char *from, const char *data, struct image_copy *ret, struct err *e);
/* Removes the file unless the server has done so, or it is `kept` because a server may still be
 * reading it. */
void image_copy_finish(struct image_copy *c, int kept);

/* file_tar: the blocks of tar archives: ustar, with the records of pax and long names of GNU.
 *
 * Pure functions over bytes; those that are read are hostile. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"

#define TAR_BLOCK 512
#define TAR_NAME  4096        /* bytes of a name with its NUL; a longer one is refused */
#define TAR_EXTRA (64u << 10) /* bytes of the records or the long name before a member */
#define TAR_SIZE  (UINT64_C(1) << 50)
#define TAR_TYPES "0123456789"

struct tar_member {
    char type; /* '0' file, '1' hard link, '2' link, '5' directory; others are not taken */
    uint32_t mode;
    uint64_t size; /* of the bytes that follow */
    int64_t modified_s;
    char name[TAR_NAME];
    char target[TAR_NAME]; /* of links */
};

/* Reads one block into *ret.  1: a member (or something before one: types 'x', 'g', 'L', 'K'), 0:
 * a block of zeros, -1: no header: a wrong sum, a number that is none, a size beyond TAR_SIZE. */
int tar_parse(const char block[static TAR_BLOCK], struct tar_member *ret);
/* Applies pax records ("LENGTH KEY=VALUE\n"...) to the member: path, linkpath, size, mtime.  0, or
 * -1: malformed, or a name with a NUL or too long. */
int tar_apply(struct tar_member *m, const char *records, size_t len);

/* Writes the blocks before a member's bytes into out (with the pax records that it needs).  Their
 * length, a multiple of TAR_BLOCK and at most TAR_HEAD. */
#define TAR_HEAD (2 * TAR_BLOCK + 3 * TAR_NAME)
size_t tar_format(const struct tar_member *m, char out[static TAR_HEAD]);

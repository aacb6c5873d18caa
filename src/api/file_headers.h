/* file_headers: what HTTP says about a file: validators, ranges, and the name to save it as.  Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "engine/file_call.h"

#define FILE_ETAG_SIZE 64
#define FILE_DATE_SIZE 40

/* "\"inode-time-size\"" */
void file_etag(const struct file_info *info, char ret[static FILE_ETAG_SIZE]);
/* "Sat, 21 Nov 2026 14:48:13 GMT" */
void file_date(const struct file_info *info, char ret[static FILE_DATE_SIZE]);
/* Whether an If-None-Match (a list of tags, or "*") names this one, strong or weak. */
bool file_etag_is_among(const char *etag, const char *list);

enum range_kind {
    RANGE_WHOLE,   /* none was asked for, or one that is ignored (RFC 9110 14.2): 200 */
    RANGE_PART,    /* 206 */
    RANGE_OUTSIDE, /* 416 */
};
struct byte_range {
    enum range_kind kind;
    uint64_t first, len;
};
/* What a Range (NULL: none) asks of `size` bytes.  Of several ranges, which a server may ignore,
 * the whole is given. */
struct byte_range byte_range_parse(const char *range, uint64_t size);
/* Whether If-Range (NULL: none) still stands for the file, so that a Range may be followed. */
bool file_is_unchanged(const struct file_info *info, const char *if_range);

/* Appends the value of Content-Disposition: attachment, under this name (RFC 6266 and 8187: any
 * bytes).  0, or -1 as buf_reserve. */
int disposition_append(struct buf *out, const char *name);

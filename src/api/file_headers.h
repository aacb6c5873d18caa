/* file_headers: what HTTP says about a file: its tag, and the name to save it as.  Pure. */
#pragma once

#include "base/buf.h"
#include "engine/file_call.h"

#define FILE_ETAG_SIZE 64

/* "\"inode-time-size\"" */
void file_etag(const struct file_info *info, char ret[static FILE_ETAG_SIZE]);

/* Appends the value of Content-Disposition: attachment, under this name (RFC 6266 and 8187: any
 * bytes).  0, or -1 as buf_reserve. */
int disposition_append(struct buf *out, const char *name);

/* se_entry: files and times in the predecessor's answers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "engine/file_call.h"

#define SE_HIDDEN_PREFIX ".dunlin-" /* files of ours in a workspace, for the time of a call */

/* Appends {"filename","name","size","type"} without the closing brace, for a regular file called
 * `name` (any bytes, not terminated) beneath `directory` ("" for none). */
int se_append_entry(struct buf *out, const char *directory, const struct file_message *file);
/* Whether a listing shows it: a regular file, and none of those that the predecessor hid at any
 * place of the path. */
bool se_entry_is_shown(const struct file_message *file);

/* Appends {"filename","name","size"}: what the routes that write a file answer; the name as the
 * client gave it. */
int se_append_file(struct buf *out, const char *name, size_t len, uint64_t size);

/* Seconds since 1970. */
int se_append_seconds(struct buf *out, int64_t ms);
/* "mount_point":...: what the predecessor says of every session; here a name, no directory of the
 * host. */
int se_append_mount_point(struct buf *out, const char *id);

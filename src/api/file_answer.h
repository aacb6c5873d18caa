/* file_answer: what a call on files found, as JSON. */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "engine/file_call.h"

/* Each appends one object; `base` is the path that names are relative to ("": the workspace).  0,
 * or -1 as buf_reserve. */

/* A FILE_INFO, as a File. */
int file_answer_info(struct buf *out, const struct file_message *m, const char *base);
/* The same for the entry at `path` itself, whatever the call named it. */
int file_answer_entry(struct buf *out, const struct file_message *m, const char *path);
int file_answer_match(struct buf *out, const struct file_message *m, const char *base);
int file_answer_process(struct buf *out, const struct file_message *m);
/* An event of a watch, whole. */
int file_answer_event(struct buf *out, const struct file_message *m, const char *base);

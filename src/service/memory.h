/* memory: how much the runs may be promised together. */
#pragma once

#include <stdint.h>

#include "base/err.h"

/* Megabytes for all runs: `configured` bytes, or with 0 MEMORY_SHARE_PERCENT of the machine's
 * memory or of the limit on our own cgroup (or one above it), whichever is lower.  -1 when
 * /proc/meminfo cannot be read.  Reads /proc and /sys: call it before the server locks itself. */
int memory_budget_mb(int64_t configured, uint64_t *ret_mb, struct err *e);

#define MEMORY_SHARE_PERCENT 80

/* What the machine has and what of it is available now, from an open /proc/meminfo, which a locked
 * server could not open any more. */
int memory_read_available(int meminfo, uint64_t *ret_total, uint64_t *ret_available);

/* The two readers, with the files as arguments for their tests.  `root` is where the hierarchy is
 * mounted, `path` the cgroup in it, `file` the limit's name; UINT64_MAX when nothing limits. */
int memory_read_total(const char *meminfo, uint64_t *ret_bytes, struct err *e);
uint64_t memory_read_cgroup_limit(const char *root, const char *path, const char *file);

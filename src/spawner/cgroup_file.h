/* cgroup_file: reading and writing the kernel's group files. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CGROUP_PATH 512

/* Opens <dir>/<file>; the descriptor or -1. */
int cgroup_file_open(const char *dir, const char *file, int flags, struct err *e);

/* Writes a number (or text) to <dir>/<file>. */
int cgroup_file_write(const char *dir, const char *file, const char *text, struct err *e);
int cgroup_file_write_number(const char *dir, const char *file, int64_t number, struct err *e);

/* Reads an open group file from its start: the number it holds, or the number behind `key` and a
 * blank at the start of one of its lines. */
int cgroup_file_number(int fd, const char *key, uint64_t *ret, struct err *e);

/* Finds where a file system of `type` whose options contain `option` (NULL: any) is mounted. */
bool cgroup_file_mount(const char *type, const char *option, char *ret, size_t cap);

/* Whether this host has swap space in use, which an unlimited group could fill. */
bool cgroup_file_swap_is_on(void);

/* Sends SIGKILL to every process of a directory's cgroup.procs, by pidfd.  How many there were. */
int cgroup_file_end(const char *dir);
/* The same until none is left. */
void cgroup_file_kill(const char *dir);

/* Ends and removes every group directly beneath dir, then dir itself. */
void cgroup_file_sweep(const char *dir);

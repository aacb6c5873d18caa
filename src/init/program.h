/* program: a compiled seccomp profile, read from the runtime folder once per nest. */
#pragma once

#include <linux/filter.h>
#include <stdint.h>

#include "base/err.h"

#define PROGRAM_MAX 4096 /* instructions: BPF_MAXINSNS of the kernel */

struct program {
    struct sock_filter code[PROGRAM_MAX];
    uint16_t len;
};

int program_load(struct program *p, const char *path, struct err *e);

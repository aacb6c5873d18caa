/* arguments: numbers and hostile arguments for system calls. */
#pragma once

#include <stdint.h>

/* Numbers are drawn from 0 to ARGUMENTS_NUMBERS - 1, and now and then from beyond. */
#define ARGUMENTS_NUMBERS 640

struct random {
    uint64_t state;
};

struct arguments;

uint64_t random_next(struct random *r);

/* 0 to limit - 1; limit is not 0. */
uint64_t random_below(struct random *r, uint64_t limit);

/* Opens descriptors of every kind and maps pages of every kind.  Ends the process on failure. */
struct arguments *arguments_create(struct random *r);

/* A number, and six arguments for it.  The same state of `r` gives the same ones, but for addresses
 * and descriptors.  Never one that would signal this process's parent. */
long arguments_make(struct arguments *args, struct random *r, long ret_args[6]);

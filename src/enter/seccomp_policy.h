/* seccomp_policy: what a run may ask of the kernel, and why.  Read by seccomp_compile.c only. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct seccomp_row {
    const char *reason;
    const char *names; /* separated by one space */
};

struct seccomp_value {
    const char *reason;
    uint64_t value;
};

/* SECCOMP_FILTER_FLAG_NEW_LISTENER: a supervisor that answers another process's calls. */
#define SECCOMP_NEW_LISTENER 8

/* Rows end with names == NULL, values with reason == NULL. */
extern const struct seccomp_row seccomp_allowed[]; /* in a run */
extern const struct seccomp_row seccomp_refused[]; /* in a run, with EPERM */
extern const struct seccomp_row seccomp_zygote[];  /* in a zygote beyond a run's */
extern const struct seccomp_row seccomp_build[];   /* in a build beyond a run's */
extern const struct seccomp_row seccomp_syncs[];   /* EPERM; in a build without effect */
extern const struct seccomp_value seccomp_zygote_prctls[];
extern const struct seccomp_value seccomp_build_prctls[];
extern const struct seccomp_value seccomp_prctls[];
extern const struct seccomp_value seccomp_fcntls[];
extern const struct seccomp_value seccomp_personalities[];
extern const struct seccomp_value seccomp_ioctls[];

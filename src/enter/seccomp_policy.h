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

/* A call whose argument number `arg` must have none of the bits in `never`. */
struct seccomp_flags {
    const char *reason;
    const char *name;
    unsigned arg;
    uint64_t never;
};

/* Socket options of one level: those below `below`, or exactly `option` where that is 0. */
struct seccomp_option {
    const char *reason;
    uint64_t level, below, option;
};

/* SECCOMP_FILTER_FLAG_NEW_LISTENER: a supervisor that answers another process's calls. */
#define SECCOMP_NEW_LISTENER 8

/* Rows end with names == NULL, everything else with reason == NULL. */
extern const struct seccomp_row seccomp_allowed[];     /* in a run */
extern const struct seccomp_row seccomp_refused[];     /* in a run, with EPERM */
extern const struct seccomp_row seccomp_zygote[];      /* in a zygote beyond a run's */
extern const struct seccomp_row seccomp_build[];       /* in a build beyond a run's */
extern const struct seccomp_row seccomp_syncs[];       /* EPERM; in a build without effect */
extern const struct seccomp_row seccomp_by_argument[]; /* whose rules are in seccomp_compile.c */
extern const struct seccomp_flags seccomp_flags[];
extern const struct seccomp_option seccomp_options[];
extern const struct seccomp_value seccomp_futexes[];
extern const struct seccomp_value seccomp_advice[];
extern const struct seccomp_value seccomp_zygote_prctls[];
extern const struct seccomp_value seccomp_build_prctls[];
extern const struct seccomp_value seccomp_prctls[];
extern const struct seccomp_value seccomp_fcntls[];
extern const struct seccomp_value seccomp_personalities[];
extern const struct seccomp_value seccomp_ioctls[];

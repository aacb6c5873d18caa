/* confine: turns the calling process into a run: uid 1000 of its sandbox, no capabilities, every
 * lock on.
 *
 * The caller is alone in its process, already inside the sandbox's namespaces and groups, and still
 * has all capabilities over the sandbox's user namespace.  No libc is used (see sys.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sock_filter;

struct confine {
    const char *work_dir;              /* becomes the current directory */
    const struct sock_filter *seccomp; /* the compiled profile */
    uint16_t seccomp_len;              /* instructions */
    int stdio[3];                      /* descriptors that become 0, 1, 2 */
    int keep_fd;                       /* one more descriptor that stays open, or -1 */
    bool reset_signals;                /* all dispositions to default; false inside an interpreter,
                                          which has its own since its start */
    bool parent_death;                 /* die when the parent does */
};

/* Every step in order; the first failure ends it.  0, or a negative errno and the step's name in
 * *ret_step; the caller must then end the process. */
int confine(const struct confine *c, const char **ret_step);

/* The locks of a zygote: `uid` of its nest, no capabilities, no new privileges, limits, default
 * signals, and the zygote's seccomp profile.  Descriptors other than 0 to 4 are closed. */
int confine_zygote(uint32_t uid, const struct sock_filter *seccomp, uint16_t seccomp_len,
                   const char **ret_step);

/* Drops every capability of the calling process, for good. */
int confine_drop_capabilities(void);

/* confine: turns the calling process into a run: uid 1000 of its sandbox, no capabilities, every
 * lock on; or into a build: uid 0 of its sandbox with a few capabilities, every lock on.
 *
 * The caller is alone in its process, already inside the sandbox's namespaces and groups, and still
 * has all capabilities over the sandbox's user namespace.  No libc is used (see sys.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sock_filter;

/* What root of a build sandbox keeps, over that sandbox's own ids and files only: chown, ignore
 * modes, and own files (apt, dpkg, tar), signal its other users, become them, shrink its own
 * capabilities, serve low ports, change the root (dpkg --root), and mark programs with capabilities
 * (CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE SYS_CHROOT SETFCAP
 * of capabilities(7)).  Not SYS_ADMIN (mounts), SYS_PTRACE (init), MKNOD or NET_ADMIN. */
#define CONFINE_ROOT_CAPS                                                                          \
    (1u << 0 | 1u << 1 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 8 | 1u << 10 |    \
     1u << 18 | 1u << 31)

struct confine {
    const char *work_dir;              /* becomes the current directory */
    const struct sock_filter *seccomp; /* the compiled profile */
    uint16_t seccomp_len;              /* instructions */
    int stdio[3];                      /* descriptors that become 0, 1, 2 */
    int keep_fd;                       /* one more descriptor that stays open, or -1 */
    bool reset_signals;                /* all dispositions to default; false inside an interpreter,
                                          which has its own since its start */
    bool parent_death;                 /* die when the parent does */
    bool root;                         /* a build: uid 0 and CONFINE_ROOT_CAPS */
    bool in_session;                   /* may signal whatever runs beside it */
    bool has_landlock;                 /* its parent has entered its Landlock domain already */
};

/* Every step in order; the first failure ends it.  0, or a negative errno and the step's name in
 * *ret_step; the caller must then end the process. */
int confine(const struct confine *c, const char **ret_step);

/* The same in two halves, for one who waits for his descriptors: what a session's keeper does
 * ahead, for itself and for the child that it will fork, and the rest, in that child.  The keeper
 * goes on as uid 0 with the capabilities to become another, and nothing else, beneath the run's
 * filter. has_landlock is meant by both. */
int confine_ahead(const struct confine *c, const char **ret_step);
int confine_forked(const struct confine *c, const char **ret_step);

/* The locks of a zygote: `uid` of its nest, no capabilities, no new privileges, limits, default
 * signals, and the zygote's seccomp profile.  Descriptors other than 0 to 4 are closed. */
int confine_zygote(uint32_t uid, const struct sock_filter *seccomp, uint16_t seccomp_len,
                   const char **ret_step);

/* Drops every capability of the calling process, for good. */
int confine_drop_capabilities(void);

/* doctor_internal: what the doctor_*.c files share.  Nobody else includes this. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/limits.h"
#include "wire/spawn.h"

enum doctor_status {
    DOCTOR_OK,
    DOCTOR_DEGRADED, /* sandboxes run, but something is given up */
    DOCTOR_MISSING,  /* sandboxes cannot run */
};

/* What a probe found out.  Flat, so that it crosses a pipe. */
struct doctor_finding {
    enum doctor_status status;
    char detail[200]; /* what was seen, or what failed */
    char fix[160];    /* a better remedy than the row's, or "" */
};

struct doctor_check;
/* Fills in a finding that begins as {DOCTOR_OK}.  Runs in a process of its own, as root of this
 * machine, and may leave that process in any state. */
typedef void doctor_probe(const struct doctor_check *check, struct doctor_finding *f);

struct doctor_check {
    const char *name;
    doctor_probe *probe;
    const char *subject;                      /* for the probe: a path, a controller, a program */
    uint64_t flags;                           /* for the probe: namespaces */
    void (*inside)(struct doctor_finding *f); /* for the probe: what to try inside them */
    bool optional;                            /* missing means degraded only */
    const char *cost;                         /* what is lost without it */
    const char *fix;                          /* the command that enables it */
};

extern const struct doctor_check doctor_checks[];
extern const size_t doctor_checks_count;

/* The data directory that is asked about; set before any check runs. */
extern const char *doctor_data;

/* Runs one check in a forked child with a deadline, so that no probe can hang or change us. */
void doctor_run(const struct doctor_check *check, struct doctor_finding *ret);

/* Records a failure with the meaning of errno (0: none) behind the text. */
void doctor_fail(struct doctor_finding *f, int errnum, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Records a weakness. */
void doctor_degrade(struct doctor_finding *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Records what was seen; the status stays. */
void doctor_note(struct doctor_finding *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Makes a child in new namespaces, as the spawner and the nest do, and calls inside() there as
 * their root.  `map` is what is written to uid_map and gid_map. */
struct doctor_world {
    uint64_t flags;
    const char *map;
    void (*inside)(struct doctor_finding *f);
};
void doctor_enter(const struct doctor_world *world, struct doctor_finding *f);

/* Writes text to a file that exists; 0 or -1 with errno. */
int doctor_write_file(const char *path, const char *text);
/* Reads a number from a file; -1 when there is none. */
long long doctor_read_number(const char *path);

/* Every host id that Dunlin uses: the server's and those of all nests lie in here. */
#define DOCTOR_UID_FIRST SPAWN_UID_SERVER
#define DOCTOR_UID_COUNT (SPAWN_UID_NEST + LIMIT_NESTS * SPAWN_UID_COUNT - SPAWN_UID_SERVER)

/* doctor_world.c */
doctor_probe doctor_probe_namespace, doctor_probe_nested;
void doctor_inside_user(struct doctor_finding *f);
void doctor_inside_pid(struct doctor_finding *f);
void doctor_inside_mount(struct doctor_finding *f);
void doctor_inside_net(struct doctor_finding *f);
void doctor_inside_ipc(struct doctor_finding *f);
void doctor_inside_uts(struct doctor_finding *f);
void doctor_inside_cgroup(struct doctor_finding *f);
void doctor_inside_proc(struct doctor_finding *f);
void doctor_inside_tmpfs(struct doctor_finding *f);
void doctor_inside_pivot(struct doctor_finding *f);
/* doctor_kernel.c */
doctor_probe doctor_probe_kernel, doctor_probe_machine, doctor_probe_clone3, doctor_probe_pidfd,
    doctor_probe_close_range, doctor_probe_openat2, doctor_probe_seccomp, doctor_probe_landlock,
    doctor_probe_overlay, doctor_probe_devices;
/* doctor_layers.c */
doctor_probe doctor_probe_loop, doctor_probe_programs, doctor_probe_layers, doctor_probe_workspaces;
/* doctor_network.c */
doctor_probe doctor_probe_veth, doctor_probe_nftables, doctor_probe_forwarding,
    doctor_probe_resolvers;
/* doctor_cgroup.c */
doctor_probe doctor_probe_cgroup, doctor_probe_swap;
/* doctor_host.c */
doctor_probe doctor_probe_root, doctor_probe_data, doctor_probe_program, doctor_probe_ids,
    doctor_probe_files, doctor_probe_memory;

/* nest: the builder, pid 1 of a nest, which makes sandboxes on the spawner's word. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "init/program.h"
#include "init/zygote.h"
#include "wire/spawn.h"

struct nest {
    uint32_t number; /* 0: the built-in environment */
    uint32_t kind;   /* enum spawn_nest_kind */
    const char *work_dir;
    bool is_warm;            /* has a zygote */
    uint32_t zygote_forks;   /* a zygote is renewed after so many, 0: never */
    uint32_t zygote_minutes; /* or after so long, 0: never */
    int modules;             /* file with the modules that it imports, one a line */
    struct program run;      /* seccomp profile of what it is for */
    struct program zygote;
    int spawner; /* SEQPACKET socket */
    struct zygotes zygotes;
};

/* Whether its sandboxes are builds: root of all the nest's ids, instead of a run. */
static inline bool nest_builds(const struct nest *nest)
{
    return nest->kind != SPAWN_NEST_RUN;
}

/* Serves until the spawner goes away.  Returns the exit status of the process. */
int nest_main(struct nest *nest);

/* nest: the builder, pid 1 of a nest, which makes sandboxes on the spawner's word. */
#pragma once

#include "init/program.h"

struct nest {
    const char *work_dir;
    const char *python;  /* interpreter of the zygote, "" for a nest without one */
    const char *modules; /* comma-separated, imported by the zygote */
    struct program run;  /* seccomp profile of runs */
    struct program zygote;
    int spawner;     /* SEQPACKET socket */
    int zygote_sock; /* our end of the zygote's socket, -1 while there is none */
};

/* Serves until the spawner goes away.  Returns the exit status of the process. */
int nest_main(struct nest *nest);

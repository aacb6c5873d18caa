/* dunlin-init: builder of a nest, and pid 1 of every sandbox in it.
 *
 * Started by the spawner as pid 1 of a nest, as "dunlin-init nest KIND WORK_DIR WARM FORKS
 * MINUTES NUMBER", with the socket to the spawner as descriptor 3, the list of modules for the
 * zygote as 4, an empty environment, and the stage as its current directory.  Trusts these
 * arguments; the list is for the zygote only. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "init/nest.h"

#define SPAWNER_FD 3
#define MODULES_FD 4
#define ARGUMENTS  8

int main(int argc, char **argv)
{
    static struct nest nest; /* large: holds two seccomp programs */

    if (argc != ARGUMENTS || strcmp(argv[1], "nest") != 0) {
        fputs("dunlin-init is started by dunlin-spawner, not by hand.\n", stderr);
        return 2;
    }
    nest.kind = (uint32_t)strtoul(argv[2], NULL, 10);
    nest.work_dir = argv[3];
    nest.is_warm = strcmp(argv[4], "1") == 0;
    nest.zygote_forks = (uint32_t)strtoul(argv[5], NULL, 10);
    nest.zygote_minutes = (uint32_t)strtoul(argv[6], NULL, 10);
    nest.number = (uint32_t)strtoul(argv[7], NULL, 10);
    nest.modules = MODULES_FD;
    nest.spawner = SPAWNER_FD;
    return nest_main(&nest);
}

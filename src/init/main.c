/* dunlin-init: builder of a nest, and pid 1 of every sandbox in it.
 *
 * Started by the spawner as pid 1 of a nest, with the socket to the spawner as descriptor 3, an
 * empty environment, and the stage as its current directory. */
#include <stdio.h>
#include <string.h>

#include "init/nest.h"

#define SPAWNER_FD 3

int main(int argc, char **argv)
{
    static struct nest nest; /* large: holds two seccomp programs */

    if (argc != 5 || strcmp(argv[1], "nest") != 0) {
        fputs("dunlin-init is started by dunlin-spawner, not by hand.\n", stderr);
        return 2;
    }
    nest.work_dir = argv[2];
    nest.python = argv[3];
    nest.modules = argv[4];
    nest.spawner = SPAWNER_FD;
    nest.zygote_sock = -1;
    return nest_main(&nest);
}

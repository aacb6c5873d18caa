/* client_exec: hands a command to dunlin-client.  Runs as whoever calls it. */
#include "cli/client_exec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/launch.h"

int cli_client(int argc, char **argv)
{
    struct launch_paths paths;
    struct err e = {0};
    char path[SPAWN_PATH + 32];

    if (launch_find_paths(&paths, &e) < 0) {
        fprintf(stderr, "dunlin %s: %s\n", argv[0], e.text);
        return 1;
    }
    snprintf(path, sizeof path, "%s/dunlin-client", paths.libexec);
    execv(path, argv);
    fprintf(stderr, "dunlin %s: execute %s: %s\n", argv[0], path, strerror(errno));
    return 1;
}

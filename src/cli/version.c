/* version: says which Dunlin this is.  Runs as whoever calls it. */
#include "cli/version.h"

#include <stdio.h>
#include <string.h>

int cli_version(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--json") == 0) {
        printf("{\"name\": \"dunlin\", \"version\": \"%s\"}\n", DUNLIN_VERSION);
        return 0;
    }
    if (argc > 1) {
        fprintf(stderr, "usage: dunlin version [--json]\n");
        return 2;
    }
    printf("dunlin %s\n", DUNLIN_VERSION);
    return 0;
}

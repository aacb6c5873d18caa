/* dunlin: the command.  Knows the names of the commands and nothing else. */
#include <stdio.h>
#include <string.h>

#include "cli/client_exec.h"
#include "cli/doctor.h"
#include "cli/run.h"
#include "cli/version.h"
#include "server/serve.h"

static const struct {
    const char *name;
    int (*main)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"serve", serve_main, "serve the HTTP API (see dunlin serve --help)"},
    {"run", cli_run, "run a file in a sandbox, without a server"},
    {"env", cli_client, "environments of a server: create, list, info, delete, logs, ..."},
    {"image", cli_client, "images of a server: import, list, remove, gc"},
    {"session", cli_client, "sessions of a server: create, exec, run, shell, cp, ls, logs, ..."},
    {"doctor", cli_doctor, "check what this machine offers to sandboxes"},
    {"version", cli_version, "print the version"},
};

#define COMMANDS (sizeof commands / sizeof commands[0])

static void usage(FILE *out)
{
    fputs("usage: dunlin COMMAND [ARGUMENTS]\n\nRun untrusted code in sandboxes.\n\n", out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
}

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0) {
        usage(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    if (strcmp(argv[1], "--version") == 0)
        return cli_version(1, argv + 1);
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].main(argc - 1, argv + 1);
    }
    fprintf(stderr, "dunlin: no command '%s' (see dunlin --help)\n", argv[1]);
    return 2;
}

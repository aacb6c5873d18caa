/* client_exec: `dunlin env` and `dunlin image`, which another program does. */
#pragma once

/* Executes dunlin-client with these words; argv[0] is the command's name.  Returns only when that
 * fails, with the exit status to end with. */
int cli_client(int argc, char **argv);

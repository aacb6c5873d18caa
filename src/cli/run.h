/* run: `dunlin run`, a file in a sandbox of its own, without a server. */
#pragma once

/* Runs FILE (or standard input for "-") and returns the exit status to end with: the run's own,
 * 128 + S when signal S ended it, 124 at its deadline, 125 when there was no sandbox, 2 for wrong
 * words on the command line. */
int cli_run(int argc, char **argv);

/* doctor: `dunlin doctor`, which tries everything that sandboxes need of this machine. */
#pragma once

/* Runs `dunlin doctor [--json] [--data DIR]`; argv[0] is the command's name.  Prints one line for
 * each check (an object {ok, checks} with --json) on stdout.  Returns the exit status: 0 when
 * sandboxes can run, 1 when not, 2 for wrong words on the command line. */
int cli_doctor(int argc, char **argv);

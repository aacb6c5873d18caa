/* version: `dunlin version`. */
#pragma once

/* Prints name and version, with --json as an object.  Returns the exit status. */
int cli_version(int argc, char **argv);

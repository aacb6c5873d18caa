/* client_command: runs one of a table of commands that ask a server. */
#pragma once

struct client_command;

struct client_program {
    const char *name; /* "env" */
    const char *help_english, *help_chinese;
    const struct client_command *commands; /* ends with a name of NULL */
};

/* Parses the words, makes the client, runs the command.  The exit status: the command's own, 2 for
 * wrong words on the command line, 0 for help and without a command. */
int client_command_main(const struct client_program *p, int argc, char **argv);

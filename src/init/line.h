/* line: a command line that means the same with a shell and without one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define LINE_BYTES 4096 /* a longer line goes to the shell */
#define LINE_WORDS 256  /* as one of more words does */

/* Splits a line of one simple command, of plain characters and single-quoted strings: no expansion,
 * assignment, redirection or second command, and not a name that a shell takes for itself.  The
 * words are written to `text`, a NULL ends their list.  Their number; 0: it takes a shell. */
size_t line_split(const char *line, char text[static LINE_BYTES],
                  char *words[static LINE_WORDS + 1]);

/* Whether bash hands every one of these variables to a program as they are. */
bool line_is_plain_environment(char *const *envp);

/* Where argv is (/bin/)bash -c LINE and bash would become the program of a line_split() line,
 * becomes that program as bash does it.  Returns when it is not so, or the program cannot be
 * executed: bash can tell better. */
void line_execute(char *const *argv, char *const *envp);

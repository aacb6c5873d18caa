/* lookup: finds programs on a PATH, for jobs and for the zygote. */
#pragma once

#include <stddef.h>

/* Where environments have their programs; the list of the built-in one is its own. */
#define LOOKUP_PATH                                                                                \
    "/opt/venv/bin:/opt/conda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define LOOKUP_PATH_BUILT_IN "/usr/local/bin:/usr/bin:/bin"

/* execve(2) for a program that, without a slash in its name, is looked for on the PATH of envp;
 * where there is no python3, python is one, and where there is no bash, sh does.  Returns only on
 * failure: a negative errno. */
int lookup_execute(char **argv, char *const *envp);

/* The first executable file `name` on `path` (elements separated by ':'; empty ones are passed
 * over), written to out.  0, or -1 when there is none. */
int lookup_find(const char *path, const char *name, char *out, size_t cap);

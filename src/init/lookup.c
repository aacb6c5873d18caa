/* lookup: finds programs on a PATH.
 *
 * Runs in a sandbox's job just before it becomes the program, with every lock on already, and in a
 * nest's builder.  The tree is a stranger's image: names in it are only ever executed by the one
 * who is locked in; the builder looks at them and opens none. */
#include "init/lookup.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Cuts the next element off *path and writes element/name to out.  False at the end; an element
 * that is empty or too long leaves out empty. */
static bool next_candidate(const char **path, const char *name, char *out, size_t cap)
{
    size_t len = strcspn(*path, ":");
    int n = 0;

    if (**path == '\0')
        return false;
    if (len > 0)
        n = snprintf(out, cap, "%.*s/%s", (int)(len < PATH_MAX ? len : PATH_MAX), *path, name);
    if (n <= 0 || (size_t)n >= cap)
        out[0] = '\0';
    *path += (*path)[len] == ':' ? len + 1 : len;
    return true;
}

int lookup_find(const char *path, const char *name, char *out, size_t cap)
{
    struct stat st;

    while (next_candidate(&path, name, out, cap)) {
        if (out[0] != '\0' && stat(out, &st) == 0 && S_ISREG(st.st_mode) && access(out, X_OK) == 0)
            return 0;
    }
    return -1;
}

static const char *path_of(char *const *envp)
{
    for (; *envp != NULL; envp++) {
        if (strncmp(*envp, "PATH=", 5) == 0)
            return *envp + 5;
    }
    return "";
}

static int execute_on_path(char **argv, char *const *envp)
{
    const char *path = path_of(envp);
    char candidate[PATH_MAX];
    int error = -ENOENT;

    while (next_candidate(&path, argv[0], candidate, sizeof candidate)) {
        if (candidate[0] == '\0')
            continue;
        execve(candidate, argv, envp);
        if (errno == EACCES)
            error = -EACCES; /* as execvp(3): another may do, but this is what is said */
        else if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
            return -errno;
    }
    return error;
}

/* What does where the first is missing: many small images have no bash. */
static char substitutes[][2][8] = {{"python3", "python"}, {"bash", "sh"}};

int lookup_execute(char **argv, char *const *envp)
{
    char *name = argv[0];
    int r;

    if (strchr(name, '/') != NULL) {
        execve(name, argv, envp);
        return -errno;
    }
    r = execute_on_path(argv, envp);
    for (size_t i = 0; i < sizeof substitutes / sizeof substitutes[0] && r == -ENOENT; i++) {
        if (strcmp(name, substitutes[i][0]) != 0)
            continue;
        argv[0] = substitutes[i][1];
        r = execute_on_path(argv, envp);
        argv[0] = name;
    }
    return r;
}

/* language: the table of languages, and which of them this machine's system copy has.
 *
 * Runs in the server. */
#include "engine/language.h"

#include <stddef.h>
#include <strings.h>

static const char *const python_aliases[] = {"py", "python3", NULL};
static const char *const shell_aliases[] = {"bash", "sh", NULL};
static const char *const javascript_aliases[] = {"js", "node", "nodejs", NULL};

/* -u: what a program has printed is there when it is killed. */
static const char *const python_argv[] = {"/usr/bin/python3", "-u", "/opt/dunlin/python/runner.py",
                                          NULL};
static const char *const shell_argv[] = {"/bin/bash", NULL};
static const char *const javascript_argv[] = {"/usr/bin/node", NULL};

static const struct language languages[] = {
    {"python", python_aliases, "main.py", python_argv, true, true, true},
    {"shell", shell_aliases, "main.sh", shell_argv, false, false, false},
    {"javascript", javascript_aliases, "main.js", javascript_argv, false, false, false},
};

#define LANGUAGES (sizeof languages / sizeof languages[0])

static bool available[LANGUAGES];

static bool is_called(const struct language *l, const char *name)
{
    if (strcasecmp(l->name, name) == 0)
        return true;
    for (const char *const *alias = l->aliases; *alias != NULL; alias++) {
        if (strcasecmp(*alias, name) == 0)
            return true;
    }
    return false;
}

const struct language *language_find(const char *name)
{
    for (size_t i = 0; i < LANGUAGES; i++) {
        if (is_called(&languages[i], name))
            return &languages[i];
    }
    return NULL;
}

const struct language *language_at(size_t i)
{
    return i < LANGUAGES ? &languages[i] : NULL;
}

bool language_available(const struct language *l)
{
    return available[l - languages];
}

void language_set_available(const struct language *l, bool is_available)
{
    available[l - languages] = is_available;
}

/* language: the table of what can be run and how. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct language {
    const char *name;           /* as in requests: "python" */
    const char *const *aliases; /* NULL-terminated: "py", "python3" */
    const char *main_file;      /* the code's name in the workspace: "main.py" */
    const char *const *argv;    /* the cold start, NULL-terminated; main_file and args follow */
    bool warm;                  /* has a zygote */
    bool runner;                /* argv is our own runner, which takes the job itself */
    bool policy;                /* the static policy applies */
};

/* The language called `name` (or alias, ASCII case-insensitive), or NULL. */
const struct language *language_find(const char *name);
/* Entry i of the table, NULL behind the last. */
const struct language *language_at(size_t i);
/* Whether the system copy has its interpreter; said once at start. */
bool language_available(const struct language *l);
void language_set_available(const struct language *l, bool is_available);

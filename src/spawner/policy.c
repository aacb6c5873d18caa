/* policy: the profile that clamps every number asked for.
 *
 * Runs in the spawner.  Pure functions; input is what the server sent. */
#include "spawner/policy.h"

#include <stdbool.h>
#include <string.h>

#include "base/limits.h"

#define MEMORY_MIN_MB 16 /* less, and init itself would be the victim */

static bool settle(uint32_t *value, uint32_t standard, uint32_t ceiling)
{
    if (*value == 0)
        *value = standard;
    return *value <= ceiling;
}

int policy_clamp(const struct spawn_config *config, struct spawn_limits *limits)
{
    const struct spawn_limits *d = &config->defaults, *c = &config->ceilings;
    bool good = settle(&limits->memory_mb, d->memory_mb, c->memory_mb) &&
                settle(&limits->cpu_milli, d->cpu_milli, c->cpu_milli) &&
                settle(&limits->processes, d->processes, c->processes) &&
                settle(&limits->workspace_mb, d->workspace_mb, c->workspace_mb);

    return good && limits->memory_mb >= MEMORY_MIN_MB ? 0 : -1;
}

static bool is_path(const char *text, size_t cap)
{
    return memchr(text, 0, cap) != NULL && text[0] == '/';
}

int policy_check_config(const struct spawn_config *c)
{
    struct spawn_limits limits = {0};

    if (!is_path(c->data, sizeof c->data) || !is_path(c->system, sizeof c->system) ||
        !is_path(c->runtime, sizeof c->runtime) || !is_path(c->init, sizeof c->init) ||
        !is_path(c->work_dir, sizeof c->work_dir) ||
        memchr(c->python, 0, sizeof c->python) == NULL ||
        memchr(c->modules, 0, sizeof c->modules) == NULL)
        return -1;
    if (c->slots == 0 || c->slots > LIMIT_SLOTS || c->defaults.memory_mb == 0 ||
        c->defaults.cpu_milli == 0 || c->defaults.processes == 0 || c->defaults.workspace_mb == 0)
        return -1;
    return policy_clamp(c, &limits);
}

/* policy: the profile that clamps every number asked for.
 *
 * Runs in the spawner.  Pure functions; input is what the server sent. */
#include "spawner/policy.h"

#include <stdbool.h>
#include <string.h>

#include "base/limits.h"
#include "spawner/cgroup.h"
#include "spawner/layer.h"
#include "wire/workspace.h"

#define MEMORY_MIN_MB 16 /* less, and init itself would be the victim */

static bool settle(uint32_t *value, uint32_t standard, uint32_t ceiling)
{
    if (*value == 0)
        *value = standard;
    return *value <= ceiling;
}

int policy_clamp(const struct spawn_config *config, enum spawn_nest_kind kind,
                 struct spawn_limits *limits)
{
    bool is_run = kind == SPAWN_NEST_RUN;
    const struct spawn_limits *d = is_run ? &config->defaults : &config->build_ceilings;
    const struct spawn_limits *c = is_run ? &config->ceilings : &config->build_ceilings;
    bool good = settle(&limits->memory_mb, d->memory_mb, c->memory_mb) &&
                settle(&limits->cpu_milli, d->cpu_milli, c->cpu_milli) &&
                settle(&limits->processes, d->processes, c->processes) &&
                settle(&limits->workspace_mb, d->workspace_mb, c->workspace_mb);

    return good && limits->memory_mb >= MEMORY_MIN_MB ? 0 : -1;
}

uint32_t policy_build_weight(const struct spawn_config *config)
{
    return config->build_weight > 0 ? config->build_weight : CGROUP_WEIGHT_RUN;
}

static bool is_layer(uint64_t number)
{
    return number != 0 && number < SPAWN_NUMBER;
}

/* What is made, and what it is made from. */
static bool has_good_target(const struct spawn_config *config, const struct spawn_nest *make)
{
    for (uint32_t i = 0; i < make->nlayers; i++) {
        if (make->layers[i] == make->target)
            return false;
    }
    return is_layer(make->target) && make->target_mb > 0 &&
           make->target_mb <= config->build_ceilings.workspace_mb && make->input < SPAWN_NUMBER &&
           (make->input == 0 || make->kind == SPAWN_NEST_TOOL);
}

int policy_check_nest(const struct spawn_config *config, const struct spawn_nest *make)
{
    if (make->kind > SPAWN_NEST_TOOL || make->warm > 1 || make->nlayers == 0 ||
        make->nlayers > SPAWN_LAYERS)
        return -1;
    if (make->network > config->network ||
        (make->network == SPAWN_NETWORK_HOST && make->kind != SPAWN_NEST_TOOL))
        return -1;
    for (uint32_t i = 0; i < make->nlayers; i++) {
        if (!is_layer(make->layers[i]))
            return -1;
    }
    if (make->kind != SPAWN_NEST_RUN)
        return make->warm == 0 && has_good_target(config, make) ? 0 : -1;
    return make->target == 0 && make->target_mb == 0 && make->input == 0 ? 0 : -1;
}

bool policy_check_workspace(const struct spawn_config *config, uint64_t bytes)
{
    return bytes >= WORKSPACE_BYTES_MIN && bytes <= config->workspace_bytes_max;
}

static bool is_path(const char *text, size_t cap)
{
    return memchr(text, 0, cap) != NULL && text[0] == '/';
}

int policy_check_config(const struct spawn_config *c)
{
    struct spawn_limits limits = {0};

    if (!is_path(c->data, sizeof c->data) || !is_path(c->system, sizeof c->system) ||
        !is_path(c->runtime, sizeof c->runtime) || !is_path(c->programs, sizeof c->programs) ||
        !is_path(c->init, sizeof c->init) || !is_path(c->work_dir, sizeof c->work_dir) ||
        memchr(c->python, 0, sizeof c->python) == NULL ||
        memchr(c->modules, 0, sizeof c->modules) == NULL)
        return -1;
    if (c->slots == 0 || c->slots > LIMIT_SLOTS || c->defaults.memory_mb == 0 ||
        c->defaults.cpu_milli == 0 || c->defaults.processes == 0 || c->defaults.workspace_mb == 0)
        return -1;
    if (c->network > SPAWN_NETWORK_HOST || c->ndns > SPAWN_DNS || c->nallowed > SPAWN_ALLOWED)
        return -1;
    for (uint32_t i = 0; i < c->ndns; i++) {
        if (memchr(c->dns[i], 0, sizeof c->dns[i]) == NULL)
            return -1;
    }
    for (uint32_t i = 0; i < c->nallowed; i++) {
        if (memchr(c->allowed[i], 0, sizeof c->allowed[i]) == NULL)
            return -1;
    }
    return policy_clamp(c, SPAWN_NEST_RUN, &limits);
}

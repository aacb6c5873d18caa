/* policy: no number of the server's passes unchecked. */
#pragma once

#include <stdbool.h>

#include "wire/spawn.h"

/* Fills each 0 in *limits with the default of a sandbox in a nest of this kind and checks the rest
 * against the ceilings.  -1 if one is beyond: it is refused, never silently reduced. */
int policy_clamp(const struct spawn_config *config, enum spawn_nest_kind kind,
                 struct spawn_limits *limits);

/* Whether a nest may be made: numbers that are what they say, within what the operator allows. */
int policy_check_nest(const struct spawn_config *config, const struct spawn_nest *make);

/* Whether a workspace may have so many bytes. */
bool policy_check_workspace(const struct spawn_config *config, uint64_t bytes);

/* Share of the CPU of what is built, in percent of a run's. */
uint32_t policy_build_weight(const struct spawn_config *config);

/* Whether a configuration is usable: strings end, paths are absolute, numbers make sense. */
int policy_check_config(const struct spawn_config *config);

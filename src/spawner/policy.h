/* policy: no number of the server's passes unchecked. */
#pragma once

#include "wire/spawn.h"

/* Fills each 0 in *limits with the default and checks the rest against the ceilings.  -1 if one is
 * beyond: it is refused, never silently reduced. */
int policy_clamp(const struct spawn_config *config, struct spawn_limits *limits);

/* Whether a configuration is usable: strings end, paths are absolute, numbers make sense. */
int policy_check_config(const struct spawn_config *config);

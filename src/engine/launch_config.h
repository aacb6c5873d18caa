/* launch_config: what the spawner is told once, from the operator's settings.  For launch.c. */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "wire/spawn.h"

struct settings;

/* Fills limits, networks, zygotes and slots; paths are the caller's.  -1 and e. */
int launch_config_fill(const struct settings *s, struct spawn_config *c, struct err *e);

/* Reads the addresses of resolvers out of the text of a resolv.conf(5), but for those that a
 * sandbox cannot reach: on the loopback, or bound to a link.  Returns how many were found, at most
 * SPAWN_DNS. */
size_t launch_resolvers(const char *text, char (*out)[SPAWN_ADDRESS]);

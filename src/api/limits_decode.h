/* limits_decode: the member "limits" of requests, and the names of networks. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "api/fields.h"
#include "api/rules.h"

/* Reads body's "limits" into *ret, where it leaves alone what is absent or null; what is wrong
 * becomes a violation.  `output`: output_kb is one of them. */
void limits_decode(struct fields *f, const struct request_rules *rules, const json_t *body,
                   bool output, struct run_limits *ret);

/* "none", "bridge": what a client may name, in the order of enum spawn_network; NULL-terminated. */
extern const char *const network_names[];

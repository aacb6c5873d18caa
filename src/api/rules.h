/* rules: what requests may ask for, derived once from the settings. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/run.h"

struct settings;

struct request_rules {
    uint32_t timeout_default_s;
    uint32_t timeout_model_max_s; /* above it 422 */
    uint32_t timeout_max_s;       /* above it 400 */
    size_t code_chars_max;
    size_t file_max;         /* bytes */
    size_t body_max;         /* bytes of a request to /execute */
    struct run_limits usual; /* all set */
    struct run_limits max;
    enum policy_level policy;
    const char *allowed_modules; /* "" for none; lives as long as the settings */
    uint32_t session_timeout_s;  /* of a foreground call in a session that names none */
    uint32_t session_timeout_max_s;
    uint64_t session_bytes_max; /* of one workspace */
};

/* -1 and e when a setting is out of range.  No run may ask for more than `memory_budget_mb`, since
 * it would never be admitted. */
int rules_from_settings(struct request_rules *ret, const struct settings *s,
                        uint64_t memory_budget_mb, struct err *e);

/* Gives the run the timeout and the limits that are not set (0), and takes it down to the ceilings
 * where an environment's defaults are beyond them by now. */
void rules_complete(const struct request_rules *rules, struct run_spec *spec);

/* The names of the policy's levels, in the order of enum policy_level, NULL-terminated. */
extern const char *const policy_level_names[];

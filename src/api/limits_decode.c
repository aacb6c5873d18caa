/* limits_decode: limits that a client asks for, for a run or for those of an environment.
 *
 * Runs in the server, on the loop or on the thread pool; the body is hostile.  A limit above its
 * ceiling is refused and never reduced. */
#include "api/limits_decode.h"

#include <string.h>

#define MEMORY_MIN_MB    16 /* less does not start an interpreter */
#define PROCESSES_MIN    1
#define WORKSPACE_MIN_MB 1
#define OUTPUT_MIN_KB    1
#define CPU_MIN_MILLI    10

const char *const network_names[] = {"none", "bridge", NULL};

static void decode_limit(struct fields *f, const json_t *limits, const char *name,
                         struct int_range range, uint32_t *limit)
{
    const json_t *value = field_optional(limits, name);
    int64_t number;
    if (value && field_int_in(f, PLACE_IN("limits", name), value, range, &number) == 0)
        *limit = (uint32_t)number;
}

static void decode_cpu(struct fields *f, const json_t *limits, uint32_t max_milli,
                       uint32_t *cpu_milli)
{
    const json_t *value = field_optional(limits, "cpu");
    const struct place place = PLACE_IN("limits", "cpu");
    const double min = CPU_MIN_MILLI / 1000.0, max = max_milli / 1000.0;
    double cpus;
    if (!value || field_real(f, place, value, &cpus) < 0)
        return;
    if (cpus < min)
        violation_add(&f->violations, "greater_than_equal", place, value,
                      json_pack("{s:f}", "ge", min), "Input should be greater than or equal to %g",
                      min);
    else if (cpus > max)
        violation_add(&f->violations, "less_than_equal", place, value,
                      json_pack("{s:f}", "le", max), "Input should be less than or equal to %g",
                      max);
    else
        *cpu_milli = (uint32_t)(cpus * 1000 + 0.5);
}

/* A limit that nobody enforces because its name is misspelt would be a trap, so these members are
 * the only ones of which unknown ones are refused. */
static void refuse_unknown(struct fields *f, json_t *limits, bool output)
{
    static const char *const known[] = {"memory_mb", "cpu", "processes", "workspace_mb"};
    for (void *i = json_object_iter(limits); i; i = json_object_iter_next(limits, i)) {
        const char *name = json_object_iter_key(i);
        bool found = output && strcmp(name, "output_kb") == 0;
        for (size_t n = 0; n < sizeof known / sizeof known[0]; n++)
            found |= strcmp(known[n], name) == 0;
        if (!found)
            violation_add(&f->violations, "extra_forbidden", PLACE_IN("limits", name),
                          json_object_iter_value(i), NULL, "Extra inputs are not permitted");
    }
}

void limits_decode(struct fields *f, const struct request_rules *rules, const json_t *body,
                   bool output, struct run_limits *ret)
{
    json_t *value = field_optional(body, "limits");
    const struct run_limits *max = &rules->max;
    if (!value)
        return;
    if (!json_is_object(value)) {
        violation_add(&f->violations, "model_attributes_type", PLACE("limits"), value, NULL,
                      "Input should be a valid dictionary or object to extract fields from");
        return;
    }
    decode_limit(f, value, "memory_mb", (struct int_range){MEMORY_MIN_MB, max->memory_mb},
                 &ret->memory_mb);
    decode_cpu(f, value, max->cpu_milli, &ret->cpu_milli);
    decode_limit(f, value, "processes", (struct int_range){PROCESSES_MIN, max->processes},
                 &ret->processes);
    decode_limit(f, value, "workspace_mb", (struct int_range){WORKSPACE_MIN_MB, max->workspace_mb},
                 &ret->workspace_mb);
    if (output)
        decode_limit(f, value, "output_kb", (struct int_range){OUTPUT_MIN_KB, max->output_kb},
                     &ret->output_kb);
    refuse_unknown(f, value, output);
}

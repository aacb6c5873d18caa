/* rules: settings to bounds of requests.  Runs once in the server at start; trusts the settings'
 * own ranges, and makes them consistent with each other. */
#include "api/rules.h"

#include <string.h>
#include <unistd.h>

#include "base/settings.h"

#define MODEL_TIMEOUT_MAX_S 300 /* of the predecessor's model */
#define MEGABYTE            (1 << 20)
#define KILOBYTE            1024

const char *const policy_level_names[] = {"off", "standard", "strict", NULL};

static uint32_t lower(int64_t a, int64_t b)
{
    return (uint32_t)(a < b ? a : b);
}

/* A default above its ceiling raises the ceiling: the operator asked for it. */
static uint32_t higher(int64_t a, int64_t b)
{
    return (uint32_t)(a > b ? a : b);
}

static int parse_policy(const char *name, enum policy_level *ret, struct err *e)
{
    for (int i = 0; policy_level_names[i]; i++) {
        if (strcasecmp(policy_level_names[i], name) == 0) {
            *ret = (enum policy_level)i;
            return 0;
        }
    }
    return err_set(e, ERR_INVALID, 0, "SECURITY_LEVEL %s is not off, standard or strict", name);
}

static int64_t round_up(int64_t bytes, int64_t unit)
{
    return (bytes + unit - 1) / unit;
}

static void set_timeouts(struct request_rules *r, const struct settings *s)
{
    int64_t max = s->max_timeout;
    if (s->max_execution_time > 0 && s->max_execution_time < max)
        max = s->max_execution_time;
    r->timeout_max_s = (uint32_t)max;
    r->timeout_model_max_s = higher(MODEL_TIMEOUT_MAX_S, max);
    r->timeout_default_s = lower(s->sandbox_timeout, max);
}

static void set_limits(struct request_rules *r, const struct settings *s)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    int64_t all_cpus = (cpus > 0 ? cpus : 1) * 1000;

    r->usual = (struct run_limits){
        .memory_mb = (uint32_t)round_up(s->memory_limit, MEGABYTE),
        .cpu_milli = (uint32_t)s->cpu_milli,
        .processes = (uint32_t)s->process_limit,
        .workspace_mb = (uint32_t)round_up(s->workspace_limit, MEGABYTE),
        .output_kb = (uint32_t)round_up(s->output_limit, KILOBYTE),
    };
    r->max = (struct run_limits){
        .memory_mb = higher(r->usual.memory_mb, s->max_memory / MEGABYTE),
        .cpu_milli = higher(r->usual.cpu_milli, s->max_cpu_milli ? s->max_cpu_milli : all_cpus),
        .processes = higher(r->usual.processes, s->max_processes),
        .workspace_mb = higher(r->usual.workspace_mb, s->max_workspace / MEGABYTE),
        .output_kb = higher(r->usual.output_kb, s->max_output / KILOBYTE),
    };
}

static void cap(uint32_t *limit, uint64_t at)
{
    if (*limit > at)
        *limit = (uint32_t)at;
}

int rules_from_settings(struct request_rules *ret, const struct settings *s,
                        uint64_t memory_budget_mb, struct err *e)
{
    *ret = (struct request_rules){
        .code_chars_max = (size_t)s->max_code_length,
        .file_max = (size_t)s->max_file_size,
        .body_max = (size_t)s->max_body_size,
        .allowed_modules = s->allowed_modules ? s->allowed_modules : "",
        .session_timeout_s = (uint32_t)s->session_timeout,
        .session_timeout_max_s = (uint32_t)s->session_max_timeout,
        .session_bytes_max = (uint64_t)s->session_max_size,
    };
    set_timeouts(ret, s);
    set_limits(ret, s);
    cap(&ret->usual.memory_mb, memory_budget_mb);
    cap(&ret->max.memory_mb, memory_budget_mb);
    return parse_policy(s->security_level ? s->security_level : "off", &ret->policy, e);
}

static void complete(uint32_t *value, uint32_t usual, uint32_t max)
{
    if (*value == 0)
        *value = usual;
    else if (*value > max)
        *value = max;
}

void rules_complete(const struct request_rules *rules, struct run_spec *spec)
{
    struct run_limits *limits = &spec->limits;
    const struct run_limits *usual = &rules->usual, *max = &rules->max;
    complete(&spec->timeout_ms, rules->timeout_default_s * 1000, rules->timeout_max_s * 1000);
    complete(&limits->memory_mb, usual->memory_mb, max->memory_mb);
    complete(&limits->cpu_milli, usual->cpu_milli, max->cpu_milli);
    complete(&limits->processes, usual->processes, max->processes);
    complete(&limits->workspace_mb, usual->workspace_mb, max->workspace_mb);
    complete(&limits->output_kb, usual->output_kb, max->output_kb);
}

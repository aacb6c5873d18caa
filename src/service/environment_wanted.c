/* environment_wanted: what a client asks for, held against what the operator allows.
 *
 * Runs in the server.  The texts have been decoded (UTF-8 without NUL, bounded); what they mean is
 * judged here, and refused with words that are shown to the client. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/settings.h"
#include "service/environment_internal.h"
#include "service/script_lint.h"

static const char *const network_names[] = {"none", "bridge"};

bool environment_network(const char *name, enum spawn_network *ret)
{
    for (size_t i = 0; i < sizeof network_names / sizeof network_names[0]; i++) {
        if (strcmp(name, network_names[i]) != 0)
            continue;
        *ret = (enum spawn_network)i;
        return true;
    }
    return false;
}

static int read_network(const char *value, const char *name, enum spawn_network *ret, struct err *e)
{
    return environment_network(value, ret)
               ? 0
               : err_set(e, ERR_INVALID, 0, "%s '%.40s' is neither none nor bridge", name, value);
}

static uint32_t megabytes(int64_t bytes)
{
    return (uint32_t)((bytes + (1 << 20) - 1) >> 20);
}

int environment_rules(struct environment_rules *ret, const struct settings *s, struct err *e)
{
    uint32_t cpus = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN) * 1000;
    int64_t ceiling = s->max_execution_time > 0 && s->max_execution_time < s->max_timeout
                          ? s->max_execution_time
                          : s->max_timeout;

    *ret = (struct environment_rules){
        .build_concurrency = (uint32_t)s->build_concurrency,
        .build_timeout_ms = (uint32_t)(s->build_timeout * 1000),
        .build_limits = {.memory_mb = megabytes(s->build_memory),
                         .cpu_milli = s->build_cpu_milli > 0 ? (uint32_t)s->build_cpu_milli : cpus,
                         .processes = (uint32_t)s->build_processes},
        .build_disk_mb = megabytes(s->build_disk),
        .build_log_bytes = (uint64_t)s->build_log_limit,
        .disk_reserve = (uint64_t)s->disk_reserve,
        .refuse_scripts = strcmp(s->forbidden_scripts, "refuse") == 0,
        .learn = s->learn_modules,
        .environments_max = (uint32_t)s->environment_limit,
        .nests_max = (uint32_t)s->environments_warm,
        .pool_max = (uint32_t)s->pool_max,
        .idle_us = (uint64_t)s->environment_idle * 1000000,
        .timeout_ms = (uint32_t)(s->sandbox_timeout * 1000),
        .max = {.memory_mb = megabytes(s->max_memory),
                .cpu_milli = s->max_cpu_milli > 0 ? (uint32_t)s->max_cpu_milli : cpus,
                .processes = (uint32_t)s->max_processes,
                .workspace_mb = megabytes(s->max_workspace)},
        .max_timeout_s = (uint32_t)ceiling,
    };
    return read_network(s->network_mode, "NETWORK_MODE", &ret->network, e) < 0 ||
                   read_network(s->max_network, "MAX_NETWORK", &ret->max_network, e) < 0 ||
                   read_network(s->build_network, "BUILD_NETWORK", &ret->build_network, e) < 0
               ? -1
               : 0;
}

bool environment_has_image(void *data, const char *name)
{
    struct environment_service *s = data;
    struct image_record image = {0};
    bool has = s->store != NULL && store_image_get(s->store, name, &image, NULL) == 0 &&
               image.name != NULL;

    image_record_finish(&image);
    return has;
}

/* -- limits and networks ----------------------------------------------------------------------- */

static int set_number(uint64_t wanted, uint64_t max, const char *name, uint64_t *ret, struct err *e)
{
    if (wanted == 0)
        return 0;
    if (wanted > max)
        return err_set(e, ERR_INVALID, 0, "%s %llu is above the ceiling of %llu", name,
                       (unsigned long long)wanted, (unsigned long long)max);
    *ret = wanted;
    return 0;
}

static int set_limits(const struct environment_rules *rules, const struct environment_wanted *w,
                      struct environment_record *r, struct err *e)
{
    const struct run_limits *max = &rules->max;

    return set_number(w->memory_mb, max->memory_mb, "memory_mb", &r->memory_mb, e) < 0 ||
                   set_number(w->cpu_milli, max->cpu_milli, "cpu_milli", &r->cpu_milli, e) < 0 ||
                   set_number(w->processes, max->processes, "processes", &r->processes, e) < 0 ||
                   set_number(w->workspace_mb, max->workspace_mb, "workspace_mb", &r->workspace_mb,
                              e) < 0 ||
                   set_number(w->timeout_s, rules->max_timeout_s, "timeout", &r->timeout_s, e) < 0
               ? -1
               : 0;
}

static int set_network(const struct environment_rules *rules, const char *wanted, const char *what,
                       char **at, struct err *e)
{
    enum spawn_network network;

    if (wanted == NULL)
        return 0;
    if (read_network(wanted, what, &network, e) < 0)
        return -1;
    if (network > rules->max_network)
        return err_set(e, ERR_INVALID, 0,
                       "%s '%s' is more than this server allows (MAX_NETWORK %s)", what, wanted,
                       network_names[rules->max_network]);
    return environment_set_text(at, wanted, e);
}

/* What an environment has when the client says nothing: the operator's default, within his ceiling.
 */
static const char *usual(const struct environment_rules *rules, enum spawn_network network)
{
    return network_names[network < rules->max_network ? network : rules->max_network];
}

static int set_networks(const struct environment_rules *rules, const struct environment_wanted *w,
                        struct environment_record *r, struct err *e)
{
    return set_network(rules, w->network, "network", &r->network, e) < 0 ||
                   set_network(rules, w->build_network, "build_network", &r->build_network, e) < 0
               ? -1
               : 0;
}

/* -- records ----------------------------------------------------------------------------------- */

static int check_script(const struct environment_rules *rules, const char *script, struct err *e)
{
    const char *found = script_lint(script);

    if (found == NULL || !rules->refuse_scripts)
        return 0;
    return err_set(e, ERR_INVALID, 0, SCRIPT_LINT_WORDS "%s", found);
}

/* The words must mean something; which base it is, the build will find out. */
static int check_base(struct environment_service *s, const struct environment_record *r,
                      struct err *e)
{
    const struct resolve_question q = {.base_image = r->base_image,
                                       .python_version = r->python_version,
                                       .host_python = s->config.host_python,
                                       .has_image = environment_has_image,
                                       .data = s};
    struct resolve_answer answer;

    return resolve_base(&q, &answer, e);
}

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

static int fill_texts(const struct environment_rules *rules, const struct environment_wanted *w,
                      struct environment_record *r, struct err *e)
{
    char **const empty[] = {&r->learned, &r->error, &r->base, &r->digest, &r->actual_python};

    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        if (environment_set_text(empty[i], "", e) < 0)
            return -1;
    }
    r->created_at = environment_now();
    if (r->created_at == NULL)
        return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
    return environment_set_text(&r->name, w->name, e) < 0 ||
                   environment_set_text(&r->description, or_empty(w->description), e) < 0 ||
                   environment_set_text(&r->base_image, or_empty(w->base_image), e) < 0 ||
                   environment_set_text(&r->python_version, or_empty(w->python_version), e) < 0 ||
                   environment_set_text(&r->setup_script, or_empty(w->setup_script), e) < 0 ||
                   environment_set_text(&r->warm, w->warm, e) < 0 ||
                   environment_set_text(&r->network, usual(rules, rules->network), e) < 0 ||
                   environment_set_text(&r->build_network, usual(rules, rules->build_network), e) <
                       0
               ? -1
               : 0;
}

int environment_wanted_record(struct environment_service *s, const struct environment_wanted *w,
                              struct environment_record *ret, struct err *e)
{
    ret->status = ENVIRONMENT_BUILDING;
    if (fill_texts(&s->rules, w, ret, e) < 0 || set_networks(&s->rules, w, ret, e) < 0 ||
        set_limits(&s->rules, w, ret, e) < 0 || check_base(s, ret, e) < 0)
        return -1;
    return check_script(&s->rules, ret->setup_script, e);
}

int environment_wanted_patch(struct environment_service *s, const struct environment_wanted *w,
                             struct environment_record *r, struct err *e)
{
    if (set_networks(&s->rules, w, r, e) < 0 || set_limits(&s->rules, w, r, e) < 0)
        return -1;
    if (w->description != NULL && environment_set_text(&r->description, w->description, e) < 0)
        return -1;
    if (w->warm != NULL || w->learn)
        return environment_set_text(&r->warm, w->warm, e);
    return 0;
}

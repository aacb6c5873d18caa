/* session_wanted: what a client asks for, held against what the operator allows.
 *
 * Runs in the server.  The texts have been decoded (UTF-8 without NUL, bounded); what they mean is
 * judged here, and refused with words that are shown to the client. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>

#include "base/limits.h"
#include "base/settings.h"
#include "service/session_internal.h"

#define SECONDS_MAX (INT64_C(10) * 366 * 86400) /* of a TTL: so that sums in ms never overflow */

static int64_t never_if_zero(int64_t seconds)
{
    return seconds > 0 ? seconds : -1;
}

int session_rules(struct session_rules *ret, const struct settings *s, struct err *e)
{
    *ret = (struct session_rules){
        .size = (uint64_t)s->session_size,
        .size_max = (uint64_t)s->session_max_size,
        .disk = (uint64_t)s->session_disk,
        .disk_reserve = (uint64_t)s->disk_reserve,
        .sessions_max = (uint32_t)s->session_limit,
        .awake_max = (uint32_t)s->session_live_limit,
        .idle_s = s->session_idle,
        .idle_ttl_s = never_if_zero(s->session_ttl),
        .ttl_s = never_if_zero(s->session_max_age),
        .network = s->network_mode,
        .max_network = s->max_network,
    };
    if (ret->size > ret->size_max)
        return err_set(e, ERR_INVALID, 0, "SESSION_SIZE is above SESSION_MAX_SIZE");
    return 0;
}

static int set_text(char **at, const char *text, struct err *e)
{
    *at = strdup(text);
    return *at != NULL ? 0 : err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
}

/* -- the parts --------------------------------------------------------------------------------- */

static int set_id(const char *wanted, char **ret, struct err *e)
{
    char random[33];

    if (wanted != NULL && !session_id_is_valid(wanted))
        return err_set(
            e, ERR_INVALID, 0,
            "an id of a session is 1 to %d letters, digits, '_', '.' and '-', and begins "
            "with a letter or a digit",
            SESSION_ID_MAX);
    if (wanted == NULL && session_random_id(random, e) < 0)
        return -1;
    return set_text(ret, wanted != NULL ? wanted : random, e);
}

static bool is_bridge(const char *network)
{
    return strcmp(network, "bridge") == 0;
}

/* What it asks for, or the environment's own, as far as the operator allows that. */
static int set_network(const struct session_service *s, const char *wanted, const char *own,
                       char **ret, struct err *e)
{
    bool most = is_bridge(s->rules.max_network);

    if (wanted != NULL && !is_bridge(wanted) && strcmp(wanted, "none") != 0)
        return err_set(e, ERR_INVALID, 0, "network '%.40s' is neither none nor bridge", wanted);
    if (wanted != NULL && is_bridge(wanted) && !most)
        return err_set(e, ERR_INVALID, 0, "network 'bridge' is more than this server allows");
    if (wanted != NULL && is_bridge(wanted) && !is_bridge(own))
        return err_set(e, ERR_INVALID, 0, "network 'bridge' is more than the environment has");
    return set_text(ret, wanted != NULL ? wanted : is_bridge(own) && most ? "bridge" : "none", e);
}

static int set_environment(struct session_service *s, const struct session_wanted *w,
                           const char *usual, struct session_record *r, struct err *e)
{
    const char *name = w->environment != NULL && w->environment[0] != '\0' ? w->environment : usual;
    struct environment_view v;

    if (strcmp(name, ENVIRONMENT_BUILT_IN) == 0)
        return set_text(&r->environment, name, e) < 0
                   ? -1
                   : set_network(s, w->network, s->rules.network, &r->network, e);
    if (environment_get(s->config.environments, name, &v, e) < 0)
        return -1;
    return set_text(&r->environment, name, e) < 0
               ? -1
               : set_network(s, w->network, v.record->network, &r->network, e);
}

static int set_seconds(int64_t wanted, int64_t usual, const char *what, int64_t *ret, struct err *e)
{
    if (wanted < -1 || wanted > SECONDS_MAX)
        return err_set(e, ERR_INVALID, 0, "%s is -1 or 1 to %lld seconds", what,
                       (long long)SECONDS_MAX);
    *ret = wanted != 0 ? wanted : usual;
    return 0;
}

static int check_size(const struct session_service *s, uint64_t bytes, struct err *e)
{
    if (bytes < WORKSPACE_BYTES_MIN)
        return err_set(e, ERR_INVALID, 0, "a workspace has at least %u bytes", WORKSPACE_BYTES_MIN);
    if (bytes > s->rules.size_max)
        return err_set(e, ERR_INVALID, 0, "a workspace has at most %llu bytes (SESSION_MAX_SIZE)",
                       (unsigned long long)s->rules.size_max);
    return 0;
}

static int check_growth(uint64_t first, uint64_t bytes, struct err *e)
{
    return bytes <= first * WORKSPACE_GROWTH
               ? 0
               : err_set(e, ERR_INVALID, 0,
                         "this workspace was made for at most %llu bytes: %d times its first size",
                         (unsigned long long)first * WORKSPACE_GROWTH, WORKSPACE_GROWTH);
}

static int may_grow(const struct session *session, uint64_t bytes, struct err *e)
{
    const struct session_record *r = &session->record;

    if (session->ephemeral)
        return err_set(e, ERR_INVALID, 0, "a workspace in memory keeps its size");
    if (bytes < r->bytes)
        return err_set(e, ERR_INVALID, 0, "a workspace does not shrink: it has %llu bytes",
                       (unsigned long long)r->bytes);
    return check_size(session->service, bytes, e) < 0 || check_growth(r->first_bytes, bytes, e) < 0
               ? -1
               : 0;
}

/* -- the disk ---------------------------------------------------------------------------------- */

static int has_reserve(const struct session_service *s, struct err *e)
{
    struct statfs fs;

    if (fstatfs(s->disk, &fs) == 0 &&
        (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize < s->rules.disk_reserve)
        return err_set(e, ERR_LIMIT, ENOSPC, "the server's disk is full (DISK_RESERVE)");
    return 0;
}

int session_has_disk(const struct session_service *s, struct err *e)
{
    if (s->rules.disk != 0 && s->disk_bytes >= s->rules.disk)
        return err_set(e, ERR_LIMIT, ENOSPC,
                       "the workspaces take up all that they may (SESSION_DISK)");
    return has_reserve(s, e);
}

int session_may_write(const struct session *session, struct err *e)
{
    return session->ephemeral ? 0 : has_reserve(session->service, e);
}

/* -- all of it --------------------------------------------------------------------------------- */

/* What the workspace begins as. */
struct source {
    uint64_t bytes, first_bytes; /* 0: nothing */
    const char *environment;
};

static int find_source(struct session_service *s, const struct session_wanted *w,
                       struct source *ret, struct err *e)
{
    const struct snapshot *snapshot;

    *ret = (struct source){.environment = ENVIRONMENT_BUILT_IN};
    if (w->snapshot == NULL && w->from == NULL)
        return 0;
    if (w->ephemeral)
        return err_set(e, ERR_INVALID, 0, "a workspace in memory cannot begin as a copy");
    if (w->from != NULL && w->from->ephemeral)
        return err_set(e, ERR_INVALID, 0, "a workspace in memory cannot be copied");
    if (w->from != NULL && w->from->is_busy)
        return err_set(e, ERR_EXISTS, 0, "session '%.128s' is being copied or restored",
                       w->from->record.id);
    if (w->from != NULL) {
        *ret = (struct source){w->from->record.bytes, w->from->record.first_bytes,
                               w->from->record.environment};
        return 0;
    }
    snapshot = snapshot_find(s, w->owner, w->snapshot);
    if (snapshot == NULL)
        return err_set(e, ERR_NOT_FOUND, 0, "snapshot '%.128s' does not exist", w->snapshot);
    *ret = (struct source){snapshot->record.bytes, snapshot->record.first_bytes,
                           snapshot->record.environment};
    return 0;
}

static int set_size(const struct session_service *s, const struct session_wanted *w,
                    const struct source *source, struct session_record *r, struct err *e)
{
    r->bytes = w->bytes != 0 ? w->bytes : source->bytes != 0 ? source->bytes : s->rules.size;
    r->first_bytes = source->bytes != 0 ? source->first_bytes : r->bytes;
    if (r->bytes < source->bytes)
        return err_set(e, ERR_INVALID, 0, "a copy is not smaller: the workspace has %llu bytes",
                       (unsigned long long)source->bytes);
    return check_size(s, r->bytes, e) < 0 ? -1 : check_growth(r->first_bytes, r->bytes, e);
}

static int check_texts(const char *env, const char *labels, struct err *e)
{
    if (env != NULL && strlen(env) > LIMIT_SESSION_ENV)
        return err_set(e, ERR_INVALID, 0, "env has more than %u bytes", LIMIT_SESSION_ENV);
    if (labels != NULL && strlen(labels) > LIMIT_SESSION_LABELS)
        return err_set(e, ERR_INVALID, 0, "labels have more than %u bytes", LIMIT_SESSION_LABELS);
    return 0;
}

int session_wanted_record(struct session_service *s, const struct session_wanted *w,
                          struct session_record *ret, struct err *e)
{
    struct source source;

    ret->created_ms = ret->used_ms = session_now_ms(s);
    ret->memory_mb = w->limits.memory_mb;
    ret->processes = w->limits.processes;
    ret->cpu_milli = w->limits.cpu_milli;
    return set_id(w->id, &ret->id, e) < 0 || check_texts(w->env, w->labels, e) < 0 ||
                   find_source(s, w, &source, e) < 0 || set_size(s, w, &source, ret, e) < 0 ||
                   set_environment(s, w, source.environment, ret, e) < 0 ||
                   set_seconds(w->idle_s, s->rules.idle_s, "idle_timeout", &ret->idle_s, e) < 0 ||
                   set_seconds(w->idle_ttl_s, s->rules.idle_ttl_s, "idle_ttl", &ret->idle_ttl_s,
                               e) < 0 ||
                   set_seconds(w->ttl_s, s->rules.ttl_s, "ttl", &ret->ttl_s, e) < 0 ||
                   set_text(&ret->owner, w->owner, e) < 0 ||
                   set_text(&ret->env, w->env != NULL ? w->env : "{}", e) < 0 ||
                   set_text(&ret->labels, w->labels != NULL ? w->labels : "{}", e) < 0
               ? -1
               : 0;
}

int session_change_check(const struct session *session, const struct session_change *c,
                         struct err *e)
{
    int64_t ignored;

    if (check_texts(c->env, c->labels, e) < 0 ||
        set_seconds(c->idle_s, 0, "idle_timeout", &ignored, e) < 0 ||
        set_seconds(c->idle_ttl_s, 0, "idle_ttl", &ignored, e) < 0 ||
        set_seconds(c->ttl_s, 0, "ttl", &ignored, e) < 0)
        return -1;
    if (c->bytes == 0 || c->bytes == session->record.bytes)
        return 0;
    return may_grow(session, c->bytes, e) < 0 || session_has_disk(session->service, e) < 0 ? -1 : 0;
}

/* session: the table of sessions and what is known of each.
 *
 * Runs in the server, on the loop.  Ids come from clients and are hostile text until they have been
 * checked; the table is seeded, so that nobody can choose ids that fall on one place. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "service/session_internal.h"

#define IDS_AHEAD 64 /* of processes */
#define HOUR_MS   (INT64_C(3600) * 1000)

/* -- ids --------------------------------------------------------------------------------------- */

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool session_id_is_valid(const char *id)
{
    size_t len = 0;

    for (; len <= SESSION_ID_MAX && id[len] != '\0'; len++) {
        if (!is_alnum(id[len]) && (len == 0 || strchr("_.-", id[len]) == NULL))
            return false;
    }
    return len > 0 && len <= SESSION_ID_MAX;
}

int session_random_id(char out[static 33], struct err *e)
{
    unsigned char bytes[16];

    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return err_set(e, ERR_INTERNAL, 0, "getrandom");
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}

static uint32_t hash_of(const struct session_service *s, const char *owner, const char *id)
{
    uint32_t h = 2166136261u ^ s->hash_seed;

    for (; *owner != '\0'; owner++)
        h = (h ^ (unsigned char)*owner) * 16777619u;
    h *= 16777619u;
    for (; *id != '\0'; id++)
        h = (h ^ (unsigned char)*id) * 16777619u;
    return h;
}

struct session *session_lookup(struct session_service *s, const char *owner, const char *id)
{
    uint32_t hash = hash_of(s, owner, id);
    struct session *found = s->buckets[hash % SESSION_BUCKETS];

    while (found != NULL && (found->hash != hash || strcmp(found->record.id, id) != 0 ||
                             strcmp(found->record.owner, owner) != 0))
        found = found->chain;
    return found;
}

struct session *session_find(struct session_service *s, const char *owner, const char *id)
{
    struct session *found = session_lookup(s, owner, id);

    if (found == NULL || !session_is_expired(found))
        return found;
    session_delete(found, NULL, NULL);
    return NULL;
}

/* -- the table --------------------------------------------------------------------------------- */

static void link_session(struct session *session)
{
    struct session_service *s = session->service;
    struct session **bucket;

    session->hash = hash_of(s, session->record.owner, session->record.id);
    bucket = &s->buckets[session->hash % SESSION_BUCKETS];
    session->chain = *bucket;
    *bucket = session;
    session->prev = s->last;
    session->next = NULL;
    *(s->last != NULL ? &s->last->next : &s->first) = session;
    s->last = session;
    s->count++;
}

void session_unlink(struct session *session)
{
    struct session_service *s = session->service;
    struct session **at = &s->buckets[session->hash % SESSION_BUCKETS];

    while (*at != session)
        at = &(*at)->chain;
    *at = session->chain;
    if (s->cursor == session)
        s->cursor = session->next;
    *(session->prev != NULL ? &session->prev->next : &s->first) = session->next;
    *(session->next != NULL ? &session->next->prev : &s->last) = session->prev;
    session->prev = NULL;
    session->next = s->ending;
    if (s->ending != NULL)
        s->ending->prev = session;
    s->ending = session;
    s->count--;
}

void session_ref(struct session *session)
{
    session->refs++;
}

static void drop_from_ending(struct session *session)
{
    struct session_service *s = session->service;

    *(session->prev != NULL ? &session->prev->next : &s->ending) = session->next;
    if (session->next != NULL)
        session->next->prev = session->prev;
}

void session_unref(struct session *session)
{
    if (--session->refs > 0)
        return;
    drop_from_ending(session);
    session_processes_forget(session);
    session_record_finish(&session->record);
    free(session->env);
    free(session);
}

uint32_t session_count(struct session_service *s, const char *owner, uint32_t *ret_awake)
{
    uint32_t count = 0, awake = 0;

    for (struct session *one = s->first; one != NULL; one = one->next) {
        if (strcmp(one->record.owner, owner) != 0)
            continue;
        count++;
        awake += one->state == SESSION_AWAKE;
    }
    if (ret_awake != NULL)
        *ret_awake = awake;
    return count;
}

struct session *session_next(struct session_service *s, const char *owner,
                             const struct session *after)
{
    struct session *next = after != NULL ? after->next : s->first;

    while (next != NULL && strcmp(next->record.owner, owner) != 0)
        next = next->next;
    return next;
}

/* -- the record -------------------------------------------------------------------------------- */

void session_touch(struct session *session)
{
    if (session->is_dirty || session->ephemeral)
        return;
    session->is_dirty = true;
    session_ref(session);
    session->dirty_next = session->service->dirty;
    session->service->dirty = session;
}

void session_save(struct session *session)
{
    struct err e = {0};

    if (session->record.number != 0 && !session->is_deleted &&
        store_session_update(session->service->store, &session->record, &e) < 0)
        log_event(LOG_ERROR, "session.not_saved", LOG_STR("session", session->record.id),
                  LOG_STR("reason", e.text));
}

void session_set_disk(struct session *session, uint64_t bytes)
{
    session->service->disk_bytes += bytes - session->record.disk_bytes;
    session->record.disk_bytes = bytes;
}

static int64_t used_ms(const struct session *session)
{
    int64_t now = session_now_ms(session->service);

    return session->users > 0 ? now : session->record.used_ms;
}

int64_t session_expires_ms(const struct session *session)
{
    const struct session_record *r = &session->record;
    int64_t used = used_ms(session);
    int64_t unused = r->idle_ttl_s >= 0 ? used + r->idle_ttl_s * 1000 : 0;
    int64_t age = r->ttl_s >= 0 ? r->created_ms + r->ttl_s * 1000 : 0;

    return unused == 0 || (age != 0 && age < unused) ? age : unused;
}

bool session_is_expired(const struct session *session)
{
    int64_t now = session_now_ms(session->service);
    int64_t at = session_expires_ms(session);

    return at != 0 && !session->is_busy && at <= now;
}

/* A tenth of the time that it was given, but at most an hour. */
static bool expires_soon(const struct session *session, int64_t expires_ms)
{
    const struct session_record *r = &session->record;
    int64_t total =
        r->ttl_s >= 0 && r->created_ms + r->ttl_s * 1000 == expires_ms ? r->ttl_s : r->idle_ttl_s;
    int64_t warning = total * 100 < HOUR_MS ? total * 100 : HOUR_MS;

    return expires_ms != 0 && expires_ms - session_now_ms(session->service) <= warning;
}

void session_view(struct session *session, struct session_view *ret)
{
    const struct session_record *r = &session->record;
    int64_t expires = session_expires_ms(session);

    *ret = (struct session_view){
        .id = r->id,
        .owner = r->owner,
        .environment = r->environment,
        .network = r->network,
        .env = r->env,
        .labels = r->labels,
        .ephemeral = session->ephemeral,
        .state = session->state,
        .bytes = r->bytes,
        .disk_bytes = r->disk_bytes,
        .created_ms = r->created_ms,
        .used_ms = used_ms(session),
        .expires_ms = expires,
        .idle_s = r->idle_s,
        .idle_ttl_s = r->idle_ttl_s,
        .ttl_s = r->ttl_s,
        .limits = {.memory_mb = (uint32_t)r->memory_mb,
                   .processes = (uint32_t)r->processes,
                   .cpu_milli = (uint32_t)r->cpu_milli},
        .processes = session->running,
        .expires_soon = expires_soon(session, expires),
    };
}

const char *const *session_env(const struct session *session)
{
    return (const char *const *)session->env;
}

uint32_t session_process_id(struct session *session)
{
    struct session_record *r = &session->record;

    /* Written ahead of time, so that a crash does not make ids come again. */
    if (++session->last_process > r->last_process) {
        r->last_process = session->last_process + IDS_AHEAD;
        session_save(session);
    }
    return session->last_process;
}

/* -- making one -------------------------------------------------------------------------------- */

/* Those whose time is over make room. */
static void end_expired(struct session_service *s)
{
    struct session *next;

    for (struct session *one = s->first; one != NULL; one = next) {
        next = one->next;
        if (session_is_expired(one))
            session_delete(one, NULL, NULL);
    }
}

static int has_room(struct session_service *s, const struct session_record *r, bool ephemeral,
                    struct err *e)
{
    if (s->store == NULL)
        return err_set(e, ERR_UNAVAILABLE, 0, "the server is still starting");
    if (s->count >= s->rules.sessions_max)
        end_expired(s);
    if (s->count >= s->rules.sessions_max)
        return err_set(e, ERR_LIMIT, 0, "there are %u sessions already (SESSION_LIMIT)", s->count);
    if (session_find(s, r->owner, r->id) != NULL)
        return err_set(e, ERR_EXISTS, 0, "session '%.128s' exists already", r->id);
    return ephemeral ? 0 : session_has_disk(s, e);
}

struct session *session_new(struct session_service *s, struct session_record *r, bool ephemeral)
{
    struct session *session = calloc(1, sizeof *session);

    if (session == NULL)
        return NULL;
    session->service = s;
    session->refs = 1;
    session->record = *r;
    session->ephemeral = ephemeral;
    session->last_process = r->last_process;
    *r = (struct session_record){0};
    link_session(session);
    return session;
}

/* Which workspace it begins as; 0: an empty one. */
static uint64_t source_of(struct session_service *s, const struct session_wanted *w)
{
    if (w->snapshot != NULL)
        return snapshot_find(s, w->owner, w->snapshot)->record.workspace;
    return w->from != NULL && w->from->record.is_made ? w->from->record.workspace : 0;
}

/* A record that is complete; takes it over if it works. */
static int make(struct session_service *s, const struct session_wanted *w, struct session_record *r,
                struct session_answer *a, struct err *e)
{
    uint64_t source = source_of(s, w);
    struct session *session;

    if (source != 0 && store_workspace_number(s->store, &r->workspace, e) < 0)
        return -1;
    if (source == 0 && !w->ephemeral && store_session_add(s->store, r, e) < 0)
        return -1;
    session = session_new(s, r, w->ephemeral);
    if (session == NULL) {
        if (r->number != 0)
            store_session_remove(s->store, r->number, NULL);
        return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
    }
    session_ref(session);
    a->session = session;
    if (source != 0 && session_fill(session, source, a, e) < 0) {
        session_delete(session, NULL, NULL);
        session_unref(session);
        return -1;
    }
    if (source == 0)
        session_answer(s, a, NULL);
    return 0;
}

static void tell_made(struct session_answer *a)
{
    struct err e;

    if (a->e.code == ERR_NONE && a->session->is_deleted)
        err_set(&a->e, ERR_NOT_FOUND, 0, "session '%.128s' was deleted", a->session->record.id);
    e = a->e;
    a->made(a->data, e.code == ERR_NONE ? a->session : NULL, e.code == ERR_NONE ? NULL : &e);
}

int session_create(struct session_service *s, const struct session_wanted *w, session_made *done,
                   void *data, struct err *e)
{
    struct session_record r = {0};
    struct session_answer *a = session_answer_create(NULL, data, e);

    if (a == NULL)
        return -1;
    a->made = done;
    a->tell = tell_made;
    if (session_wanted_record(s, w, &r, e) < 0 || has_room(s, &r, w->ephemeral, e) < 0 ||
        make(s, w, &r, a, e) < 0) {
        session_record_finish(&r);
        free(a);
        return -1;
    }
    log_event(LOG_INFO, "session.created", LOG_STR("session", a->session->record.id),
              LOG_STR("environment", a->session->record.environment),
              LOG_BOOL("ephemeral", w->ephemeral),
              LOG_INT("bytes", (int64_t)a->session->record.bytes));
    return 0;
}

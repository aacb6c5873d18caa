/* session_copy: workspaces that begin as copies: snapshots, forks, restored sessions.
 *
 * Runs in the server, on the loop.  A copy gets a new number; it is written down when it is
 * complete, so that a crash leaves an image that no record names and nothing half-made. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/log.h"
#include "service/session_internal.h"

#define DROP_TRIES 500 /* of 20 ms: a sandbox on its way out may hold its workspace so long */

/* -- images that are not needed any more ------------------------------------------------------- */

struct workspace_removal {
    struct session_service *service;
    struct workspace_removal *next;
    uint64_t workspace;
    void (*done)(void *data);
    void *data;
    unsigned tries;
    bool waits;
};

/* What cannot be removed, or forgotten, the next start finds again. */
static void forget_number(struct session_service *s, uint64_t workspace)
{
    struct err e = {0};

    if (store_workspace_forget(s->store, workspace, &e) < 0)
        log_event(LOG_WARNING, "workspace.not_forgotten", LOG_INT("workspace", (int64_t)workspace),
                  LOG_STR("reason", e.text));
}

static void end_removal(struct workspace_removal *r)
{
    struct workspace_removal **at = &r->service->removals;

    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    if (r->done != NULL)
        r->done(r->data);
    free(r);
}

static void on_removed(void *data, uint64_t value, const struct err *e)
{
    struct workspace_removal *r = data;

    if (e != NULL && e->errnum == EBUSY && ++r->tries < DROP_TRIES) {
        r->waits = true;
        session_retry_soon(r->service);
        return;
    }
    if (e != NULL)
        log_event(LOG_WARNING, "workspace.not_removed", LOG_INT("workspace", (int64_t)r->workspace),
                  LOG_STR("reason", e->text));
    else
        forget_number(r->service, r->workspace);
    end_removal(r);
}

static void try_removal(struct workspace_removal *r)
{
    r->waits = false;
    if (workspace_remove(r->service->config.engine, r->workspace, on_removed, r) == 0)
        return;
    r->waits = true;
    session_retry_soon(r->service);
}

void workspace_drop(struct session_service *s, uint64_t workspace, void (*done)(void *data),
                    void *data)
{
    struct workspace_removal *r = calloc(1, sizeof *r);

    if (r == NULL) { /* the next start finds it */
        if (done != NULL)
            done(data);
        return;
    }
    *r = (struct workspace_removal){
        .service = s, .next = s->removals, .workspace = workspace, .done = done, .data = data};
    s->removals = r;
    try_removal(r);
}

void workspace_drops_retry(struct session_service *s)
{
    for (struct workspace_removal *r = s->removals; r != NULL; r = r->next) {
        if (r->waits)
            try_removal(r);
    }
}

void workspace_drops_destroy(struct session_service *s)
{
    struct workspace_removal *next;

    for (struct workspace_removal *r = s->removals; r != NULL; r = next) {
        next = r->next;
        free(r);
    }
    s->removals = NULL;
}

/* -- copies ------------------------------------------------------------------------------------ */

struct session_copy {
    struct session *session; /* held */
    struct session_answer *answer;
    struct session_visit *visit;
    struct snapshot_record record; /* of a snapshot to be; restoring: the one it becomes */
    uint64_t to, disk_bytes;
};

static struct session_copy *new_copy(struct session *session, struct session_answer *a,
                                     struct err *e)
{
    struct session_copy *copy = calloc(1, sizeof *copy);

    if (copy == NULL) {
        err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
        return NULL;
    }
    copy->session = session;
    copy->answer = a;
    session_ref(session);
    return copy;
}

static void free_copy(struct session_copy *copy)
{
    session_unref(copy->session);
    snapshot_record_finish(&copy->record);
    free(copy);
}

static int start_copy(struct session_copy *copy, uint64_t from, workspace_done *done, struct err *e)
{
    struct engine *en = copy->session->service->config.engine;

    return workspace_copy(en, from, copy->to, done, copy) == 0
               ? 0
               : err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
}

/* -- a new session ----------------------------------------------------------------------------- */

static void on_filled(void *data, uint64_t value, const struct err *e)
{
    struct session_copy *copy = data;
    struct session *session = copy->session;
    struct err why = {0};

    session->is_busy = false;
    if (e != NULL) {
        why = *e;
    } else if (!session->is_deleted) {
        session->record.is_made = true;
        session_set_disk(session, value);
        store_session_add(session->service->store, &session->record, &why);
    }
    session_answer(session->service, copy->answer, why.code != ERR_NONE ? &why : NULL);
    if (session->is_deleted)
        session_end(session);
    else if (why.code != ERR_NONE)
        session_delete(session, NULL, NULL);
    else
        session_advance(session);
    free_copy(copy);
}

int session_fill(struct session *session, uint64_t from, struct session_answer *a, struct err *e)
{
    struct session_copy *copy = new_copy(session, a, e);

    if (copy == NULL)
        return -1;
    copy->to = session->record.workspace;
    if (start_copy(copy, from, on_filled, e) < 0) {
        free_copy(copy);
        return -1;
    }
    session->is_busy = true;
    return 0;
}

/* -- the list of snapshots --------------------------------------------------------------------- */

struct snapshot *snapshot_find(struct session_service *s, const char *owner, const char *id)
{
    struct snapshot *one = s->snapshots;

    while (one != NULL &&
           (strcmp(one->record.id, id) != 0 || strcmp(one->record.owner, owner) != 0))
        one = one->next;
    return one;
}

/* Takes over what the record owns. */
static int add_snapshot(struct session_service *s, struct snapshot_record *r)
{
    struct snapshot *one = calloc(1, sizeof *one);

    if (one == NULL)
        return -1;
    one->record = *r;
    *r = (struct snapshot_record){0};
    *s->snapshots_end = one;
    s->snapshots_end = &one->next;
    s->nsnapshots++;
    s->disk_bytes += one->record.disk_bytes;
    return 0;
}

static int load(void *data, const struct snapshot_record *r)
{
    struct snapshot_record copy = *r;

    copy.id = strdup(r->id);
    copy.owner = strdup(r->owner);
    copy.session = strdup(r->session);
    copy.name = strdup(r->name);
    copy.environment = strdup(r->environment);
    if (copy.id != NULL && copy.owner != NULL && copy.session != NULL && copy.name != NULL &&
        copy.environment != NULL && add_snapshot(data, &copy) == 0)
        return 0;
    snapshot_record_finish(&copy);
    ((struct session_service *)data)->is_incomplete = true;
    return 1;
}

int snapshots_load(struct session_service *s, struct err *e)
{
    if (store_snapshots(s->store, load, s, e) < 0)
        return -1;
    return s->is_incomplete ? err_set(e, ERR_UNAVAILABLE, 0, "out of memory") : 0;
}

void snapshots_destroy(struct session_service *s)
{
    struct snapshot *next;

    for (struct snapshot *one = s->snapshots; one != NULL; one = next) {
        next = one->next;
        snapshot_record_finish(&one->record);
        free(one);
    }
    s->snapshots = NULL;
}

static struct snapshot_view view_of(const struct snapshot *one)
{
    const struct snapshot_record *r = &one->record;

    return (struct snapshot_view){.id = r->id,
                                  .session = r->session,
                                  .name = r->name,
                                  .bytes = r->bytes,
                                  .disk_bytes = r->disk_bytes,
                                  .created_ms = r->created_ms};
}

int snapshot_list(struct session_service *s, const char *owner, const char *session,
                  int (*each)(void *data, const struct snapshot_view *v), void *data, struct err *e)
{
    for (const struct snapshot *one = s->snapshots; one != NULL; one = one->next) {
        struct snapshot_view v = view_of(one);

        if (strcmp(one->record.owner, owner) == 0 &&
            (session == NULL || strcmp(one->record.session, session) == 0) && each(data, &v) != 0)
            break;
    }
    return 0;
}

int snapshot_remove(struct session_service *s, const char *owner, const char *id, struct err *e)
{
    struct snapshot *one = snapshot_find(s, owner, id), **at = &s->snapshots;

    if (one == NULL)
        return err_set(e, ERR_NOT_FOUND, 0, "snapshot '%.128s' does not exist", id);
    if (store_snapshot_remove(s->store, id, e) < 0)
        return -1;
    while (*at != one)
        at = &(*at)->next;
    *at = one->next;
    if (one->next == NULL)
        s->snapshots_end = at;
    s->nsnapshots--;
    s->disk_bytes -= one->record.disk_bytes;
    workspace_drop(s, one->record.workspace, NULL, NULL);
    snapshot_record_finish(&one->record);
    free(one);
    return 0;
}

/* -- making one -------------------------------------------------------------------------------- */

static void tell_snapshot(struct session_answer *a)
{
    struct session *session = a->session;
    const struct snapshot *one =
        a->e.code == ERR_NONE
            ? snapshot_find(session->service, session->record.owner, a->snapshot_id)
            : NULL;
    struct snapshot_view v;
    struct err e = a->e;

    if (one != NULL) {
        v = view_of(one);
        a->snapshot(a->data, &v, NULL);
        return;
    }
    if (e.code == ERR_NONE)
        err_set(&e, ERR_NOT_FOUND, 0, "the snapshot was deleted");
    a->snapshot(a->data, NULL, &e);
}

static void end_snapshot(struct session_copy *copy, const struct err *e)
{
    session_answer(copy->session->service, copy->answer, e);
    copy->session->nsnapshots--;
    if (copy->visit != NULL)
        session_left(copy->visit);
    free_copy(copy);
}

static void on_copied(void *data, uint64_t value, const struct err *e)
{
    struct session_copy *copy = data;
    struct session_service *s = copy->session->service;
    struct err why = {0};

    if (e != NULL) {
        end_snapshot(copy, e);
        return;
    }
    copy->record.disk_bytes = value;
    if (store_snapshot_add(s->store, &copy->record, &why) == 0 &&
        add_snapshot(s, &copy->record) == 0) {
        end_snapshot(copy, NULL);
        return;
    }
    if (why.code == ERR_NONE) {
        store_snapshot_remove(s->store, copy->record.id, NULL);
        err_set(&why, ERR_UNAVAILABLE, 0, "out of memory");
    }
    workspace_drop(s, copy->to, NULL, NULL);
    end_snapshot(copy, &why);
}

static void on_entered(void *data, struct session *session, struct live *live, const struct err *e)
{
    struct session_copy *copy = data;
    struct err why = {0};

    if (live == NULL) {
        copy->visit = NULL;
        end_snapshot(copy, e);
    } else if (start_copy(copy, session->record.workspace, on_copied, &why) < 0) {
        end_snapshot(copy, &why);
    }
}

/* Whether a copy may be made of, or into, this session. */
static int may_copy(const struct session *session, struct err *e)
{
    if (session->is_deleted)
        return err_set(e, ERR_NOT_FOUND, 0, "session '%.128s' was deleted", session->record.id);
    if (session->ephemeral)
        return err_set(e, ERR_INVALID, 0,
                       "session '%.128s' lives in memory: its workspace cannot be copied",
                       session->record.id);
    if (session->is_busy)
        return err_set(e, ERR_EXISTS, 0, "session '%.128s' is being copied or restored",
                       session->record.id);
    return session_has_disk(session->service, e);
}

static int fill_record(struct session_copy *copy, const char *name, struct err *e)
{
    struct session *session = copy->session;
    const struct session_record *from = &session->record;
    struct snapshot_record *r = &copy->record;
    char id[33];
    uint32_t count = session->nsnapshots;

    for (const struct snapshot *one = session->service->snapshots; one != NULL; one = one->next)
        count += strcmp(one->record.session, from->id) == 0 &&
                 strcmp(one->record.owner, from->owner) == 0;
    if (count >= LIMIT_SNAPSHOTS)
        return err_set(e, ERR_LIMIT, 0, "session '%.128s' has %u snapshots already", from->id,
                       count);
    if (session_random_id(id, e) < 0)
        return -1;
    *r = (struct snapshot_record){.id = strdup(id),
                                  .owner = strdup(from->owner),
                                  .session = strdup(from->id),
                                  .name = strdup(name != NULL ? name : ""),
                                  .environment = strdup(from->environment),
                                  .bytes = from->bytes,
                                  .first_bytes = from->first_bytes,
                                  .created_ms = session_now_ms(session->service)};
    if (r->id == NULL || r->owner == NULL || r->session == NULL || r->name == NULL ||
        r->environment == NULL)
        return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
    memcpy(copy->answer->snapshot_id, id, sizeof id);
    if (store_workspace_number(session->service->store, &copy->to, e) < 0)
        return -1;
    r->workspace = copy->to;
    return 0;
}

/* One that has never been awake has no image yet: entering makes it. */
static int begin_snapshot(struct session_copy *copy, struct err *e)
{
    struct session *session = copy->session;

    if (session->record.is_made)
        return start_copy(copy, session->record.workspace, on_copied, e);
    copy->visit = session_enter(session, on_entered, copy, e);
    return copy->visit != NULL ? 0 : -1;
}

void snapshot_create(struct session *session, const char *name, snapshot_made *done, void *data)
{
    struct err e = {0};
    struct session_answer *a = session_answer_create(session, data, &e);
    struct session_copy *copy;

    if (a == NULL) {
        done(data, NULL, &e); /* without memory for more */
        return;
    }
    a->snapshot = done;
    a->tell = tell_snapshot;
    copy = may_copy(session, &e) == 0 ? new_copy(session, a, &e) : NULL;
    if (copy != NULL && fill_record(copy, name, &e) == 0 && begin_snapshot(copy, &e) == 0) {
        session->nsnapshots++;
        return;
    }
    session_answer(session->service, a, &e);
    if (copy != NULL)
        free_copy(copy);
}

/* -- restoring --------------------------------------------------------------------------------- */

static void end_restore(struct session_copy *copy, const struct err *e)
{
    struct session *session = copy->session;

    session->is_busy = false;
    session->restore = NULL;
    session_answer(session->service, copy->answer, e);
    if (session->is_deleted)
        session_end(session);
    else
        session_advance(session);
    free_copy(copy);
}

/* The session is asleep and its new workspace complete. */
static void switch_workspace(struct session *session)
{
    struct session_copy *copy = session->restore;
    struct session_record *r = &session->record, before = *r;
    uint64_t most = copy->record.first_bytes * WORKSPACE_GROWTH;
    struct err e = {0};

    if (session->is_deleted) {
        err_set(&e, ERR_NOT_FOUND, 0, "session '%.128s' was deleted", r->id);
    } else {
        r->workspace = copy->to;
        r->is_made = true;
        r->first_bytes = copy->record.first_bytes;
        r->bytes = r->bytes > copy->record.bytes ? r->bytes : copy->record.bytes;
        r->bytes = r->bytes > most ? most : r->bytes;
        store_session_update(session->service->store, r, &e);
    }
    if (e.code != ERR_NONE) {
        *r = before;
        workspace_drop(session->service, copy->to, NULL, NULL);
    } else {
        session_set_disk(session, copy->disk_bytes);
        workspace_drop(session->service, before.workspace, NULL, NULL);
    }
    end_restore(copy, e.code != ERR_NONE ? &e : NULL);
}

static void on_restored(void *data, uint64_t value, const struct err *e)
{
    struct session_copy *copy = data;
    struct session *session = copy->session;

    if (e != NULL) {
        end_restore(copy, e);
        return;
    }
    copy->disk_bytes = value;
    session->on_asleep = switch_workspace;
    if (session->state != SESSION_ASLEEP)
        session_close(session);
    session_advance(session);
}

static int begin_restore(struct session *session, const char *id, struct session_answer *a,
                         struct err *e)
{
    const struct snapshot *from;
    struct session_copy *copy;

    if (may_copy(session, e) < 0)
        return -1;
    from = snapshot_find(session->service, session->record.owner, id);
    if (from == NULL)
        return err_set(e, ERR_NOT_FOUND, 0, "snapshot '%.128s' does not exist", id);
    copy = new_copy(session, a, e);
    if (copy == NULL)
        return -1;
    copy->record.bytes = from->record.bytes;
    copy->record.first_bytes = from->record.first_bytes;
    if (store_workspace_number(session->service->store, &copy->to, e) < 0 ||
        start_copy(copy, from->record.workspace, on_restored, e) < 0) {
        free_copy(copy);
        return -1;
    }
    session->is_busy = true;
    session->restore = copy;
    return 0;
}

void snapshot_restore(struct session *session, const char *id,
                      void (*done)(void *data, const struct err *e), void *data)
{
    struct session_answer *a = session_change_answer(session, done, data);
    struct err e = {0};

    if (a != NULL && begin_restore(session, id, a, &e) < 0)
        session_answer(session->service, a, &e);
}

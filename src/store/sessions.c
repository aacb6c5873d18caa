/* sessions: the records of durable sessions, and the numbers of workspaces.  Runs in the server, on
 * the loop. */
#include "store/sessions.h"

#include <stdlib.h>

#include "store/internal.h"

#define COLUMNS                                                                                    \
    "id, owner, environment, network, env, labels, workspace, is_made, bytes, first_bytes,"        \
    " disk_bytes, created_ms, used_ms, idle_s, idle_ttl_s, ttl_s, memory_mb, processes,"           \
    " cpu_milli, last_process"

/* Parameters of a write, counted from 1; columns of a read are one less. */
enum {
    AT_ID = 1,
    AT_OWNER,
    AT_ENVIRONMENT,
    AT_NETWORK,
    AT_ENV,
    AT_LABELS,
    AT_WORKSPACE,
    AT_IS_MADE,
    AT_BYTES,
    AT_FIRST_BYTES,
    AT_DISK_BYTES,
    AT_CREATED_MS,
    AT_USED_MS,
    AT_IDLE_S,
    AT_IDLE_TTL_S,
    AT_TTL_S,
    AT_MEMORY_MB,
    AT_PROCESSES,
    AT_CPU_MILLI,
    AT_LAST_PROCESS,
    AT_NUMBER,
};

static const struct {
    int at;
    size_t offset;
} texts[] = {
    {AT_ID, offsetof(struct session_record, id)},
    {AT_OWNER, offsetof(struct session_record, owner)},
    {AT_ENVIRONMENT, offsetof(struct session_record, environment)},
    {AT_NETWORK, offsetof(struct session_record, network)},
    {AT_ENV, offsetof(struct session_record, env)},
    {AT_LABELS, offsetof(struct session_record, labels)},
};

static const struct {
    int at;
    size_t offset; /* of 64 bits */
} numbers[] = {
    {AT_WORKSPACE, offsetof(struct session_record, workspace)},
    {AT_BYTES, offsetof(struct session_record, bytes)},
    {AT_FIRST_BYTES, offsetof(struct session_record, first_bytes)},
    {AT_DISK_BYTES, offsetof(struct session_record, disk_bytes)},
    {AT_CREATED_MS, offsetof(struct session_record, created_ms)},
    {AT_USED_MS, offsetof(struct session_record, used_ms)},
    {AT_IDLE_S, offsetof(struct session_record, idle_s)},
    {AT_IDLE_TTL_S, offsetof(struct session_record, idle_ttl_s)},
    {AT_TTL_S, offsetof(struct session_record, ttl_s)},
    {AT_MEMORY_MB, offsetof(struct session_record, memory_mb)},
    {AT_PROCESSES, offsetof(struct session_record, processes)},
    {AT_CPU_MILLI, offsetof(struct session_record, cpu_milli)},
    {AT_NUMBER, offsetof(struct session_record, number)},
};

#define TEXTS   (sizeof texts / sizeof texts[0])
#define NUMBERS (sizeof numbers / sizeof numbers[0])

static char **text_of(const struct session_record *r, size_t i)
{
    return (char **)((char *)r + texts[i].offset);
}

static int64_t *number_of(const struct session_record *r, size_t i)
{
    return (int64_t *)((char *)r + numbers[i].offset);
}

void session_record_finish(struct session_record *r)
{
    for (size_t i = 0; i < TEXTS; i++)
        free(*text_of(r, i));
    *r = (struct session_record){0};
}

/* `last`: the highest parameter that the statement has. */
static void bind_record(sqlite3_stmt *st, const struct session_record *r, int last)
{
    for (size_t i = 0; i < TEXTS; i++)
        store_bind_text(st, texts[i].at, *text_of(r, i));
    for (size_t i = 0; i < NUMBERS; i++) {
        if (numbers[i].at <= last)
            sqlite3_bind_int64(st, numbers[i].at, *number_of(r, i));
    }
    sqlite3_bind_int(st, AT_IS_MADE, r->is_made);
    sqlite3_bind_int64(st, AT_LAST_PROCESS, r->last_process);
}

static int insert(struct store *s, struct session_record *r, struct err *e)
{
    sqlite3_stmt *st;

    if (r->workspace == 0 && store_workspace_number(s, &r->workspace, e) < 0)
        return -1;
    st = store_statement(s, STATEMENT_SESSION_ADD,
                         "INSERT INTO sessions (" COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7,"
                         " ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)",
                         e);
    if (st == NULL)
        return -1;
    bind_record(st, r, AT_LAST_PROCESS);
    if (store_run(s, st, NULL, e) < 0)
        return -1;
    r->number = sqlite3_last_insert_rowid(s->db);
    return 0;
}

int store_session_add(struct store *s, struct session_record *r, struct err *e)
{
    uint64_t workspace = r->workspace;

    if (store_begin(s, e) < 0)
        return -1;
    if (insert(s, r, e) == 0)
        return store_commit(s, e);
    store_rollback(s);
    r->workspace = workspace;
    return -1;
}

int store_session_update(struct store *s, const struct session_record *r, struct err *e)
{
    int changed = 0;
    sqlite3_stmt *st =
        store_statement(s, STATEMENT_SESSION_UPDATE,
                        "UPDATE sessions SET (" COLUMNS ") = (id, owner, environment, ?4, ?5, ?6,"
                        " ?7, ?8, ?9, ?10, ?11, created_ms, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)"
                        " WHERE number = ?21",
                        e);

    if (st == NULL)
        return -1;
    bind_record(st, r, AT_NUMBER);
    if (store_run(s, st, &changed, e) < 0)
        return -1;
    return changed == 1 ? 0 : err_set(e, ERR_NOT_FOUND, 0, "no session '%.128s'", r->id);
}

int store_session_update_all(struct store *s, const struct session_record *const *r, size_t n,
                             struct err *e)
{
    if (store_begin(s, e) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (r[i] != NULL && store_session_update(s, r[i], e) < 0) {
            store_rollback(s);
            return -1;
        }
    }
    return store_commit(s, e);
}

int store_session_remove(struct store *s, int64_t number, struct err *e)
{
    int changed = 0;
    sqlite3_stmt *st =
        store_statement(s, STATEMENT_SESSION_REMOVE, "DELETE FROM sessions WHERE number = ?1", e);

    if (st == NULL)
        return -1;
    sqlite3_bind_int64(st, 1, number);
    if (store_run(s, st, &changed, e) < 0)
        return -1;
    return changed == 1 ? 0 : err_set(e, ERR_NOT_FOUND, 0, "no session %lld", (long long)number);
}

static int read_record(sqlite3_stmt *st, struct session_record *r, struct err *e)
{
    bool failed = false;

    *r = (struct session_record){0};
    for (size_t i = 0; i < TEXTS; i++)
        *text_of(r, i) = store_column_text(st, texts[i].at - 1, &failed);
    for (size_t i = 0; i < NUMBERS; i++)
        *number_of(r, i) = sqlite3_column_int64(st, numbers[i].at - 1);
    r->is_made = sqlite3_column_int(st, AT_IS_MADE - 1) != 0;
    r->last_process = (uint32_t)sqlite3_column_int64(st, AT_LAST_PROCESS - 1);
    if (!failed)
        return 0;
    session_record_finish(r);
    return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
}

int store_sessions(struct store *s, int (*each)(void *data, const struct session_record *r),
                   void *data, struct err *e)
{
    sqlite3_stmt *st = store_statement(
        s, STATEMENT_SESSIONS, "SELECT " COLUMNS ", number FROM sessions ORDER BY number", e);
    int more = st != NULL ? store_step(s, st, e) : -1;

    while (more == 1) {
        struct session_record r;
        int stop;

        if (read_record(st, &r, e) < 0) {
            sqlite3_reset(st);
            return -1;
        }
        stop = each(data, &r);
        session_record_finish(&r);
        if (stop != 0) {
            sqlite3_reset(st);
            return 0;
        }
        more = store_step(s, st, e);
    }
    return more;
}

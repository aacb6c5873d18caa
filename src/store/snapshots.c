/* snapshots: the records of snapshots of workspaces.  Runs in the server, on the loop. */
#include <stdlib.h>

#include "store/internal.h"
#include "store/sessions.h"

#define COLUMNS                                                                                    \
    "id, owner, session, name, environment, workspace, bytes, first_bytes, disk_bytes, created_ms"

enum {
    AT_ID,
    AT_OWNER,
    AT_SESSION,
    AT_NAME,
    AT_ENVIRONMENT,
    AT_WORKSPACE,
    AT_BYTES,
    AT_FIRST_BYTES,
    AT_DISK_BYTES,
    AT_CREATED_MS
};

void snapshot_record_finish(struct snapshot_record *r)
{
    free(r->id);
    free(r->owner);
    free(r->session);
    free(r->name);
    free(r->environment);
    *r = (struct snapshot_record){0};
}

int store_snapshot_add(struct store *s, const struct snapshot_record *r, struct err *e)
{
    sqlite3_stmt *st = store_statement(s, STATEMENT_SNAPSHOT_ADD,
                                       "INSERT INTO snapshots (" COLUMNS ") VALUES (?1, ?2, ?3, ?4,"
                                       " ?5, ?6, ?7, ?8, ?9, ?10)",
                                       e);

    if (st == NULL)
        return -1;
    store_bind_text(st, AT_ID + 1, r->id);
    store_bind_text(st, AT_OWNER + 1, r->owner);
    store_bind_text(st, AT_SESSION + 1, r->session);
    store_bind_text(st, AT_NAME + 1, r->name);
    store_bind_text(st, AT_ENVIRONMENT + 1, r->environment);
    sqlite3_bind_int64(st, AT_WORKSPACE + 1, (int64_t)r->workspace);
    sqlite3_bind_int64(st, AT_BYTES + 1, (int64_t)r->bytes);
    sqlite3_bind_int64(st, AT_FIRST_BYTES + 1, (int64_t)r->first_bytes);
    sqlite3_bind_int64(st, AT_DISK_BYTES + 1, (int64_t)r->disk_bytes);
    sqlite3_bind_int64(st, AT_CREATED_MS + 1, r->created_ms);
    return store_run(s, st, NULL, e);
}

int store_snapshot_remove(struct store *s, const char *id, struct err *e)
{
    int changed = 0;
    sqlite3_stmt *st =
        store_statement(s, STATEMENT_SNAPSHOT_REMOVE, "DELETE FROM snapshots WHERE id = ?1", e);

    if (st == NULL)
        return -1;
    store_bind_text(st, 1, id);
    if (store_run(s, st, &changed, e) < 0)
        return -1;
    return changed == 1 ? 0 : err_set(e, ERR_NOT_FOUND, 0, "no snapshot '%.128s'", id);
}

static int read_record(sqlite3_stmt *st, struct snapshot_record *ret, struct err *e)
{
    bool failed = false;

    *ret = (struct snapshot_record){
        .id = store_column_text(st, AT_ID, &failed),
        .owner = store_column_text(st, AT_OWNER, &failed),
        .session = store_column_text(st, AT_SESSION, &failed),
        .name = store_column_text(st, AT_NAME, &failed),
        .environment = store_column_text(st, AT_ENVIRONMENT, &failed),
        .workspace = (uint64_t)sqlite3_column_int64(st, AT_WORKSPACE),
        .bytes = (uint64_t)sqlite3_column_int64(st, AT_BYTES),
        .first_bytes = (uint64_t)sqlite3_column_int64(st, AT_FIRST_BYTES),
        .disk_bytes = (uint64_t)sqlite3_column_int64(st, AT_DISK_BYTES),
        .created_ms = sqlite3_column_int64(st, AT_CREATED_MS),
    };
    if (!failed)
        return 0;
    snapshot_record_finish(ret);
    return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
}

int store_snapshots(struct store *s, int (*each)(void *data, const struct snapshot_record *r),
                    void *data, struct err *e)
{
    sqlite3_stmt *st = store_statement(s, STATEMENT_SNAPSHOTS,
                                       "SELECT " COLUMNS " FROM snapshots ORDER BY number", e);
    int more = st != NULL ? store_step(s, st, e) : -1;

    while (more == 1) {
        struct snapshot_record r;
        int stop;

        if (read_record(st, &r, e) < 0) {
            sqlite3_reset(st);
            return -1;
        }
        stop = each(data, &r);
        snapshot_record_finish(&r);
        if (stop != 0) {
            sqlite3_reset(st);
            return 0;
        }
        more = store_step(s, st, e);
    }
    return more;
}

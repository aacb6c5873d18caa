/* workspaces: which numbers of workspaces have been given out, and not come back.
 *
 * Runs in the server.  A row is there from when a number is given out until the image of that name
 * is gone, so that what a crash leaves can be told from what this database did not make. */
#include "store/internal.h"
#include "store/sessions.h"

int store_workspace_number(struct store *s, uint64_t *ret, struct err *e)
{
    sqlite3_stmt *st =
        store_statement(s, STATEMENT_WORKSPACE_ADD, "INSERT INTO workspaces DEFAULT VALUES", e);

    if (st == NULL || store_run(s, st, NULL, e) < 0)
        return -1;
    *ret = (uint64_t)sqlite3_last_insert_rowid(s->db);
    return 0;
}

int store_workspace_forget(struct store *s, uint64_t number, struct err *e)
{
    sqlite3_stmt *st =
        store_statement(s, STATEMENT_WORKSPACE_REMOVE, "DELETE FROM workspaces WHERE id = ?1", e);

    if (st == NULL)
        return -1;
    sqlite3_bind_int64(st, 1, (int64_t)number);
    return store_run(s, st, NULL, e);
}

/* AUTOINCREMENT goes on from the highest number that was ever inserted.  Within a transaction. */
static int raise_sequence(struct store *s, uint64_t highest, struct err *e)
{
    int changed = 0;
    sqlite3_stmt *st =
        store_statement(s, STATEMENT_WORKSPACES_ABOVE,
                        "INSERT INTO workspaces (id) SELECT ?1 WHERE NOT EXISTS"
                        " (SELECT 1 FROM sqlite_sequence WHERE name = 'workspaces' AND seq >= ?1)",
                        e);

    if (st == NULL)
        return -1;
    sqlite3_bind_int64(st, 1, (int64_t)highest);
    if (store_run(s, st, &changed, e) < 0)
        return -1;
    return changed == 0 ? 0 : store_workspace_forget(s, highest, e);
}

int store_workspaces_above(struct store *s, uint64_t highest, struct err *e)
{
    if (store_begin(s, e) < 0)
        return -1;
    if (raise_sequence(s, highest, e) == 0)
        return store_commit(s, e);
    store_rollback(s);
    return -1;
}

int store_workspaces_unnamed(struct store *s, int (*each)(void *data, uint64_t number), void *data,
                             struct err *e)
{
    sqlite3_stmt *st =
        store_statement(s, STATEMENT_WORKSPACES_UNNAMED,
                        "SELECT id FROM workspaces WHERE id NOT IN (SELECT workspace FROM sessions)"
                        " AND id NOT IN (SELECT workspace FROM snapshots) ORDER BY id",
                        e);
    int more = st != NULL ? store_step(s, st, e) : -1;

    while (more == 1) {
        if (each(data, (uint64_t)sqlite3_column_int64(st, 0)) != 0) {
            sqlite3_reset(st);
            return 0;
        }
        more = store_step(s, st, e);
    }
    return more;
}

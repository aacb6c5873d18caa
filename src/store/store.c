/* store: opens the database, and what all statements have in common.
 *
 * Runs in the server, on the loop, after the server has locked itself in: a database that a
 * taken-over server has prepared is never read by root.  Trusts nobody's file: one that is damaged
 * or not ours is refused, never repaired or replaced. */
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

#define FILE_NAME "dunlin.db"
#define BUSY_MS   1000 /* an operator's own sqlite3 may hold the lock for so long */
#define PATH_SIZE 4096

/* Temporary tables live in memory: the server may make no file outside its directory.  The rest is
 * hardening: a schema that somebody has prepared can call nothing and read nothing else. */
static const char settings_sql[] = "PRAGMA journal_mode = WAL;"
                                   "PRAGMA synchronous = NORMAL;"
                                   "PRAGMA foreign_keys = ON;"
                                   "PRAGMA temp_store = MEMORY;"
                                   "PRAGMA cell_size_check = ON;"
                                   "PRAGMA trusted_schema = OFF;"
                                   "PRAGMA wal_autocheckpoint = 96;"; /* pages: see keep_room() */

/* Half a megabyte that is written and given up again. */
static const char room_sql[] = "CREATE TABLE IF NOT EXISTS room (bytes BLOB);"
                               "INSERT INTO room VALUES (zeroblob(524288));"
                               "DROP TABLE room;"
                               "PRAGMA wal_checkpoint(RESTART);";

int store_error(struct store *s, struct err *e)
{
    int code = sqlite3_extended_errcode(s->db);
    const char *text = sqlite3_errmsg(s->db);

    switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
        if (code == SQLITE_CONSTRAINT_UNIQUE)
            return err_set(e, ERR_EXISTS, 0, "the name is taken");
        return err_set(e, ERR_INTERNAL, 0, "database: %s", text);
    case SQLITE_FULL:
        return err_set(e, ERR_UNAVAILABLE, 0, "database: the disk is full");
    case SQLITE_IOERR:
    case SQLITE_BUSY:
    case SQLITE_NOMEM:
        return err_set(e, ERR_UNAVAILABLE, 0, "database: %s", text);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return err_set(e, ERR_INTERNAL, 0,
                       "the database " FILE_NAME " is damaged (%s): restore it from a backup, or "
                       "move it away to start with nothing",
                       text);
    default:
        return err_set(e, ERR_INTERNAL, 0, "database: %s", text);
    }
}

static int end_stale(struct store *s, struct err *e)
{
    if (s->is_within)
        return 0;
    store_rollback(s);
    return sqlite3_get_autocommit(s->db) ? 0 : store_error(s, e);
}

sqlite3_stmt *store_statement(struct store *s, enum statement which, const char *sql, struct err *e)
{
    sqlite3_stmt **st = &s->statements[which];

    if (end_stale(s, e) < 0)
        return NULL;
    if (*st != NULL) {
        sqlite3_reset(*st);
        sqlite3_clear_bindings(*st);
    } else if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, st, NULL) !=
               SQLITE_OK) {
        store_error(s, e);
        return NULL;
    }
    return *st;
}

int store_step(struct store *s, sqlite3_stmt *st, struct err *e)
{
    int r = sqlite3_step(st);

    if (r == SQLITE_ROW)
        return 1;
    if (r != SQLITE_DONE)
        store_error(s, e);
    sqlite3_reset(st);
    return r == SQLITE_DONE ? 0 : -1;
}

int store_run(struct store *s, sqlite3_stmt *st, int *ret_changed, struct err *e)
{
    int r;

    while ((r = store_step(s, st, e)) == 1)
        ;
    if (r == 0 && ret_changed != NULL)
        *ret_changed = sqlite3_changes(s->db);
    return r;
}

static int run_sql(struct store *s, const char *sql, struct err *e)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : store_error(s, e);
}

int store_begin(struct store *s, struct err *e)
{
    if (end_stale(s, e) < 0 || run_sql(s, "BEGIN IMMEDIATE", e) < 0)
        return -1;
    s->is_within = true;
    return 0;
}

int store_commit(struct store *s, struct err *e)
{
    s->is_within = false;
    if (run_sql(s, "COMMIT", e) == 0)
        return 0;
    store_rollback(s);
    return -1;
}

void store_rollback(struct store *s)
{
    s->is_within = false;
    /* Some errors (a full disk) have rolled back already. */
    if (!sqlite3_get_autocommit(s->db))
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

void store_bind_text(sqlite3_stmt *st, int at, const char *text)
{
    sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
}

void store_bind_reference(sqlite3_stmt *st, int at, uint64_t id)
{
    if (id != 0)
        sqlite3_bind_int64(st, at, (int64_t)id);
    else
        sqlite3_bind_null(st, at);
}

char *store_column_text(sqlite3_stmt *st, int at, bool *failed)
{
    const char *text = (const char *)sqlite3_column_text(st, at);
    char *copy;

    if (text == NULL) {
        /* SQLite copies what it has not ended with NUL, and may find no memory for that. */
        *failed |= sqlite3_column_type(st, at) != SQLITE_NULL;
        return NULL;
    }
    copy = strdup(text);
    if (copy == NULL)
        *failed = true;
    return copy;
}

static int check(struct store *s, struct err *e)
{
    sqlite3_stmt *st = NULL;
    const char *found;
    int r = -1;

    if (sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &st, NULL) != SQLITE_OK ||
        sqlite3_step(st) != SQLITE_ROW)
        store_error(s, e);
    else if ((found = (const char *)sqlite3_column_text(st, 0)) == NULL)
        err_set(e, ERR_UNAVAILABLE, 0, "check the database: out of memory");
    else if (strcmp(found, "ok") != 0)
        err_set(e, ERR_INTERNAL, 0,
                "the database " FILE_NAME " is damaged (%.100s): restore it from a backup, or move "
                "it away to start with nothing",
                found);
    else
        r = 0;
    sqlite3_finalize(st);
    return r;
}

/* Who deletes makes room on a full disk, so that must be possible there.  The log is overwritten
 * from its beginning after each checkpoint and keeps its size: it is made large enough here, once,
 * for all that is written between two checkpoints.  Without room for that now, nothing is lost. */
static void keep_room(struct store *s)
{
    if (sqlite3_exec(s->db, room_sql, NULL, NULL, NULL) != SQLITE_OK)
        store_rollback(s);
}

static int prepare(struct store *s, struct err *e)
{
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_timeout(s->db, BUSY_MS);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (check(s, e) < 0 || run_sql(s, settings_sql, e) < 0 || store_migrate(s, e) < 0)
        return -1;
    keep_room(s);
    return 0;
}

struct store *store_open(const char *dir, struct err *e)
{
    char path[PATH_SIZE];
    struct store *s = NULL;

    if (snprintf(path, sizeof path, "%s/" FILE_NAME, dir) >= (int)sizeof path) {
        err_set(e, ERR_INVALID, 0, "the path of the database is too long");
        return NULL;
    }
    if (store_vfs_register(e) < 0)
        return NULL;
    s = calloc(1, sizeof *s);
    if (s == NULL) {
        err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
        return NULL;
    }
    if (sqlite3_open_v2(path, &s->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                            SQLITE_OPEN_NOFOLLOW,
                        STORE_VFS) != SQLITE_OK) {
        err_set(e, ERR_UNAVAILABLE, 0, "open %.150s: %s", path,
                s->db != NULL ? sqlite3_errmsg(s->db) : "out of memory");
        store_close(s);
        return NULL;
    }
    if (prepare(s, e) < 0) {
        store_close(s);
        return NULL;
    }
    return s;
}

void store_close(struct store *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(s->statements[i]);
    sqlite3_close(s->db);
    free(s);
}

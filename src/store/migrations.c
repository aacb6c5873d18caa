/* migrations: the schema, as the steps that led to it.
 *
 * A step that has been released is never changed; a new version of the schema is a new step at the
 * end.  PRAGMA user_version says how many a database has behind it. */
#include <stdio.h>

#include "store/internal.h"

#define APPLICATION 0x44756e6c /* "Dunl": tells our files from other databases */

/* Numbers are not used again (AUTOINCREMENT): those of layers and workspaces are file names. */
static const char *const steps[] = {
    "CREATE TABLE layers ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  kind INTEGER NOT NULL,"
    "  ready INTEGER NOT NULL,"
    "  key TEXT NOT NULL,"
    "  parent INTEGER REFERENCES layers (id),"
    "  bytes INTEGER NOT NULL,"
    "  created_at TEXT NOT NULL,"
    "  python TEXT NOT NULL,"
    "  packages TEXT"
    ") STRICT;"
    "CREATE INDEX layers_by_key ON layers (key);"
    "CREATE INDEX layers_by_parent ON layers (parent);"
    "CREATE TABLE environments ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  name TEXT NOT NULL UNIQUE,"
    "  description TEXT NOT NULL,"
    "  base_image TEXT NOT NULL,"
    "  python_version TEXT NOT NULL,"
    "  setup_script TEXT NOT NULL,"
    "  warm TEXT,"
    "  learned TEXT NOT NULL,"
    "  network TEXT NOT NULL,"
    "  build_network TEXT NOT NULL,"
    "  status INTEGER NOT NULL,"
    "  error TEXT NOT NULL,"
    "  created_at TEXT NOT NULL,"
    "  built_at TEXT,"
    "  last_used TEXT,"
    "  memory_mb INTEGER NOT NULL,"
    "  processes INTEGER NOT NULL,"
    "  workspace_mb INTEGER NOT NULL,"
    "  cpu_milli INTEGER NOT NULL,"
    "  timeout_s INTEGER NOT NULL,"
    "  base TEXT NOT NULL,"
    "  digest TEXT NOT NULL,"
    "  actual_python TEXT NOT NULL,"
    "  packages TEXT,"
    "  layer INTEGER REFERENCES layers (id),"
    "  base_layer INTEGER REFERENCES layers (id),"
    "  bytes INTEGER NOT NULL,"
    "  build_seconds REAL NOT NULL"
    ") STRICT;"
    "CREATE INDEX environments_by_layer ON environments (layer);"
    "CREATE INDEX environments_by_base ON environments (base_layer);"
    "CREATE TABLE images ("
    "  name TEXT PRIMARY KEY,"
    "  source TEXT NOT NULL,"
    "  digest TEXT NOT NULL,"
    "  python_version TEXT NOT NULL,"
    "  layer INTEGER NOT NULL REFERENCES layers (id),"
    "  bytes INTEGER NOT NULL,"
    "  created_at TEXT NOT NULL,"
    "  last_used TEXT"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX images_by_layer ON images (layer);",
    /* Workspaces: the numbers that have been given out, until their images are gone. */
    "CREATE TABLE workspaces (id INTEGER PRIMARY KEY AUTOINCREMENT) STRICT;"
    "CREATE TABLE sessions ("
    "  number INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  id TEXT NOT NULL,"
    "  owner TEXT NOT NULL,"
    "  environment TEXT NOT NULL,"
    "  network TEXT NOT NULL,"
    "  env TEXT NOT NULL,"
    "  labels TEXT NOT NULL,"
    "  workspace INTEGER NOT NULL UNIQUE,"
    "  is_made INTEGER NOT NULL,"
    "  bytes INTEGER NOT NULL,"
    "  first_bytes INTEGER NOT NULL,"
    "  disk_bytes INTEGER NOT NULL,"
    "  created_ms INTEGER NOT NULL,"
    "  used_ms INTEGER NOT NULL,"
    "  idle_s INTEGER NOT NULL,"
    "  idle_ttl_s INTEGER NOT NULL,"
    "  ttl_s INTEGER NOT NULL,"
    "  memory_mb INTEGER NOT NULL,"
    "  processes INTEGER NOT NULL,"
    "  cpu_milli INTEGER NOT NULL,"
    "  last_process INTEGER NOT NULL,"
    "  UNIQUE (owner, id)"
    ") STRICT;"
    "CREATE TABLE snapshots ("
    "  number INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  id TEXT NOT NULL UNIQUE,"
    "  owner TEXT NOT NULL,"
    "  session TEXT NOT NULL,"
    "  name TEXT NOT NULL,"
    "  environment TEXT NOT NULL,"
    "  workspace INTEGER NOT NULL UNIQUE,"
    "  bytes INTEGER NOT NULL,"
    "  first_bytes INTEGER NOT NULL,"
    "  disk_bytes INTEGER NOT NULL,"
    "  created_ms INTEGER NOT NULL"
    ") STRICT;",
};

#define STEPS ((int)(sizeof steps / sizeof steps[0]))

static int read_number(struct store *s, const char *sql, int64_t *ret, struct err *e)
{
    sqlite3_stmt *st = NULL;
    int r = -1;

    if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK ||
        sqlite3_step(st) != SQLITE_ROW) {
        store_error(s, e);
    } else {
        *ret = sqlite3_column_int64(st, 0);
        r = 0;
    }
    sqlite3_finalize(st);
    return r;
}

static int take_steps(struct store *s, int done, struct err *e)
{
    char mark[96];

    for (int i = done; i < STEPS; i++) {
        if (sqlite3_exec(s->db, steps[i], NULL, NULL, NULL) != SQLITE_OK)
            return store_error(s, e);
    }
    snprintf(mark, sizeof mark, "PRAGMA application_id = %d; PRAGMA user_version = %d;",
             APPLICATION, STEPS);
    return sqlite3_exec(s->db, mark, NULL, NULL, NULL) == SQLITE_OK ? 0 : store_error(s, e);
}

int store_migrate(struct store *s, struct err *e)
{
    int64_t application, version, tables;

    if (read_number(s, "PRAGMA application_id", &application, e) < 0 ||
        read_number(s, "PRAGMA user_version", &version, e) < 0 ||
        read_number(s, "SELECT count(*) FROM sqlite_schema", &tables, e) < 0)
        return -1;
    if (application != APPLICATION && (application != 0 || version != 0 || tables != 0))
        return err_set(e, ERR_INVALID, 0, "dunlin.db is a database of something else; move it");
    if (version > STEPS)
        return err_set(e, ERR_INVALID, 0,
                       "dunlin.db was written by a newer Dunlin (schema %lld, this one knows %d): "
                       "start that one, or move the file away",
                       (long long)version, STEPS);
    if (version == STEPS)
        return 0;
    if (store_begin(s, e) < 0)
        return -1;
    if (take_steps(s, version > 0 ? (int)version : 0, e) < 0) {
        store_rollback(s);
        return err_prefix(e, "bring the database up to date");
    }
    return store_commit(s, e);
}

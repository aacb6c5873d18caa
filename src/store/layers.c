/* layers: the records of layers.  Runs in the server, on the loop.
 *
 * A layer that something refers to cannot be removed: the references are foreign keys. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/internal.h"

#define COLUMNS "id, kind, ready, key, parent, bytes, created_at, python, packages"

enum {
    AT_ID,
    AT_KIND,
    AT_READY,
    AT_KEY,
    AT_PARENT,
    AT_BYTES,
    AT_CREATED_AT,
    AT_PYTHON,
    AT_PACKAGES
};

void layer_record_finish(struct layer_record *r)
{
    free(r->key);
    free(r->created_at);
    free(r->python);
    free(r->packages);
    *r = (struct layer_record){0};
}

int store_layer_add(struct store *s, enum layer_kind kind, const char *key, uint64_t parent,
                    uint64_t *ret_id, struct err *e)
{
    char now[32];
    sqlite3_stmt *st = store_statement(
        s, STATEMENT_LAYER_ADD,
        "INSERT INTO layers (kind, ready, key, parent, bytes, created_at, python) VALUES (?1, 0,"
        " ?2, ?3, 0, ?4, '')",
        e);

    if (st == NULL)
        return -1;
    clock_format_utc(clock_wall_us(), now);
    sqlite3_bind_int(st, 1, (int)kind);
    store_bind_text(st, 2, key);
    store_bind_reference(st, 3, parent);
    store_bind_text(st, 4, now);
    if (store_run(s, st, NULL, e) < 0)
        return -1;
    *ret_id = (uint64_t)sqlite3_last_insert_rowid(s->db);
    return 0;
}

static int changed_one(int changed, uint64_t id, struct err *e)
{
    return changed == 1 ? 0 : err_set(e, ERR_NOT_FOUND, 0, "no layer %llu", (unsigned long long)id);
}

int store_layer_ready(struct store *s, const struct layer_record *r, struct err *e)
{
    int changed = 0;
    sqlite3_stmt *st = store_statement(
        s, STATEMENT_LAYER_READY,
        "UPDATE layers SET ready = 1, key = ifnull(?2, key), bytes = ?3, python = ?4,"
        " packages = ?5 WHERE id = ?1",
        e);

    if (st == NULL)
        return -1;
    sqlite3_bind_int64(st, 1, (int64_t)r->id);
    store_bind_text(st, 2, r->key);
    sqlite3_bind_int64(st, 3, (int64_t)r->bytes);
    store_bind_text(st, 4, r->python != NULL ? r->python : "");
    store_bind_text(st, 5, r->packages);
    return store_run(s, st, &changed, e) < 0 ? -1 : changed_one(changed, r->id, e);
}

int store_layer_remove(struct store *s, uint64_t id, struct err *e)
{
    int changed = 0;
    sqlite3_stmt *st =
        store_statement(s, STATEMENT_LAYER_REMOVE, "DELETE FROM layers WHERE id = ?1", e);

    if (st == NULL)
        return -1;
    sqlite3_bind_int64(st, 1, (int64_t)id);
    return store_run(s, st, &changed, e) < 0 ? -1 : changed_one(changed, id, e);
}

int store_layer_remove_unfinished(struct store *s, struct err *e)
{
    sqlite3_stmt *st = store_statement(s, STATEMENT_LAYER_REMOVE_UNFINISHED,
                                       "DELETE FROM layers WHERE ready = 0", e);

    return st != NULL ? store_run(s, st, NULL, e) : -1;
}

static int read_record(sqlite3_stmt *st, struct layer_record *ret, struct err *e)
{
    bool failed = false;

    *ret = (struct layer_record){
        .id = (uint64_t)sqlite3_column_int64(st, AT_ID),
        .kind = (enum layer_kind)sqlite3_column_int(st, AT_KIND),
        .is_ready = sqlite3_column_int(st, AT_READY) != 0,
        .key = store_column_text(st, AT_KEY, &failed),
        .parent = (uint64_t)sqlite3_column_int64(st, AT_PARENT),
        .bytes = (uint64_t)sqlite3_column_int64(st, AT_BYTES),
        .created_at = store_column_text(st, AT_CREATED_AT, &failed),
        .python = store_column_text(st, AT_PYTHON, &failed),
        .packages = store_column_text(st, AT_PACKAGES, &failed),
    };
    if (!failed)
        return 0;
    layer_record_finish(ret);
    return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
}

/* The first row, or a zeroed record. */
static int read_one(struct store *s, sqlite3_stmt *st, struct layer_record *ret, struct err *e)
{
    int found = store_step(s, st, e), r = found;

    *ret = (struct layer_record){0};
    if (found == 1)
        r = read_record(st, ret, e);
    sqlite3_reset(st);
    return r;
}

int store_layer_find(struct store *s, const char *key, struct layer_record *ret, struct err *e)
{
    sqlite3_stmt *st = store_statement(
        s, STATEMENT_LAYER_FIND,
        "SELECT " COLUMNS " FROM layers WHERE key = ?1 AND ready = 1 ORDER BY id DESC LIMIT 1", e);

    if (st == NULL)
        return -1;
    store_bind_text(st, 1, key);
    return read_one(s, st, ret, e);
}

int store_layer_get(struct store *s, uint64_t id, struct layer_record *ret, struct err *e)
{
    sqlite3_stmt *st =
        store_statement(s, STATEMENT_LAYER_GET, "SELECT " COLUMNS " FROM layers WHERE id = ?1", e);

    if (st == NULL)
        return -1;
    sqlite3_bind_int64(st, 1, (int64_t)id);
    return read_one(s, st, ret, e);
}

static bool is_kept(const char *key, const char *const *keep, size_t nkeep)
{
    for (size_t i = 0; i < nkeep; i++) {
        if (key != NULL && strcmp(key, keep[i]) == 0)
            return true;
    }
    return false;
}

int store_layer_unused(struct store *s, uint64_t after, const char *const *keep, size_t nkeep,
                       uint64_t *ret_id, struct err *e)
{
    sqlite3_stmt *st = store_statement(
        s, STATEMENT_LAYER_UNUSED,
        "SELECT id, key FROM layers AS l WHERE id > ?1 AND ready = 1"
        " AND NOT EXISTS (SELECT 1 FROM environments WHERE layer = l.id OR base_layer = l.id)"
        " AND NOT EXISTS (SELECT 1 FROM images WHERE layer = l.id)"
        " AND NOT EXISTS (SELECT 1 FROM layers AS above WHERE above.parent = l.id)"
        " ORDER BY id",
        e);
    int more;

    if (st == NULL)
        return -1;
    sqlite3_bind_int64(st, 1, (int64_t)after);
    *ret_id = 0;
    while ((more = store_step(s, st, e)) == 1) {
        if (is_kept((const char *)sqlite3_column_text(st, 1), keep, nkeep))
            continue;
        *ret_id = (uint64_t)sqlite3_column_int64(st, 0);
        sqlite3_reset(st);
        return 0;
    }
    return more;
}

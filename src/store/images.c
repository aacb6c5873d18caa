/* images: the records of images.  Runs in the server, on the loop. */
#include <stdlib.h>

#include "store/internal.h"

#define COLUMNS "name, source, digest, python_version, layer, bytes, created_at, last_used"

enum {
    AT_NAME,
    AT_SOURCE,
    AT_DIGEST,
    AT_PYTHON_VERSION,
    AT_LAYER,
    AT_BYTES,
    AT_CREATED_AT,
    AT_LAST_USED
};

void image_record_finish(struct image_record *r)
{
    free(r->name);
    free(r->source);
    free(r->digest);
    free(r->python_version);
    free(r->created_at);
    free(r->last_used);
    *r = (struct image_record){0};
}

int store_image_put(struct store *s, const struct image_record *r, struct err *e)
{
    sqlite3_stmt *st = store_statement(s, STATEMENT_IMAGE_PUT,
                                       "INSERT OR REPLACE INTO images (" COLUMNS ") VALUES (?1,"
                                       " ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                                       e);

    if (st == NULL)
        return -1;
    store_bind_text(st, AT_NAME + 1, r->name);
    store_bind_text(st, AT_SOURCE + 1, r->source);
    store_bind_text(st, AT_DIGEST + 1, r->digest);
    store_bind_text(st, AT_PYTHON_VERSION + 1, r->python_version);
    sqlite3_bind_int64(st, AT_LAYER + 1, (int64_t)r->layer);
    sqlite3_bind_int64(st, AT_BYTES + 1, (int64_t)r->bytes);
    store_bind_text(st, AT_CREATED_AT + 1, r->created_at);
    store_bind_text(st, AT_LAST_USED + 1, r->last_used);
    return store_run(s, st, NULL, e);
}

static int read_record(sqlite3_stmt *st, struct image_record *ret, struct err *e)
{
    bool failed = false;

    *ret = (struct image_record){
        .name = store_column_text(st, AT_NAME, &failed),
        .source = store_column_text(st, AT_SOURCE, &failed),
        .digest = store_column_text(st, AT_DIGEST, &failed),
        .python_version = store_column_text(st, AT_PYTHON_VERSION, &failed),
        .layer = (uint64_t)sqlite3_column_int64(st, AT_LAYER),
        .bytes = (uint64_t)sqlite3_column_int64(st, AT_BYTES),
        .created_at = store_column_text(st, AT_CREATED_AT, &failed),
        .last_used = store_column_text(st, AT_LAST_USED, &failed),
    };
    if (!failed)
        return 0;
    image_record_finish(ret);
    return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
}

int store_image_get(struct store *s, const char *name, struct image_record *ret, struct err *e)
{
    sqlite3_stmt *st = store_statement(s, STATEMENT_IMAGE_GET,
                                       "SELECT " COLUMNS " FROM images WHERE name = ?1", e);
    int found;

    *ret = (struct image_record){0};
    if (st == NULL)
        return -1;
    store_bind_text(st, 1, name);
    found = store_step(s, st, e);
    if (found == 1)
        found = read_record(st, ret, e);
    sqlite3_reset(st);
    return found;
}

int store_image_remove(struct store *s, const char *name, struct err *e)
{
    int changed = 0;
    sqlite3_stmt *st =
        store_statement(s, STATEMENT_IMAGE_REMOVE, "DELETE FROM images WHERE name = ?1", e);

    if (st == NULL)
        return -1;
    store_bind_text(st, 1, name);
    if (store_run(s, st, &changed, e) < 0)
        return -1;
    return changed == 1 ? 0 : err_set(e, ERR_NOT_FOUND, 0, "no image '%.150s'", name);
}

int store_images(struct store *s, int (*each)(void *data, const struct image_record *r), void *data,
                 struct err *e)
{
    sqlite3_stmt *st =
        store_statement(s, STATEMENT_IMAGES, "SELECT " COLUMNS " FROM images ORDER BY name", e);
    int more = st != NULL ? store_step(s, st, e) : -1;

    while (more == 1) {
        struct image_record r;
        int stop;

        if (read_record(st, &r, e) < 0) {
            sqlite3_reset(st);
            return -1;
        }
        stop = each(data, &r);
        image_record_finish(&r);
        if (stop != 0) {
            sqlite3_reset(st);
            return 0;
        }
        more = store_step(s, st, e);
    }
    return more;
}

/* environments: the records of environments.  Runs in the server, on the loop. */
#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

#define COLUMNS                                                                                    \
    "name, description, base_image, python_version, setup_script, warm, learned, network,"         \
    " build_network, status, error, created_at, built_at, last_used, memory_mb, processes,"        \
    " workspace_mb, cpu_milli, timeout_s, base, digest, actual_python, packages, layer,"           \
    " base_layer, bytes, build_seconds"

/* Parameters of a write; the name is the first, so that both statements count alike. */
enum {
    AT_NAME = 1,
    AT_DESCRIPTION,
    AT_BASE_IMAGE,
    AT_PYTHON_VERSION,
    AT_SETUP_SCRIPT,
    AT_WARM,
    AT_LEARNED,
    AT_NETWORK,
    AT_BUILD_NETWORK,
    AT_STATUS,
    AT_ERROR,
    AT_CREATED_AT,
    AT_BUILT_AT,
    AT_LAST_USED,
    AT_MEMORY_MB,
    AT_PROCESSES,
    AT_WORKSPACE_MB,
    AT_CPU_MILLI,
    AT_TIMEOUT_S,
    AT_BASE,
    AT_DIGEST,
    AT_ACTUAL_PYTHON,
    AT_PACKAGES,
    AT_LAYER,
    AT_BASE_LAYER,
    AT_BYTES,
    AT_BUILD_SECONDS,
    AT_ID,
};

/* Where the texts are; a text that may not be NULL is "" instead. */
static const struct {
    int at;
    size_t offset;
    bool may_be_null;
} texts[] = {
    {AT_NAME, offsetof(struct environment_record, name), false},
    {AT_DESCRIPTION, offsetof(struct environment_record, description), false},
    {AT_BASE_IMAGE, offsetof(struct environment_record, base_image), false},
    {AT_PYTHON_VERSION, offsetof(struct environment_record, python_version), false},
    {AT_SETUP_SCRIPT, offsetof(struct environment_record, setup_script), false},
    {AT_WARM, offsetof(struct environment_record, warm), true},
    {AT_LEARNED, offsetof(struct environment_record, learned), false},
    {AT_NETWORK, offsetof(struct environment_record, network), false},
    {AT_BUILD_NETWORK, offsetof(struct environment_record, build_network), false},
    {AT_ERROR, offsetof(struct environment_record, error), false},
    {AT_CREATED_AT, offsetof(struct environment_record, created_at), false},
    {AT_BUILT_AT, offsetof(struct environment_record, built_at), true},
    {AT_LAST_USED, offsetof(struct environment_record, last_used), true},
    {AT_BASE, offsetof(struct environment_record, base), false},
    {AT_DIGEST, offsetof(struct environment_record, digest), false},
    {AT_ACTUAL_PYTHON, offsetof(struct environment_record, actual_python), false},
    {AT_PACKAGES, offsetof(struct environment_record, packages), true},
};

#define TEXTS (sizeof texts / sizeof texts[0])

static const struct {
    int at;
    size_t offset;
} numbers[] = {
    {AT_MEMORY_MB, offsetof(struct environment_record, memory_mb)},
    {AT_PROCESSES, offsetof(struct environment_record, processes)},
    {AT_WORKSPACE_MB, offsetof(struct environment_record, workspace_mb)},
    {AT_CPU_MILLI, offsetof(struct environment_record, cpu_milli)},
    {AT_TIMEOUT_S, offsetof(struct environment_record, timeout_s)},
    {AT_LAYER, offsetof(struct environment_record, layer)},
    {AT_BASE_LAYER, offsetof(struct environment_record, base_layer)},
    {AT_BYTES, offsetof(struct environment_record, bytes)},
};

#define NUMBERS (sizeof numbers / sizeof numbers[0])

static char **text_of(const struct environment_record *r, size_t i)
{
    return (char **)((char *)r + texts[i].offset);
}

static uint64_t *number_of(const struct environment_record *r, size_t i)
{
    return (uint64_t *)((char *)r + numbers[i].offset);
}

void environment_record_finish(struct environment_record *r)
{
    for (size_t i = 0; i < TEXTS; i++)
        free(*text_of(r, i));
    *r = (struct environment_record){0};
}

int environment_record_copy(struct environment_record *to, const struct environment_record *from,
                            struct err *e)
{
    bool failed = false;

    *to = *from;
    for (size_t i = 0; i < TEXTS; i++) {
        const char *text = *text_of(from, i);

        *text_of(to, i) = text != NULL ? strdup(text) : NULL;
        failed |= text != NULL && *text_of(to, i) == NULL;
    }
    if (!failed)
        return 0;
    environment_record_finish(to);
    return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
}

static void bind_record(sqlite3_stmt *st, const struct environment_record *r)
{
    for (size_t i = 0; i < TEXTS; i++) {
        const char *text = *text_of(r, i);

        store_bind_text(st, texts[i].at, text == NULL && !texts[i].may_be_null ? "" : text);
    }
    for (size_t i = 0; i < NUMBERS; i++)
        sqlite3_bind_int64(st, numbers[i].at, (int64_t)*number_of(r, i));
    store_bind_reference(st, AT_LAYER, r->layer);
    store_bind_reference(st, AT_BASE_LAYER, r->base_layer);
    sqlite3_bind_int(st, AT_STATUS, (int)r->status);
    sqlite3_bind_double(st, AT_BUILD_SECONDS, r->build_seconds);
}

int store_environment_add(struct store *s, struct environment_record *r, struct err *e)
{
    sqlite3_stmt *st = store_statement(
        s, STATEMENT_ENVIRONMENT_ADD,
        "INSERT INTO environments (" COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,"
        " ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27)",
        e);

    if (st == NULL)
        return -1;
    bind_record(st, r);
    if (store_run(s, st, NULL, e) < 0)
        return -1;
    r->id = sqlite3_last_insert_rowid(s->db);
    return 0;
}

int store_environment_update(struct store *s, const struct environment_record *r, struct err *e)
{
    int changed = 0;
    sqlite3_stmt *st = store_statement(
        s, STATEMENT_ENVIRONMENT_UPDATE,
        "UPDATE environments SET (" COLUMNS ") = (name, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,"
        " ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27)"
        " WHERE id = ?28",
        e);

    if (st == NULL)
        return -1;
    bind_record(st, r);
    sqlite3_bind_int64(st, AT_ID, r->id);
    if (store_run(s, st, &changed, e) < 0)
        return -1;
    return changed == 1 ? 0 : err_set(e, ERR_NOT_FOUND, 0, "no environment %lld", (long long)r->id);
}

int store_environment_remove(struct store *s, int64_t id, struct err *e)
{
    int changed = 0;
    sqlite3_stmt *st = store_statement(s, STATEMENT_ENVIRONMENT_REMOVE,
                                       "DELETE FROM environments WHERE id = ?1", e);

    if (st == NULL)
        return -1;
    sqlite3_bind_int64(st, 1, id);
    if (store_run(s, st, &changed, e) < 0)
        return -1;
    return changed == 1 ? 0 : err_set(e, ERR_NOT_FOUND, 0, "no environment %lld", (long long)id);
}

int store_environment_built(struct store *s, const struct environment_record *r, struct err *e)
{
    const struct layer_record layer = {
        .id = r->layer, .bytes = r->bytes, .packages = r->packages, .python = r->actual_python};

    if (store_begin(s, e) < 0)
        return -1;
    if (store_layer_ready(s, &layer, e) < 0 || store_environment_update(s, r, e) < 0) {
        store_rollback(s);
        return -1;
    }
    return store_commit(s, e);
}

/* Columns are counted from 0, parameters from 1. */
static int read_record(sqlite3_stmt *st, struct environment_record *r, struct err *e)
{
    bool failed = false;

    *r = (struct environment_record){0};
    for (size_t i = 0; i < TEXTS; i++)
        *text_of(r, i) = store_column_text(st, texts[i].at - 1, &failed);
    for (size_t i = 0; i < NUMBERS; i++)
        *number_of(r, i) = (uint64_t)sqlite3_column_int64(st, numbers[i].at - 1);
    r->status = (enum environment_status)sqlite3_column_int(st, AT_STATUS - 1);
    r->build_seconds = sqlite3_column_double(st, AT_BUILD_SECONDS - 1);
    r->id = sqlite3_column_int64(st, AT_ID - 1);
    if (!failed)
        return 0;
    environment_record_finish(r);
    return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
}

int store_environments(struct store *s, int (*each)(void *data, const struct environment_record *r),
                       void *data, struct err *e)
{
    sqlite3_stmt *st = store_statement(s, STATEMENT_ENVIRONMENTS,
                                       "SELECT " COLUMNS ", id FROM environments ORDER BY id", e);
    int more = st != NULL ? store_step(s, st, e) : -1;

    while (more == 1) {
        struct environment_record r;
        int stop;

        if (read_record(st, &r, e) < 0) {
            sqlite3_reset(st);
            return -1;
        }
        stop = each(data, &r);
        environment_record_finish(&r);
        if (stop != 0) {
            sqlite3_reset(st);
            return 0;
        }
        more = store_step(s, st, e);
    }
    return more;
}

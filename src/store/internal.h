/* internal: what the files of src/store share.  For src/store only. */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "store/store.h"

/* Statements are compiled at their first use and kept. */
enum statement {
    STATEMENT_ENVIRONMENT_ADD,
    STATEMENT_ENVIRONMENT_UPDATE,
    STATEMENT_ENVIRONMENT_REMOVE,
    STATEMENT_ENVIRONMENTS,
    STATEMENT_LAYER_ADD,
    STATEMENT_LAYER_READY,
    STATEMENT_LAYER_REMOVE,
    STATEMENT_LAYER_REMOVE_UNFINISHED,
    STATEMENT_LAYER_FIND,
    STATEMENT_LAYER_GET,
    STATEMENT_LAYER_UNUSED,
    STATEMENT_IMAGE_PUT,
    STATEMENT_IMAGE_GET,
    STATEMENT_IMAGE_REMOVE,
    STATEMENT_IMAGES,
    STATEMENT_SESSION_ADD,
    STATEMENT_SESSION_UPDATE,
    STATEMENT_SESSION_REMOVE,
    STATEMENT_SESSIONS,
    STATEMENT_WORKSPACE_ADD,
    STATEMENT_WORKSPACE_REMOVE,
    STATEMENT_WORKSPACES_ABOVE,
    STATEMENT_WORKSPACES_UNNAMED,
    STATEMENT_SNAPSHOT_ADD,
    STATEMENT_SNAPSHOT_REMOVE,
    STATEMENT_SNAPSHOTS,
    STATEMENTS,
};

struct store {
    sqlite3 *db;
    bool is_within; /* a transaction: between its beginning and its end, whatever SQLite says */
    sqlite3_stmt *statements[STATEMENTS];
};

/* The statement, without bindings and ready to be stepped.  NULL and e. */
sqlite3_stmt *store_statement(struct store *s, enum statement which, const char *sql,
                              struct err *e);
/* Steps to the next row.  1: there is one; 0: done; -1 and e.  Resets the statement unless 1. */
int store_step(struct store *s, sqlite3_stmt *st, struct err *e);
/* Runs it to its end; *ret_changed (may be NULL) is the number of rows that it changed. */
int store_run(struct store *s, sqlite3_stmt *st, int *ret_changed, struct err *e);
/* Sets e from what SQLite said last.  Always -1. */
int store_error(struct store *s, struct err *e);
/* BEGIN IMMEDIATE, COMMIT, ROLLBACK.  A rollback for which there was no memory is made up for
 * before the next statement: in the transaction that it left, nothing would be kept. */
int store_begin(struct store *s, struct err *e);
int store_commit(struct store *s, struct err *e);
void store_rollback(struct store *s);

/* Text is not copied: it must live until the statement is reset.  NULL is NULL, and a number 0 of a
 * reference as well. */
void store_bind_text(sqlite3_stmt *st, int at, const char *text);
void store_bind_reference(sqlite3_stmt *st, int at, uint64_t id);
/* A copy, or NULL for NULL; sets *failed when out of memory. */
char *store_column_text(sqlite3_stmt *st, int at, bool *failed);

/* Brings the schema up to date, or says why not. */
int store_migrate(struct store *s, struct err *e);

/* Our variant of SQLite's file layer (vfs.c).  Safe to call again. */
#define STORE_VFS "dunlin"
int store_vfs_register(struct err *e);

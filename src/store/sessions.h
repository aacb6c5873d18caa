/* sessions: what the store remembers of durable sessions and their snapshots.  See store.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct store;

struct session_record {
    int64_t number; /* of the record; never used again */
    char *id;       /* unique among its owner's */
    char *owner;
    char *environment;                        /* "default" */
    char *network, *env, *labels;             /* the last two JSON objects */
    uint64_t workspace;                       /* number of its image (wire/workspace.h) */
    bool is_made;                             /* the image has been made */
    uint64_t bytes, first_bytes, disk_bytes;  /* quota now and when made; on the disk */
    int64_t created_ms, used_ms;              /* since 1970 */
    int64_t idle_s, idle_ttl_s, ttl_s;        /* -1: never */
    uint64_t memory_mb, processes, cpu_milli; /* 0: global */
    uint32_t last_process;                    /* no process had a higher id */
};
void session_record_finish(struct session_record *r);

/* ERR_EXISTS.  Sets r->number, and r->workspace, unless it is set, to a number that was never used.
 */
int store_session_add(struct store *s, struct session_record *r, struct err *e);
/* All but number, id, owner, environment and created_ms. */
int store_session_update(struct store *s, const struct session_record *r, struct err *e);
/* The same of several records, at one go; NULL entries are passed over. */
int store_session_update_all(struct store *s, const struct session_record *const *r, size_t n,
                             struct err *e);
int store_session_remove(struct store *s, int64_t number, struct err *e);
/* In order of creation.  The callback may stop by returning non-zero. */
int store_sessions(struct store *s, int (*each)(void *data, const struct session_record *r),
                   void *data, struct err *e);

/* -- numbers of workspaces: each is remembered from when it is given out until its image is gone */
/* One that was never used. */
int store_workspace_number(struct store *s, uint64_t *ret, struct err *e);
/* From now on only numbers above this one are given out. */
int store_workspaces_above(struct store *s, uint64_t highest, struct err *e);
/* Its image is gone. */
int store_workspace_forget(struct store *s, uint64_t number, struct err *e);
/* Those remembered that no session and no snapshot has: their images were being removed, or never
 * finished.  The callback may stop by returning non-zero, and does not call the store. */
int store_workspaces_unnamed(struct store *s, int (*each)(void *data, uint64_t number), void *data,
                             struct err *e);

struct snapshot_record {
    char *id; /* unique */
    char *owner, *session, *name, *environment;
    uint64_t workspace, bytes, first_bytes, disk_bytes;
    int64_t created_ms;
};
void snapshot_record_finish(struct snapshot_record *r);
int store_snapshot_add(struct store *s, const struct snapshot_record *r, struct err *e);
int store_snapshot_remove(struct store *s, const char *id, struct err *e);
/* In order of creation. */
int store_snapshots(struct store *s, int (*each)(void *data, const struct snapshot_record *r),
                    void *data, struct err *e);

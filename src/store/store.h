/* store: what Dunlin remembers: environments, images, layers, in one SQLite database.
 *
 * Used by the server, on the loop (a read takes microseconds, a write with synchronous=NORMAL in
 * WAL mode does not wait for the disk except at checkpoints).  Every function returns 0 or -1 and
 * e; strings in records are owned by the record.  The only place with SQL. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct store;

/* Opens DIR/dunlin.db ("." is the working directory) and brings its schema up to date.  Refuses a
 * database that a newer Dunlin has written.  A database that is damaged is refused with what to do,
 * never replaced. */
struct store *store_open(const char *dir, struct err *e);
void store_close(struct store *s); /* accepts NULL */

enum environment_status { ENVIRONMENT_BUILDING, ENVIRONMENT_READY, ENVIRONMENT_FAILED };

struct environment_record {
    int64_t id; /* never used again */
    char *name, *description;
    char *base_image, *python_version; /* as the client said, "" where it said nothing */
    char *setup_script;
    char *warm;                    /* modules to import ahead, comma-separated; NULL: learn them */
    char *learned;                 /* comma-separated, from runs */
    char *network, *build_network; /* "none", "bridge" */
    enum environment_status status;
    char *error;                             /* "" unless failed; of a ready one: what became of
                                                its rebuild */
    char *created_at, *built_at, *last_used; /* RFC 3339 in UTC; NULL: never */
    uint64_t memory_mb, processes, workspace_mb, cpu_milli,
        timeout_s; /* defaults of its runs; 0: global */
    char *base;    /* what base_image was resolved to, for people: "image python:3.12-slim ..." */
    char *digest;  /* of the image, "" if it has none */
    char *actual_python; /* "3.11.2", found in it by the build, "" without one */
    char *packages;      /* JSON text, from the build; NULL */
    uint64_t layer;      /* its own, 0: none yet */
    uint64_t base_layer;
    uint64_t bytes; /* of its own layer on the disk */
    double build_seconds;
};
void environment_record_finish(struct environment_record *r); /* frees what it owns */
/* Into a zeroed record. */
int environment_record_copy(struct environment_record *to, const struct environment_record *from,
                            struct err *e);

/* ERR_EXISTS when the name is taken.  Fills r->id. */
int store_environment_add(struct store *s, struct environment_record *r, struct err *e);
/* Writes all fields of an existing record but id and name. */
int store_environment_update(struct store *s, const struct environment_record *r, struct err *e);
int store_environment_remove(struct store *s, int64_t id, struct err *e);
/* In order of creation.  The callback may stop by returning non-zero. */
int store_environments(struct store *s, int (*each)(void *data, const struct environment_record *r),
                       void *data, struct err *e);

enum layer_kind { LAYER_HOST, LAYER_IMAGE, LAYER_ENVIRONMENT };

struct layer_record {
    uint64_t id;
    enum layer_kind kind;
    bool is_ready;
    char *key;       /* hash of everything that went into it: equal key, equal content */
    uint64_t parent; /* the layer beneath, 0: none */
    uint64_t bytes;
    char *created_at;
    char *python;   /* "3.11.2", found in it, "" without one */
    char *packages; /* JSON, of environment layers, NULL: unknown */
};
void layer_record_finish(struct layer_record *r);

/* Reserves a number that was never used; the layer is not ready. */
int store_layer_add(struct store *s, enum layer_kind kind, const char *key, uint64_t parent,
                    uint64_t *ret_id, struct err *e);
/* r->id is complete, with these bytes, packages and python; `key` NULL: the one it was added with.
 * The other fields do not matter. */
int store_layer_ready(struct store *s, const struct layer_record *r, struct err *e);
int store_layer_remove(struct store *s, uint64_t id, struct err *e);
/* Forgets every layer that is not ready: at the start, what a crash has left. */
int store_layer_remove_unfinished(struct store *s, struct err *e);
/* The ready layer with this key; *ret zeroed (id 0) if there is none. */
int store_layer_find(struct store *s, const char *key, struct layer_record *ret, struct err *e);
int store_layer_get(struct store *s, uint64_t id, struct layer_record *ret, struct err *e);
/* The lowest ready layer above `after` that nothing refers to (no environment, no image, no layer
 * above it) and whose key is none of `keep`; 0: none. */
int store_layer_unused(struct store *s, uint64_t after, const char *const *keep, size_t nkeep,
                       uint64_t *ret_id, struct err *e);
/* The end of a build, at one go: the layer r->layer is ready, has r->bytes, r->packages and
 * r->actual_python, and the record is written. */
int store_environment_built(struct store *s, const struct environment_record *r, struct err *e);

struct image_record {
    char *name;   /* as named in base_image: "python:3.12-slim", "debootstrap:trixie", "mine" */
    char *source; /* "pull", "import", "debootstrap" */
    char *digest; /* "sha256:..." or "" */
    char *python_version; /* found in it, "" if it has none */
    uint64_t layer, bytes;
    char *created_at, *last_used;
};
void image_record_finish(struct image_record *r);
int store_image_put(struct store *s, const struct image_record *r, struct err *e); /* replaces */
int store_image_get(struct store *s, const char *name, struct image_record *ret,
                    struct err *e);                                       /* name NULL if none */
int store_image_remove(struct store *s, const char *name, struct err *e); /* ERR_NOT_FOUND */
int store_images(struct store *s, int (*each)(void *data, const struct image_record *r), void *data,
                 struct err *e);

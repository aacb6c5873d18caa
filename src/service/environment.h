/* environment: named package sets: made, found, used, changed and forgotten.
 *
 * On the loop.  A record (store/store.h) says what an environment is; its build (build.h) makes its
 * layer; its nest (engine/nest.h) is opened on first use and closed when idle.  The built-in
 * environment is called "default", has no record, and is nest 0. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "engine/run.h"
#include "store/store.h"

struct engine;
struct environment_service;
struct nest;
struct settings;

#define ENVIRONMENT_BUILT_IN "default"

struct environment_service_config {
    uv_loop_t *loop;
    struct engine *engine;
    const struct settings *settings; /* outlive the service, as the texts below do */
    const char *host_base;           /* key of the host's base layer, "" if it cannot be made */
    const char *host_tools;          /* key of the tools layer, "" if it cannot be made */
    const char *host_python;         /* "3.11": version of the host's Python, "" without one */
    const char *registry_auth;       /* text of REGISTRY_AUTH_FILE, "" */
};

/* Knows the built-in environment only, until it is started.  NULL and e. */
struct environment_service *environment_service_create(const struct environment_service_config *c,
                                                       struct err *e);
/* Reads the records, marks builds that a crash cut off as failed ("interrupted"), removes layers
 * that nothing refers to, and opens what was used of late.  `store` and `logs`, a directory with
 * one file <id>.log for each environment, stay the caller's and outlive the service. */
int environment_service_start(struct environment_service *s, struct store *store, int logs,
                              struct err *e);
/* After engine_destroy; the loop then frees it (uv_run).  Who still waits is not told.  Accepts
 * NULL. */
void environment_service_destroy(struct environment_service *s);

/* What a caller may know beyond the record. */
struct environment_view {
    const struct environment_record *record; /* lives until the next call into the service */
    bool built_in;
    bool queued;           /* status is building, but another build is in progress */
    uint32_t queue_place;  /* 1: the next */
    const char *phase;     /* of the build: "queued", "base", "setup", "sealing"; NULL: no build */
    bool warm;             /* its nest is open */
    uint32_t runs;         /* in progress or waiting */
    uint64_t runs_total;   /* since the start of the server */
    uint64_t shared_bytes; /* of the layers beneath its own */
    const char *actual_python; /* "3.11.2" or "", found by the build */
};

/* What a client asks for.  NULL: not said. */
struct environment_wanted {
    const char *name, *description, *base_image, *python_version, *setup_script;
    const char *warm;                    /* comma-separated; "": nothing; NULL: learn */
    bool learn;                          /* environment_patch, warm is NULL: learn from now on */
    const char *network, *build_network; /* "none", "bridge" */
    uint64_t memory_mb, cpu_milli, processes, workspace_mb, timeout_s; /* 0: not said */
};

/* Records it and starts or queues its build.  ERR_EXISTS: the name is taken by one that is not
 * failed (a failed one is replaced).  ERR_INVALID: the lint refuses the script, or a value is
 * beyond the operator's ceilings; e has the words for the client. */
int environment_create(struct environment_service *s, const struct environment_wanted *w,
                       struct err *e);
/* ERR_NOT_FOUND. */
int environment_get(struct environment_service *s, const char *name, struct environment_view *ret,
                    struct err *e);
/* In order of creation, without the built-in one.  A result of `each` that is not 0 ends it, and is
 * returned; `each` calls nothing else of the service but environment_log_tail. */
int environment_each(struct environment_service *s,
                     int (*each)(void *data, const struct environment_view *v), void *data);
/* Cancels its build; running sandboxes finish. */
int environment_delete(struct environment_service *s, const char *name, struct err *e);
/* Builds it anew, without taking over an equal layer; the old layer serves until the new one is
 * ready, and after a failure (record->error then says so).  ERR_EXISTS: it is being built. */
int environment_rebuild(struct environment_service *s, const char *name, struct err *e);
/* Changes what is said in *w (name, script, base: must be NULL). */
int environment_patch(struct environment_service *s, const char *name,
                      const struct environment_wanted *w, struct err *e);

/* Calls back once, when the build of `name` has ended, it was deleted, or after timeout_ms; never
 * before this returns.  NULL when out of memory. */
struct environment_waiter *environment_wait(struct environment_service *s, const char *name,
                                            uint64_t timeout_ms, void (*done)(void *data),
                                            void *data);
void environment_wait_cancel(struct environment_waiter *w); /* not after done */

/* -- runs */
enum environment_entry {
    ENVIRONMENT_ENTERED,   /* spec->nest is set, and spec's unset limits and network */
    ENVIRONMENT_UNKNOWN,   /* no such name */
    ENVIRONMENT_NOT_READY, /* failed, or still building at the end of the run's timeout */
    ENVIRONMENT_REFUSED,   /* e: the network asked for is beyond its ceiling, ... */
};
/* Prepares `spec` for a run in `name` (NULL, "" or "default": the built-in one): waits while it is
 * building, at most spec->timeout_ms (0: the environment's or the global default), opens its nest,
 * fills what the client left open (0) with the environment's own defaults, if it has some.  Calls
 * `done` once, perhaps before it returns; after ENVIRONMENT_ENTERED the caller submits the spec
 * within the same call and in any case later calls environment_left.  NULL after `done` was called
 * already; out of memory is told to it too (ENVIRONMENT_REFUSED). */
typedef void environment_entered(void *data, enum environment_entry how, const char *status,
                                 const struct err *e);
struct environment_visit *environment_enter(struct environment_service *s, const char *name,
                                            struct run_spec *spec, environment_entered *done,
                                            void *data);
/* The caller waits no longer.  Not after done. */
void environment_enter_cancel(struct environment_visit *v);
/* A run that had entered is over (or was never submitted); `nest` is what the spec had, `modules`
 * what it said it imported (comma-separated, hostile), or NULL. */
void environment_left(struct environment_service *s, const char *name, const struct nest *nest,
                      const char *modules);

/* Somebody who stays in environments for longer than a run.  Asked when a nest is wanted and none
 * is idle. */
struct environment_guests {
    /* Since when (clock_now_us) nobody has used this nest, if the `entered` who have not left are
     * all guests that could leave; 0: it is in use. */
    uint64_t (*unused_since)(void *data, const struct nest *nest, uint32_t entered);
    /* All of them leave it, soon. */
    void (*leave)(void *data, const struct nest *nest);
    void *data;
};
void environment_set_guests(struct environment_service *s, const struct environment_guests *g);

/* -- logs: bytes of text, lines start with an RFC 3339 time and a blank */
/* Length of the log; ERR_NOT_FOUND. */
int environment_log_size(struct environment_service *s, const char *name, uint64_t *ret,
                         struct err *e);
/* Up to cap bytes from offset; 0 at its end, -1 and e. */
long environment_log_read(struct environment_service *s, const char *name, uint64_t offset,
                          char *out, size_t cap, struct err *e);
/* The end of the log, from the beginning of a line: its length, 0 if there is none. */
size_t environment_log_tail(struct environment_service *s, const struct environment_view *v,
                            char *out, size_t cap);
/* Calls `more` when the log has grown, and once with ended = true when the build has ended (at once
 * if there is none) or the environment is gone; never before this returns.  NULL: no memory. */
struct log_follower *environment_log_follow(struct environment_service *s, const char *name,
                                            void (*more)(void *data, bool ended), void *data);
void environment_log_unfollow(struct log_follower *f);

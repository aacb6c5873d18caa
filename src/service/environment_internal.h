/* environment_internal: the parts of the environment service as they see each other.
 *
 *   environment (a record) -> build (makes its layer) -> image_job (makes the base) -> build_task
 *   environment -> environment_nest (in use) -> environment_enter (runs on their way into it)
 *
 * Everything happens on the loop.  What tells a caller something does so from the timer `soon`, so
 * that nobody is called back while he calls us. */
#pragma once

#include "engine/nest.h"
#include "service/environment.h"
#include "service/environment_learn.h"
#include "service/resolve.h"

struct build;
struct build_task;
struct image_job;
/* What the settings say about environments. */
struct environment_rules {
    uint32_t build_concurrency, build_timeout_ms;
    struct run_limits build_limits;
    uint32_t build_disk_mb;
    uint64_t build_log_bytes, disk_reserve;
    bool refuse_scripts; /* that the lint knows; otherwise only a note in the log */
    bool learn;
    uint32_t environments_max, nests_max, pool_max;
    uint64_t idle_us;
    enum spawn_network network, max_network, build_network;
    uint32_t timeout_ms; /* of a run that names none */
    struct run_limits max;
    uint32_t max_timeout_s;
};

/* A layer that may not be removed although no record refers to it (yet, or any more). */
struct layer_pin {
    struct layer_pin *next;
    uint64_t layer;
    uint32_t count;
};

struct environment {
    struct environment_service *service;
    struct environment *next; /* in order of creation */
    struct environment_record record;
    struct build *build;           /* in progress or queued, or NULL */
    struct environment_nest *nest; /* for new runs, or NULL */
    struct environment_waiter *waiters;
    struct log_follower *followers;
    struct environment_learn learn;
    uint32_t runs; /* waiting or in progress */
    uint64_t runs_total;
    uint64_t used_us; /* wall clock, 0: not since the start */
    bool is_dirty;    /* last_used or learned are newer than in the store */
};

struct environment_service {
    struct environment_service_config config;
    struct store *store; /* NULL: not started */
    int logs;
    struct environment_rules rules;
    struct environment built_in;
    struct environment *first;
    size_t count;
    struct build *builds; /* in order; the first ones are in progress */
    uint32_t working;     /* builds and imports in progress: BUILD_CONCURRENCY */
    struct build_task *tasks;
    struct image_job *jobs;
    struct environment_nest *nests;
    uint32_t nnests;
    struct environment_visit *visits, **visits_end; /* in order of arrival */
    struct environment_guests guests;
    struct layer_pin *pins;
    uv_timer_t soon, tick;
    unsigned ticks;
    unsigned walk_ticks, walk_pause; /* to the next walk over the layers; 0: none is due */
    unsigned prewarm;                /* environments that may still be opened ahead */
};

/* -- environment.c */
struct environment *environment_find(struct environment_service *s, const char *name);
struct environment *environment_find_id(struct environment_service *s, int64_t id);
/* Whether runs can go in: it has a layer, also while another is being built. */
bool environment_is_usable(const struct environment *env);
/* Writes what last_used and learned have become. */
void environment_save(struct environment *env);
/* Replaces an owned text; NULL is NULL. */
int environment_set_text(char **at, const char *text, struct err *e);

/* -- environment_wanted.c */
/* Fills a zeroed record from what a client wants; ERR_INVALID with words for it. */
int environment_wanted_record(struct environment_service *s, const struct environment_wanted *w,
                              struct environment_record *ret, struct err *e);
int environment_wanted_patch(struct environment_service *s, const struct environment_wanted *w,
                             struct environment_record *r, struct err *e);
bool environment_network(const char *name, enum spawn_network *ret);
int environment_rules(struct environment_rules *ret, const struct settings *s, struct err *e);
/* Answers for struct resolve_question; data is the service. */
bool environment_has_image(void *data, const char *name);

/* -- environment_wait.c */
/* The build of env has ended, or env is going away: whoever waits is told, soon. */
void environment_tell_waiters(struct environment *env);
void environment_tell_followers(struct environment *env, bool ended);

/* -- environment_nest.c */
struct environment_nest {
    struct environment_service *service;
    struct environment_nest *next;
    struct environment *environment; /* NULL: takes no new run */
    int64_t id;                      /* of the record that it was opened for */
    struct nest *nest;
    uint64_t layers[2];
    uint64_t opened_us;
    uint32_t entered;    /* runs and guests that have not left */
    bool asked, closing; /* asked: its guests are leaving */
};
/* For a run of env, opened if need be.  NULL and e: ERR_LIMIT, there is no room now. */
struct environment_nest *environment_nest_get(struct environment *env, struct err *e);
struct environment_nest *environment_nest_find(struct environment_service *s,
                                               const struct nest *nest);
/* One run less. */
void environment_nest_leave(struct environment_nest *n);
/* No new run goes in; it is closed when the last one has left. */
void environment_nest_retire(struct environment_nest *n);
/* Every second: closes idle ones, opens ahead what was used of late. */
void environment_nests_tick(struct environment_service *s);

/* -- environment_enter.c */
/* Lets in whoever can go in by now. */
void environment_visits_pump(struct environment_service *s);
/* env is going away. */
void environment_visits_forget(struct environment *env);

/* -- environment_layers.c */
int layer_pin(struct environment_service *s, uint64_t layer, struct err *e);
void layer_unpin(struct environment_service *s, uint64_t layer);
/* Removes every layer that nothing refers to; adds to the counters, which may be NULL. */
void layers_sweep(struct environment_service *s, uint32_t *removed, uint64_t *bytes);
/* Forgets a layer and removes its file, which must not be under a nest; `done` (or NULL) follows
 * when its room is free, unless this returns false. */
bool layer_discard(struct environment_service *s, uint64_t layer, void (*done)(void *data),
                   void *data);
/* Removes layers on the disk that no record knows. */
void layers_walk(struct environment_service *s);
/* Every second: tries again what could not be removed. */
void layers_tick(struct environment_service *s);

/* -- environment_service.c: what may have become possible is done from the loop, once */
void environment_soon(struct environment_service *s);
char *environment_now(void); /* RFC 3339, to be freed; NULL when out of memory */

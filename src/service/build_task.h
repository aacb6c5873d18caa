/* build_task: one job of ours in one nest, which fills one layer. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/nest.h"
#include "service/build_facts.h"
#include "service/build_lines.h"

struct build_task;
struct environment_service;

#define BUILD_TASK_REASON 600

struct build_task_result {
    bool ok;
    char reason[BUILD_TASK_REASON]; /* why not, for people */
    uint64_t bytes;                 /* of the layer on the disk */
    double seconds;
    struct build_facts facts; /* whoever is told may take the packages (and set them to NULL) */
};

struct build_task_config {
    struct spawn_nest make; /* the network of the nest is that of the job; target_mb is set here */
    const char *const *program;
    size_t nprogram;
    const char *file_name, *file_data; /* the input file; NULL: none */
    const char *const *env;
    size_t nenv;
    const char *what; /* "the setup script": begins the reason of a failure.  Static */
    build_line *on_line;
    void (*on_pause)(void *data); /* after some lines: a good moment to write them */
    /* Once, when nothing of it is left but the layer; the task is then gone.  The layer is complete
     * when the result is ok, and may or may not be on the disk otherwise. */
    void (*on_done)(void *data, struct build_task_result *result);
    void *data;
};

/* The words in the configuration are copied.  NULL and e: it has not been started (ERR_LIMIT: the
 * disk is nearly full), and on_done is not called. */
struct build_task *build_task_start(struct environment_service *s,
                                    const struct build_task_config *config, struct err *e);
/* Ends it; on_done follows.  `why` becomes the reason (static text, or NULL: "cancelled"). */
void build_task_cancel(struct build_task *t, const char *why);
/* The job has ended and the layer is being made safe. */
bool build_task_is_sealing(const struct build_task *t);

/* Every second: where the disk is nearly full, everything that fills it is ended. */
void build_tasks_watch_disk(struct environment_service *s);
/* The engine is gone. */
void build_tasks_destroy(struct environment_service *s);

/* image_job: makes a layer that environments can stand on, once for all who want it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "service/build_key.h"
#include "service/build_lines.h"
#include "service/resolve.h"

struct environment_service;
struct image_wait;

enum image_job_kind {
    IMAGE_JOB_HOST,  /* packages of this host */
    IMAGE_JOB_TOOLS, /* what the three below are made with */
    IMAGE_JOB_PULL,
    IMAGE_JOB_DEBOOTSTRAP,
    IMAGE_JOB_IMPORT,
};

/* A base that is there. */
struct image_base {
    uint64_t layer; /* 0: it is not */
    char key[160];  /* of the layer */
    char digest[80];
    char python[32];
    char text[RESOLVE_NAME + 128]; /* for people: "image python:3.12-slim (sha256:...)" */
};

/* The host's base, or the image of this name ("" is the host's); its use is noted. */
int image_base_find(struct environment_service *s, const char *name, struct image_base *ret,
                    struct err *e);

struct image_wanted_job {
    enum image_job_kind kind;
    const char *name;    /* of the image, "" for what the host gives */
    uint64_t input;      /* the archive that is imported */
    build_line *on_line; /* what the tools print; may be NULL, together with on_pause */
    void (*on_pause)(void *data);
    /* Once, later: NULL when the layer is there, else why not (valid during the call). */
    void (*on_done)(void *data, const char *reason);
    void *data;
};

/* Waits for the layer, and starts to make it unless that is in progress.  NULL and e. */
struct image_wait *image_job_want(struct environment_service *s, const struct image_wanted_job *w,
                                  struct err *e);
bool image_job_is_running(const struct environment_service *s, enum image_job_kind kind,
                          const char *name);
/* Not after on_done.  What nobody waits for any more is ended. */
void image_wait_cancel(struct image_wait *w);

/* Starts imports that had to wait for their turn. */
void image_jobs_pump(struct environment_service *s);
/* The engine is gone. */
void image_jobs_destroy(struct environment_service *s);

/* image: bases of environments that somebody has brought along.  On the loop, as environment.h. */
#pragma once

#include <stdint.h>

#include "base/err.h"

struct environment_service;
struct image_record;

struct image_wanted {
    const char *name; /* what base_image will say */
    uint64_t input;   /* data/imports/<number> holds the archive */
};
/* Unpacks an archive in a sandbox; `done` follows with NULL or with what went wrong.  The archive
 * is removed in any case.  ERR_INVALID: not a name.  ERR_EXISTS: it is being made. */
int image_import(struct environment_service *s, const struct image_wanted *w,
                 void (*done)(void *data, const struct err *e), void *data, struct err *e);
int image_list(struct environment_service *s,
               int (*each)(void *data, const struct image_record *r, uint32_t environments),
               void *data, struct err *e);
/* ERR_NOT_FOUND; ERR_EXISTS: environments are built on it, e names them. */
int image_remove(struct environment_service *s, const char *name, struct err *e);
/* Removes every image that no environment uses and every layer that nothing refers to. */
int image_gc(struct environment_service *s,
             void (*done)(void *data, uint32_t removed, uint64_t bytes), void *data, struct err *e);

/* multipart: multipart/form-data (RFC 7578), read piece by piece.
 *
 * libmicrohttpd's own reader ends a file name at its first quote, escaped or not, knows no
 * filename*, and cannot be told that its reader is full; so this one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/limits.h"

#define MULTIPART_BOUNDARY 70 /* characters, RFC 2046 */

enum multipart_state {
    MULTIPART_PREAMBLE,
    MULTIPART_TAIL, /* of a boundary's line */
    MULTIPART_HEAD, /* of a part */
    MULTIPART_DATA,
    MULTIPART_EPILOGUE,
    MULTIPART_BROKEN,
};

struct multipart_events {
    int (*on_part)(void *data, const char *name, const char *filename);
    size_t (*take)(void *data, const char *bytes, size_t len);
    void (*on_part_end)(void *data);
    void *data;
};

/* Memory is constant: what is held is this. */
struct multipart {
    struct multipart_events events;
    enum multipart_state state;
    char delimiter[4 + MULTIPART_BOUNDARY + 1]; /* CR LF - - boundary */
    size_t delimiter_len;
    size_t matched;      /* bytes of the delimiter seen */
    size_t owed, repaid; /* bytes of it that were data after all, and how many were given on */
    char tail[3];        /* of a boundary's line: "--" or CR LF */
    size_t tail_len;
    char head[LIMIT_HTTP_PART_HEAD + 1];
    size_t head_len;
    size_t nparts;
    bool is_wanted; /* the part's bytes */
    bool is_full;   /* the taker */
};

/* Prepares for a body of this Content-Type.  -1: it is no multipart/form-data with a boundary. */
int multipart_init(struct multipart *m, const char *content_type,
                   const struct multipart_events *events);
/* Reads a piece; returns how many bytes were used.  Fewer: the taker is full. */
size_t multipart_feed(struct multipart *m, const char *bytes, size_t len);
bool multipart_is_broken(const struct multipart *m);
/* Whether the last boundary has been seen. */
bool multipart_is_complete(const struct multipart *m);

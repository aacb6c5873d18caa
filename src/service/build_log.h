/* build_log: the log of a build: one file for each environment, <id>.log. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define BUILD_LOG_LAST 2000 /* bytes of the last lines that an error shows */

struct build_log_name {
    int dir; /* descriptor */
    int64_t id;
};

/* A log that is being written.  A disk that is full loses lines, never the build. */
struct build_log {
    int fd; /* -1: closed */
    uint64_t size;
    uint64_t limit;    /* of the file: its head is the first half, its tail the rest */
    char time[32];     /* of the lines until the next flush, "" before the first */
    struct buf head;   /* not written yet: until the next flush */
    struct buf tail;   /* not written yet: until the end of the build */
    uint64_t left_out; /* bytes between head and tail */
    struct buf last;   /* lines of the script itself, without times */
};

/* Starts an empty one in place of an older. */
int build_log_open(struct build_log *l, struct build_log_name name, uint64_t limit, struct err *e);
/* Adds a line of the script's output.  Scripts print millions: it is written with the next flush,
 * and lines between two flushes have one time. */
void build_log_output(struct build_log *l, const char *line, size_t len);
void build_log_flush(struct build_log *l);
/* A line of our own: "dunlin: ...".  Flushes. */
void build_log_note(struct build_log *l, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Writes the tail.  Accepts a closed one. */
void build_log_close(struct build_log *l);
/* The last whole lines of output, at most BUILD_LOG_LAST bytes; NUL-terminated. */
const char *build_log_last(struct build_log *l);
void build_log_forget_last(struct build_log *l);

/* A log without its build. */
int build_log_size(struct build_log_name name, uint64_t *ret, struct err *e); /* 0: none yet */
long build_log_read(struct build_log_name name, uint64_t offset, char *out, size_t cap,
                    struct err *e);
void build_log_remove(struct build_log_name name);
/* Adds one line of our own to a log that a crash has cut off. */
void build_log_append(struct build_log_name name, const char *words);

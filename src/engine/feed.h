/* feed: a job on its way into a sandbox: frames and raw bytes, written as the socket takes them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct iovec;
struct run_spec;

struct feed {
    struct buf heads; /* frames; everything else is pointed to where the spec has it */
    struct iovec *iov;
    size_t niov, at; /* iov[at] is the next to be written */
};

struct feed_config {
    const char *work_dir;
    bool warm;             /* the interpreter waits already: no argv */
    bool is_image;         /* not the built-in environment: programs lie where its PATH says */
    uint32_t workspace_mb; /* as the sandbox was built */
};

/* Prepares everything up to FRAME_GO.  The spec must live until the feed is done. */
int feed_init(struct feed *f, const struct run_spec *spec, const struct feed_config *config,
              struct err *e);
void feed_finish(struct feed *f);

/* Writes what the socket takes.  1: all is written; 0: it is full; -1 and e: the peer is gone. */
int feed_write(struct feed *f, int fd, struct err *e);

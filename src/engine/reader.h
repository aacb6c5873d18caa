/* reader: decodes what a sandbox's init says into the result of a run.
 *
 * Pure: bytes in, result out.  Init may have been taken over by the run, so every byte is hostile:
 * lengths, order, counts and totals are checked here and nowhere else. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/run.h"
#include "wire/frame.h"

enum reader_phase {
    READER_BUILDING, /* nothing has come */
    READER_READY,    /* the sandbox waits for its job */
    READER_ENDED,    /* the verdict is in, files may follow */
    READER_DONE,     /* nothing more may come */
};

/* The longest frame that init ever sends: a name or the policy's words. */
#define READER_FRAME_MAX 4096

struct reader {
    enum reader_phase phase;
    struct run_result *result; /* filled; set before the job is sent */
    size_t max_file_size;
    uint64_t files_bytes;
    uint64_t blob_left; /* raw bytes still to come for the last file */
    size_t in_len;
    char in[READER_FRAME_MAX]; /* an unfinished frame */
};

/* Decodes len bytes.  0; -1 and e when they break the protocol: the sandbox is then worthless. */
int reader_feed(struct reader *r, const char *data, size_t len, struct err *e);

/* Nothing more will be read of a sandbox whose verdict is in: a file of which bytes are missing is
 * not a file but a skipped one, and RUN_HIT_FILES says that others may be missing. */
void reader_cut(struct reader *r);

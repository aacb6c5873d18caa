/* session_output: the last output of a process, in the order in which it came, and those who read
 * it, each at a pace of its own.  Pure logic: no loop, no process. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct output_chunk;
struct listener_piece;

struct output_reader {
    struct output_reader *next;
    const struct session_output *output;
    struct output_chunk *at; /* where it is; NULL: it waits for the next chunk */
    size_t pos;
    uint64_t offset[2]; /* of the next byte that it wants, in each stream */
    bool holds;         /* nothing that it has not read is dropped */
};

struct session_output {
    struct output_chunk *first, *last; /* of both streams */
    struct {
        struct output_chunk *first, *last;
        uint64_t total; /* bytes that came */
        size_t kept;    /* of which are held */
    } stream[2];
    struct output_reader *readers;
    size_t keep; /* bytes of each stream that may be held */
};

void output_init(struct session_output *o, size_t keep);
/* Readers must be gone. */
void output_finish(struct session_output *o);
/* Stream 0 or 1.  Without memory the bytes count as come and dropped: readers are told of them. */
void output_append(struct session_output *o, int stream, const char *bytes, size_t len);
/* Drops what is beyond `keep` of each stream, the oldest first, and nobody holds. */
void output_trim(struct session_output *o, size_t keep);
/* No more will come: gives back the room that was meant for it.  Pieces that were read before are
 * void. */
void output_settle(struct session_output *o);
size_t output_kept(const struct session_output *o);
/* Offset of the first byte that is held. */
uint64_t output_first(const struct session_output *o, int stream);

/* From these offsets on (0: from the first that is held; UINT64_MAX: only what comes). */
void output_listen(struct session_output *o, struct output_reader *r, const uint64_t offset[2]);
void output_unlisten(struct session_output *o, struct output_reader *r);
/* Whether there was a piece; it is empty if it only tells what was lost behind the last one. */
bool output_read(struct output_reader *r, struct listener_piece *ret);
/* Bytes that it has not read, dropped ones included. */
uint64_t output_lag(const struct session_output *o, const struct output_reader *r);

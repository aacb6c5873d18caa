/* fetch_stream: decodes what the program that fetches a file prints (runtime/fetch/fetch.py).
 *
 * Pure.  The program talked to whatever is in the network and may have been taken over by it, so
 * every byte is hostile: order, lengths and totals are checked here and nowhere else. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define FETCH_LINE_MAX  (8u << 10) /* bytes of a line of JSON */
#define FETCH_PIECE_MAX (1u << 20) /* and of a piece of the file */
#define FETCH_ERROR_MAX 1024
#define FETCH_NAME_MAX  1024

enum fetch_phase { FETCH_HEAD, FETCH_LENGTH, FETCH_BYTES, FETCH_TAIL, FETCH_OVER };

/* What its two lines say; texts are UTF-8 and may hold anything else. */
struct fetch_facts {
    int status;       /* of the answer, 0: there was none */
    uint64_t size;    /* UINT64_MAX: not said */
    bool is_document; /* of a store, which says: */
    char name[FETCH_NAME_MAX], rev[FETCH_NAME_MAX];
    bool failed;
    char error[FETCH_ERROR_MAX];
};

struct fetch_stream {
    enum fetch_phase phase;
    uint64_t max;   /* bytes of the file at most; to be set */
    uint64_t total; /* that came */
    uint32_t left;  /* of this piece */
    struct fetch_facts facts;
    size_t nline;
    char line[FETCH_LINE_MAX]; /* what has come of a line, or of a length */
};

/* Takes bytes from the front of `data`, at least one, and tells how many; those of the file among
 * them, if any, are the `*ret_len` ones at `*ret_bytes`.  -1 and e: the program does not keep to
 * the protocol.  The facts are there when `phase` is beyond FETCH_HEAD; a file is complete when it
 * is FETCH_OVER and not `failed`. */
long fetch_stream_take(struct fetch_stream *s, const char *data, size_t len, const char **ret_bytes,
                       size_t *ret_len, struct err *e);

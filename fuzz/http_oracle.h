/* http_oracle: judges what a server sent on one connection, knowing nothing but the bytes that went
 * to it and what its handler was given.
 *
 * Two readers of its own.  That of answers takes what RFC 9112 and RFC 6455 let a server send and
 * nothing else.  That of requests knows only the plainest form of a message, and gives up at
 * whatever is odd: where it does understand a message, the server must have understood the same
 * (else one request could be smuggled into another). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

enum { ORACLE_HANDED = 512, ORACLE_PATH = 64, ORACLE_METHOD = 17 };

/* A request that the handler was given. */
struct oracle_handed {
    char method[ORACLE_METHOD], path[ORACLE_PATH]; /* cut, if they are longer */
    struct buf body;
    bool is_streamed; /* it was handed over before its body */
    bool is_complete; /* its body has been read to the end */
};

struct oracle {
    struct buf sent, received; /* by the client */
    struct oracle_handed handed[ORACLE_HANDED];
    size_t nhanded;
    bool has_ended;  /* the server has closed, or said that it sends no more */
    bool may_be_cut; /* something has happened after which an answer need not be complete */
};

/* Aborts if the server did anything wrong.  For when nothing is left to be done or sent. */
void oracle_judge(const struct oracle *o);
void oracle_finish(struct oracle *o);

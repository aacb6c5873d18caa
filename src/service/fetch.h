/* fetch: files from the network into a session.
 *
 * On the loop.  Each file is fetched by a run of ours in the built-in environment, with a network
 * of its own and nothing else, and flows from it into the session as fast as that takes it.  A file
 * appears whole or not at all. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "service/fetch_stream.h"

struct engine;
struct fetch;
struct fetch_service;
struct session;
struct settings;

/* NULL: out of memory.  Engine and settings outlive it, but for its destruction. */
struct fetch_service *fetch_service_create(struct engine *engine, const struct settings *settings);
/* After engine_destroy.  Accepts NULL. */
void fetch_service_destroy(struct fetch_service *s);
/* Whether files may be fetched at all: 0, or -1 and why not, and what to set. */
int fetch_check(const struct fetch_service *s, struct err *e);

struct fetch_header {
    const char *name, *value; /* a token; no control characters */
};

struct fetch_item {
    const char *path; /* in the workspace, relative; directories above it are made */
    const char *url;
    const struct fetch_header *headers;
    size_t nheaders;
    /* Instead of a URL: a document of a store. */
    const char *docid, *savename, *rev;
};

struct fetch_wanted { /* all of it is copied */
    struct session *session;
    const struct fetch_item *items;
    size_t nitems; /* 1 .. LIMIT_FETCH_ITEMS */
    /* Of documents: where they are asked for, and the client's token.  NULL or "": the operator's;
     * whose token goes to the operator's store only. */
    const char *store_url, *token;
    uint32_t seconds; /* for each file, at most DOWNLOADER_TIMEOUT; 0: that */
};

struct fetch_result {
    bool success;
    uint64_t size;            /* bytes that came */
    struct fetch_facts facts; /* `error` says why there is no file, whatever was in the way */
};

/* One of the two, once, last, never before fetch_start returns. */
struct fetch_events {
    /* In the order of the items. */
    void (*on_done)(void *data, const struct fetch_result *const *results, size_t n);
    void (*on_refused)(void *data, const struct err *e); /* the session could not be entered */
    void *data;
};

/* Three at a time, and LIMIT_FETCHES in the whole server; others wait for their turn.  NULL and e:
 * see fetch_check; out of memory. */
struct fetch *fetch_start(struct fetch_service *s, const struct fetch_wanted *wanted,
                          const struct fetch_events *events, struct err *e);
/* Ends it: no event comes.  Files that are there already stay. */
void fetch_cancel(struct fetch *f);

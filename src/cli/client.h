/* client: asks a Dunlin server over HTTP, for the commands of dunlin-client. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct client;

/* Ready to ask the server at `url` ("http://host:port", a scheme may be missing; HTTP when it is),
 * with this key (NULL: none) in every request.  Connects to nothing yet.  NULL and e (ERR_INVALID:
 * the URL or the key cannot be used). */
struct client *client_create(const char *url, const char *key, struct err *e);
void client_destroy(struct client *c); /* accepts NULL */
/* As it was understood; for messages.  Lives as long as the client. */
const char *client_url(const struct client *c);

/* Turns SIGINT and SIGTERM into client_interrupted(), which ends calls and waits. */
void client_catch_interrupts(void);
bool client_interrupted(void);
/* Sleeps, shorter when interrupted. */
void client_sleep_ms(long ms);

struct client_call {
    const char *method;
    const char *path;   /* from the root, as it goes over the wire: see client_path */
    const json_t *body; /* sent as JSON; NULL: no body */
    bool events;        /* asks for server-sent events */
    bool upload;        /* the body is what can be read from `file`, to its end */
    int file;
    long timeout_s; /* until the answer is complete; 0: as long as it takes */
    /* Called ten times a second while waiting, NULL: not. */
    void (*tick)(void *data);
    /* Gets the body of a 2xx answer piece by piece instead of client_answer.body; a non-zero result
     * ends the call, which then fails with ERR_CLOSED.  NULL: collect it. */
    int (*piece)(void *data, const char *bytes, size_t len);
    void *data; /* for both */
};

struct client_answer {
    long status;
    struct buf body; /* with a NUL behind it */
    json_t *json;    /* NULL when the body is not JSON */
};

/* 0 when there is an answer, whatever its status.  Otherwise -1 and e, with words for a person:
 * ERR_UNAVAILABLE nobody answers there, ERR_CLOSED interrupted or ended by `piece`, ERR_LIMIT too
 * large or too late, ERR_INTERNAL anything else.  *ret is to be finished in both cases. */
int client_call(struct client *c, const struct client_call *call, struct client_answer *ret,
                struct err *e);
void client_answer_finish(struct client_answer *a); /* accepts a zeroed struct */
#define _cleanup_answer_ __attribute__((cleanup(client_answer_finish)))

/* "/collection/name" and `rest`; the name is encoded so that it stays one segment.  NULL when out
 * of memory; free(). */
char *client_path(const char *collection, const char *name, const char *rest);
/* A text as part of a path or a query, where "/" stays itself if `slashes`.  NULL when out of
 * memory; free(). */
char *client_escape(const char *text, bool slashes);

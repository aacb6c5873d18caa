/* env_internal: what the files of `dunlin env` share. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

struct client;
struct client_answer;
struct client_options;

/* The commands; each returns the exit status. */
int env_create(struct client *c, const struct client_options *o);
int env_rebuild(struct client *c, const struct client_options *o);
int env_delete(struct client *c, const struct client_options *o);
int env_list(struct client *c, const struct client_options *o);
int env_info(struct client *c, const struct client_options *o);
int env_packages(struct client *c, const struct client_options *o);
int env_logs(struct client *c, const struct client_options *o);
int env_wait(struct client *c, const struct client_options *o);

/* One short request about the environment `name` (NULL: the collection), without a body unless
 * `body` is given.  0 when the server answered, whatever it answered. */
struct env_request {
    const char *method, *name, *rest;
    const json_t *body;
    void (*tick)(void *data); /* see client_call */
    void *data;
};
int env_ask(struct client *c, const struct env_request *r, struct client_answer *ret,
            struct err *e);

/* Asks and insists on a success, or says why there is none (`what`: what cannot be done).  0, or
 * the exit status. */
int env_answer(struct client *c, const struct client_options *o, const struct env_request *r,
               const char *what, struct client_answer *ret);

/* "environment", for client_check. */
const char *env_kind(void);

/* "label: text" on a line of its own; nothing when text is NULL. */
void env_print_fact(const char *label, const char *text);

/* ✅ 🔧 ❌ ❓ */
const char *env_icon(const char *status);
/* The Python found in it ("none": there is none), or the one that was wished for, or "unknown". */
const char *env_python(const json_t *environment);
/* Whether the last build came to nothing.  One that was ready before is ready still. */
bool env_has_failed(const json_t *environment);
/* "failed" and its error, on lines of their own. */
void env_print_failure(const json_t *environment);

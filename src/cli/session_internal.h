/* session_internal: what the files of `dunlin session` share. */
#pragma once

#include <jansson.h>

#include "base/err.h"
#include "cli/client.h"
#include "cli/session_options.h"

/* The commands; each returns the exit status. */
int session_create(struct client *c, const struct session_options *o);
int session_list(struct client *c, const struct session_options *o);
int session_info(struct client *c, const struct session_options *o);
int session_delete(struct client *c, const struct session_options *o);
int session_sleep(struct client *c, const struct session_options *o);
int session_exec(struct client *c, const struct session_options *o);
int session_run(struct client *c, const struct session_options *o);
int session_shell(struct client *c, const struct session_options *o);
int session_ps(struct client *c, const struct session_options *o);
int session_kill(struct client *c, const struct session_options *o);
int session_logs(struct client *c, const struct session_options *o);
int session_ls(struct client *c, const struct session_options *o);
int session_cp(struct client *c, const struct session_options *o);

/* One short request about the session `id` (NULL: the collection) that insists on a success, or
 * says why there is none (`what`: what cannot be done).  0, or the exit status. */
struct session_request {
    const char *method, *id, *rest;
    const json_t *body;
};
int session_answer(struct client *c, const struct session_options *o,
                   const struct session_request *r, const char *what, struct client_answer *ret);

/* For client_check: "session" where it is that which does not exist, NULL where it is something in
 * it. */
const char *session_kind(const struct client_answer *a);
/* {"NAME": "VALUE", ...} of such words; NULL when out of memory or not UTF-8. */
json_t *session_pairs(const char *const *list, size_t n);
/* "?a=b&c=d" of pairs of name and value, a NULL for the last name; values that are NULL are left
 * out. NULL when out of memory; free(). */
char *session_query(const char *const *pairs);

/* A stream of a command's events: its output goes to our own, as it is, and what it comes to is the
 * exit status. */
int session_follow(struct client *c, const struct session_options *o, const char *method,
                   const char *path, const json_t *body);

/* A request to run the code in `file` ("-": stdin): with its language, arguments (words from
 * `first` on), variables, and our standard input when that is a pipe or a file.  NULL and e. */
json_t *session_code(const struct session_options *o, const char *file, int first, struct err *e);
/* The exit status that an end, as the server tells it, stands for. */
int session_status_of(const json_t *result);

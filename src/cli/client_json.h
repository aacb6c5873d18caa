/* client_json: what a server's answer says, for people and for scripts. */
#pragma once

#include <jansson.h>

struct client_answer;
struct client_options;
struct err;

/* A member of an object: its text, "" when it is absent, null or no text. */
const char *client_text_of(const json_t *object, const char *name);
/* A member that is a whole number, 0 otherwise. */
json_int_t client_number_of(const json_t *object, const char *name);
/* Prints JSON to stdout, indented, with everything but ASCII escaped, so that nothing in it reaches
 * a terminal. */
void client_json_print(const json_t *value);

/* What goes wrong, told on stdout, with --json as {"detail": ...}.  All return 1, the exit status.
 */
/* "❌ what: text"; `what` may be NULL. */
int client_fail(const struct client_options *o, const char *what, const char *text);
/* Nobody answered. */
int client_fail_call(const struct client_options *o, const struct err *e);
/* An answer that is no success: in English the words of its `detail`, in Chinese the whole body, as
 * SimplePySandbox's tool did.  A 404 is told in words of its own, unless `kind` ("environment",
 * what the first argument names) is NULL. */
int client_refused(const struct client_options *o, const char *what, const char *kind,
                   const struct client_answer *a);
/* 0 when the answer is a success with an object, otherwise client_refused. */
int client_check(const struct client_options *o, const char *what, const char *kind,
                 const struct client_answer *a);

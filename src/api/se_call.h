/* se_call: what the predecessor's routes have in common: a request, perhaps with a JSON body, about
 * a session, which is made with the usual size where there is none (contract B6).
 *
 * A route embeds a struct se_call as the first member of its own state, made by calloc.  Everything
 * is called on the loop but where it says otherwise. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "api/json_body.h"

struct api;
struct call;
struct err;
struct file_end;
struct http_request;
struct se_call;
struct session;
struct session_call;
struct session_call_events;
struct session_call_spec;

struct se_hooks {
    /* Reads the members of c->body; what is wrong with them becomes a violation.  Maybe on the
     * thread pool.  NULL: the route has no body. */
    void (*decode)(struct se_call *c);
    /* The body is right.  NULL: se_call_enter. */
    void (*on_body)(struct se_call *c);
    /* The session is there, now: go on with se_call_files, or answer and se_call_end. */
    void (*on_session)(struct se_call *c, struct session *session);
    /* The client has gone: stop what on_session started beside se_call_files.  May be NULL. */
    void (*on_gone)(struct se_call *c);
    /* Frees what the state owns, but not the state itself.  May be NULL. */
    void (*on_end)(struct se_call *c);
};

struct se_call {
    struct api *api;
    struct http_request *r; /* NULL when the client has gone */
    const struct se_hooks *hooks;
    char *owner, *id, *rest;    /* copies of what the router found; rest may be NULL */
    struct session_call *files; /* in progress */
    bool away;                  /* on the thread pool, or the session is being made */
    struct json_body body;
    char *text; /* of the body, until it is parsed */
    size_t text_len;
};

/* Begins with a state of `size` bytes (zeroed, its first member a se_call) and watches the client.
 * NULL: the request has been answered.  Next is se_call_decode or se_call_enter. */
void *se_call_begin(size_t size, const struct se_hooks *hooks, struct api *api,
                    struct http_request *r, const struct call *call);
/* Decodes the body, and goes on with on_body or se_call_enter. */
void se_call_decode(struct se_call *c);
/* Finds the session or makes it, and calls on_session; or answers what is wrong and ends. */
void se_call_enter(struct se_call *c);
/* A call on the session's files; its on_end and on_refused are the route's, which must set c->files
 * to NULL there.  Answers and ends when there is no memory. */
void se_call_files(struct se_call *c, struct session *session, const struct session_call_spec *spec,
                   const struct session_call_events *events);
/* Answers that the session could not be entered, and ends. */
void se_call_refused(struct se_call *c, const struct err *e);
/* Answers that a call on files failed, and ends. */
void se_call_failed(struct se_call *c, const char *message, const struct file_end *end,
                    const char *text);
/* Answers an error and ends. */
void se_call_error(struct se_call *c, int status, const char *message, const char *detail);
/* It has been answered: frees everything. */
void se_call_end(struct se_call *c);

/* session_collect: requests that are answered with all that one call on files found, as one JSON
 * object, or with nothing (204). */
#pragma once

#include <stdbool.h>

#include "api/session_call.h"
#include "base/buf.h"

struct http_request;

struct collect_plan { /* static */
    /* Appends what a frame of type `frame` says; `base` is the path of the call. */
    int (*append)(struct buf *out, const struct file_message *m, const char *base);
    uint32_t frame;
    const char *list; /* name of the array that the objects are in; NULL: there is one, itself */
    bool tells_path;  /* the list's object begins with "path" */
};

/* Makes the call and answers; `plan` NULL: with 204.  `path` is shown in answers (copied). */
void session_collect(struct http_request *r, struct session *session,
                     const struct session_call_spec *spec, const struct collect_plan *plan,
                     const char *path);

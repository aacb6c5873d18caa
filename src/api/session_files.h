/* session_files: the bytes of one file to a client, and from it. */
#pragma once

#include <stdbool.h>

#include "engine/file_call.h"

struct http_request;
struct session;

/* Answers GET and HEAD with the file at `path`: ranges, tags and dates as RFC 9110 has them. */
void session_download(struct http_request *r, struct session *session, const char *path);
/* The same, to be looked at: inline, as `type` (static). */
void session_show(struct http_request *r, struct session *session, const char *path,
                  const char *type);

struct upload_plan {
    struct session_file what; /* FILE_WRITE, FILE_APPEND, FILE_PATCH; its size is set here */
    const char *path;         /* copied */
    /* Answers: a file of this path is there now, as `info` says. */
    void (*answer)(struct http_request *r, const char *path, const struct file_message *info,
                   bool is_new);
};
/* Takes the body of a request of ROUTE_STREAM as the bytes of a file. */
void session_upload(struct http_request *r, struct session *session,
                    const struct upload_plan *plan);

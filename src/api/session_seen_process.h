/* session_seen_process: the process that a request's path names. */
#pragma once

struct api;
struct call;
struct http_request;
struct session_process;

/* NULL: there is no such session for this caller, or no such process in it, and the request has
 * been answered with 404. */
struct session_process *session_seen_process(struct api *api, struct http_request *r,
                                             const struct call *call);

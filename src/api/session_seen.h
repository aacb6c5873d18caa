/* session_seen: the session that a request's path names. */
#pragma once

struct api;
struct call;
struct http_request;
struct session;

/* NULL: there is none that this caller may see, and the request has been answered with 404 (R93).
 */
struct session *session_seen(struct api *api, struct http_request *r, const struct call *call);

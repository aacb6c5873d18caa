/* session_create: answers with sessions. */
#pragma once

#include "service/session.h"

struct api;
struct call;
struct http_request;

/* Makes a session for the caller and answers with it (201), or with what is in the way. */
void session_create_reply(struct api *api, struct http_request *r, const struct call *call,
                          struct session_wanted *wanted);
/* Answers with the session of this id (200), or 404. */
void session_reply_object(struct api *api, struct http_request *r, const char *owner,
                          const char *id);

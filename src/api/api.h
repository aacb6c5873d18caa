/* api: the HTTP interface.  One file per resource decodes, validates, calls the service, encodes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/buf.h"
#include "base/err.h"

struct api;
struct engine;
struct environment_service;
struct http_request;
struct session_service;
struct settings;

/* Prepares everything that needs files (keys, pages, /proc): call it before the server locks itself
 * down.  The settings must outlive it; the keys in them are wiped.  `web_dir` holds the pages.
 * NULL and e on failure. */
struct api *api_create(uv_loop_t *loop, const struct settings *settings, struct engine *engine,
                       const char *web_dir, struct err *e);
/* Hands over the environments, which must outlive the api's last request.  Once, after api_create
 * (their state is opened behind the lockdown) and before the loop runs. */
void api_use_environments(struct api *api, struct environment_service *environments);
/* The same for the sessions. */
void api_use_sessions(struct api *api, struct session_service *sessions);
/* After http_server_destroy, then engine_destroy, and when the loop has no work left in its thread
 * pool.  Accepts NULL. */
void api_destroy(struct api *api);

/* Whether callers need a key. */
bool api_has_keys(const struct api *api);

/* For struct http_config, with the api as data. */
void api_handle(struct http_request *r, void *api);
size_t api_body_limit(const char *method, const char *path, void *api);
bool api_streams_body(const char *method, const char *path, void *api);
void api_error_body(int status, struct buf *out, void *api);

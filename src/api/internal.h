/* internal: what the resources share. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "api/rules.h"
#include "base/buf.h"

struct docs;
struct engine;
struct environment_service;
struct execute_service;
struct fetch_service;
struct http_request;
struct keys;
struct se_text;
struct session_service;
struct settings;

struct api {
    uv_loop_t *loop;
    struct engine *engine;
    struct execute_service *execute;
    struct environment_service *environments;
    struct session_service *sessions;
    struct fetch_service *fetch;
    struct keys *keys;
    struct docs *docs;
    struct request_rules rules;
    const struct settings *settings;
    struct se_text *text; /* may be NULL */
};

/* -- router.c */
/* What the router found out about a request; lives as long as the handler's call. */
struct call {
    const char *client; /* whose turn its work uses */
    const char *owner;  /* whose sessions it may see: the key's id, "" where no keys are needed */
    const char *name; /* what stands in the path for the first {...}: any text, hostile; or NULL */
    const char *rest; /* the same for the second one */
};
typedef void api_handler(struct api *api, struct http_request *r, const struct call *call);

#define ROUTE_OPEN   (1u << 0) /* needs no key */
#define ROUTE_BODY   (1u << 1) /* a run's inputs: up to MAX_BODY_SIZE */
#define ROUTE_CODE   (1u << 2) /* a text of at most MAX_CODE_LENGTH characters */
#define ROUTE_TREE   (1u << 3) /* `path` is a prefix, or its last {...} holds slashes too */
#define ROUTE_SCRIPT (1u << 4) /* a setup script */
#define ROUTE_STREAM (1u << 5) /* the body comes piece by piece (http/body.h), however long */
#define ROUTE_SOCKET (1u << 6) /* a WebSocket, whose key may be a subprotocol */

struct route {
    const char *method;
    const char *path; /* may hold two {...}: each a segment that is not empty */
    api_handler *handle;
    unsigned flags;
};
/* Every route there is (routes.c); the last one has no method. */
extern const struct route api_routes[];

void router_handle(struct api *api, struct http_request *r);
size_t router_body_limit(const struct api *api, const char *method, const char *path);
bool router_streams_body(const char *method, const char *path);

/* -- offload.c */
/* Calls `work` and then `done` with `data`: at once for small jobs, else `work` on the thread pool
 * and `done` later on the loop.  0, or -1 when out of memory (neither is called). */
int offload(uv_loop_t *loop, size_t size, void (*work)(void *data), void (*done)(void *data),
            void *data);

/* -- content_type.c */
/* Whether the request says that its body is JSON: application/json or a +json type (R83). */
bool content_is_json(const struct http_request *r);
/* Answers a body of another type with 422, in FastAPI's shape. */
void content_refuse(struct http_request *r);
/* Whether the client asks for server-sent events. */
bool content_wants_events(const struct http_request *r);

/* -- the resources */
api_handler root_get, version_get, health_get;
api_handler docs_get, redoc_get, openapi_get, web_get;
api_handler execute_post, execute_with_environment_post, policy_check_post;
api_handler environments_post, environments_get, environment_get_one, environment_delete_one;
api_handler environment_patch_one, environment_rebuild_post, environment_packages_get;
api_handler environment_logs_get;
api_handler images_get, image_delete, images_gc_post, images_import_post;

/* -- the predecessor's sessions, under /workspace/se (contract, part B) */
api_handler se_healthy_get, se_session_post, se_session_delete, se_workspaces_get, se_status_get;
api_handler se_cleanup_post, se_create_post, se_upload_post, se_download_get, se_preview_get;
api_handler se_files_get, se_files_redirect, se_readfile_get, se_execute_post, se_code_post;
api_handler se_efast_post;
api_handler se_handler_post;
api_handler sessions_post, sessions_get, session_get, session_patch, session_delete_one;
api_handler session_sleep_post, session_usage_get, session_exec_post, session_run_post;
api_handler session_processes_get, session_process_get, session_process_delete;
api_handler session_signal_post, session_stdin_post, session_resize_post;
api_handler session_output_get, session_attach_get, session_terminal_get;
api_handler session_file_get, session_file_put, session_file_delete;
api_handler session_list_get, session_stat_get, session_search_get, session_watch_get;
api_handler session_mkdir_post, session_move_post, session_copy_post, session_chmod_post;
api_handler session_remove_post, session_tar_get, session_tar_put;
api_handler session_snapshots_post, session_snapshots_get, session_restore_post;
api_handler session_fork_post, session_fetch_post, snapshots_get, snapshot_delete_one;

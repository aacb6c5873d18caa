/* api: makes the parts of the HTTP interface and hands requests to the router.  Runs in the server:
 * made at start, with the privileges the server then still has; everything after that is the loop
 * thread's. */
#include "api/api.h"

#include <jansson.h>
#include <stdlib.h>

#include "api/docs.h"
#include "api/errors.h"
#include "api/internal.h"
#include "api/keys.h"
#include "api/se_text.h"
#include "base/log.h"
#include "base/settings.h"
#include "service/execute.h"
#include "service/fetch.h"
#include "service/memory.h"

static int create_execute(struct api *api, const struct settings *s, struct err *e)
{
    struct execute_config config = {
        .engine = api->engine,
        .slots = (uint32_t)s->concurrent_limit,
        .queue_max = (uint32_t)s->queue_limit,
    };
    if (memory_budget_mb(s->memory_budget, &config.memory_mb, e) < 0 ||
        rules_from_settings(&api->rules, s, config.memory_mb, e) < 0)
        return -1;
    if ((uint64_t)s->memory_limit > config.memory_mb << 20)
        log_event(LOG_WARNING, "memory_limit_lowered",
                  LOG_INT("memory_mb", api->rules.usual.memory_mb),
                  LOG_STR("reason", "MEMORY_LIMIT is more than all runs share (MEMORY_BUDGET)"));
    api->execute = execute_service_create(&config, e);
    if (!api->execute)
        return -1;
    api->fetch = fetch_service_create(api->engine, s);
    return api->fetch ? 0 : err_set(e, ERR_INTERNAL, 0, "out of memory");
}

static int create_parts(struct api *api, const struct settings *s, const char *web_dir,
                        struct err *e)
{
    /* Now, because the seed comes from a file that the locked server may not open. */
    json_object_seed(0);
    api->keys = keys_create(s->api_keys, s->api_key_file, e);
    if (!api->keys)
        return -1;
    api->text = se_text_create();
    api->docs = docs_create(web_dir, e);
    if (!api->docs)
        return -1;
    return create_execute(api, s, e);
}

struct api *api_create(uv_loop_t *loop, const struct settings *settings, struct engine *engine,
                       const char *web_dir, struct err *e)
{
    struct api *api = calloc(1, sizeof *api);
    if (!api) {
        err_set(e, ERR_INTERNAL, 0, "out of memory");
        return NULL;
    }
    api->loop = loop;
    api->engine = engine;
    api->settings = settings;
    if (create_parts(api, settings, web_dir, e) < 0) {
        api_destroy(api);
        return NULL;
    }
    return api;
}

void api_use_environments(struct api *api, struct environment_service *environments)
{
    api->environments = environments;
}

void api_use_sessions(struct api *api, struct session_service *sessions)
{
    api->sessions = sessions;
}

void api_destroy(struct api *api)
{
    if (!api)
        return;
    execute_service_destroy(api->execute);
    fetch_service_destroy(api->fetch);
    docs_destroy(api->docs);
    se_text_destroy(api->text);
    keys_destroy(api->keys);
    free(api);
}

bool api_has_keys(const struct api *api)
{
    return keys_required(api->keys);
}

void api_handle(struct http_request *r, void *api)
{
    router_handle(api, r);
}

size_t api_body_limit(const char *method, const char *path, void *api)
{
    return router_body_limit(api, method, path);
}

bool api_streams_body(const char *method, const char *path, void *api)
{
    return router_streams_body(method, path);
}

void api_error_body(int status, struct buf *out, void *api)
{
    error_http_body(status, out, api);
}

/* health: GET /health.  Runs in the server's loop thread.  It asks nobody and waits for nothing, so
 * that it answers while every slot is taken: the engine keeps what it reports up to date. */
#include "api/internal.h"
#include "api/text.h"
#include "base/clock.h"
#include "engine/engine.h"
#include "http/http.h"
#include "service/execute.h"

static const char *word(bool truth)
{
    return truth ? "true" : "false";
}

void health_get(struct api *api, struct http_request *r, const struct call *call)
{
    struct engine_health health;
    struct buf body = {0};
    char now[32];
    engine_health(api->engine, &health);
    struct execute_status runs = execute_status(api->execute);
    bool healthy = health.spawner && health.sandbox;
    clock_format_utc(clock_wall_us(), now);

    buf_printf(&body,
               "{\"status\":\"%s\",\"timestamp\":\"%s\",\"checks\":{\"spawner\":%s,\"sandbox\":%s},"
               "\"idle_sandboxes\":%u,\"running\":%u,\"waiting\":%u,\"reason\":",
               healthy ? "healthy" : "unhealthy", now, word(health.spawner), word(health.sandbox),
               (unsigned)health.idle, (unsigned)runs.running, (unsigned)runs.waiting);
    text_append_json_str(&body, healthy ? NULL : health.reason);
    buf_append_str(&body, "}");
    http_add_header(r, "Cache-Control", "no-store");
    http_reply(r, healthy ? 200 : 503, "application/json", &body);
}

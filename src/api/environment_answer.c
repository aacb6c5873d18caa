/* environment_answer: encoder of environments and images.  Runs in the server's loop thread.  Texts
 * are clients' or come from builds in sandboxes: all of them go through the escaper. */
#include "api/environment_answer.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "api/environment_name.h"
#include "api/put.h"
#include "api/text.h"

/* What the predecessor answers where the client has named neither. */
#define USUAL_BASE_IMAGE     "python:3.11-slim"
#define USUAL_PYTHON_VERSION "3.11"
#define PACKAGES_MAX         20000

static const char *const status_names[] = {
    [ENVIRONMENT_BUILDING] = "building",
    [ENVIRONMENT_READY] = "ready",
    [ENVIRONMENT_FAILED] = "failed",
};

/* The built-in environment was not made by anybody's words; these are ours. */
static struct environment_record describe_built_in(const struct environment_record *r)
{
    return (struct environment_record){
        .name = (char *)ENVIRONMENT_DEFAULT,
        .description = (char *)"内置环境 (the built-in environment)",
        .base = (char *)"host",
        .status = ENVIRONMENT_READY,
        .network = r ? r->network : NULL,
        .last_used = r ? r->last_used : NULL,
    };
}

static const char *or_usual(const char *text, const char *usual)
{
    return text && *text ? text : usual;
}

/* A time in UTC, with the offset as Python writes it. */
static void put_time(struct writer *w, const char *name, const char *time)
{
    char text[48];
    size_t len = time ? strlen(time) : 0;
    if (len == 0 || time[len - 1] != 'Z') {
        put_some(w, name, time);
        return;
    }
    snprintf(text, sizeof text, "%.*s+00:00", (int)len - 1, time);
    put_text(w, name, text);
}

/* "a,b" becomes ["a","b"]; NULL becomes null. */
static void put_list(struct writer *w, const char *name, const char *items)
{
    put_name(w, name);
    if (!items) {
        put(w, "null");
        return;
    }
    put(w, "[");
    for (const char *between = ""; *items; between = ",") {
        size_t n = strcspn(items, ",");
        put(w, between);
        w->failed |= text_append_json(w->out, items, n) < 0;
        items += n + (items[n] == ',');
    }
    put(w, "]");
}

/* The name that the predecessor would have given to a thing of its own. */
static void put_alias(struct writer *w, const char *member, const char *name, const char *suffix)
{
    char text[ENVIRONMENT_NAME_MAX + 32];
    snprintf(text, sizeof text, "sandbox-%s%s", name, suffix);
    put_text(w, member, text);
}

/* -- environments -- */

static void put_predecessors(struct writer *w, const struct environment_record *r)
{
    put_text(w, "name", r->name);
    put_text(w, "description", r->description ? r->description : "");
    put_text(w, "base_image", or_usual(r->base_image, USUAL_BASE_IMAGE));
    if (r->status == ENVIRONMENT_READY)
        put_alias(w, "docker_image", r->name, ":latest");
    else
        put_text(w, "docker_image", NULL);
    put_alias(w, "conda_env_name", r->name, "");
    put_text(w, "env_path", "/");
    put_text(w, "python_version", or_usual(r->python_version, USUAL_PYTHON_VERSION));
    put_text(w, "setup_script", r->setup_script ? r->setup_script : "");
    put_text(w, "status", status_names[r->status]);
    put_time(w, "created_at", r->created_at);
    put_time(w, "last_used", r->last_used);
    put_some(w, "error", r->error);
}

static void put_log(struct writer *w, const char *log, size_t len)
{
    put_name(w, "logs");
    w->failed |= text_append_json(w->out, log, len) < 0;
}

static void put_build(struct writer *w, const struct environment_view *v,
                      const struct environment_record *r)
{
    put_bool(w, "queued", v->queued);
    put_if_set(w, "queue_place", v->queued ? v->queue_place : 0);
    put_text(w, "phase", v->phase);
    put_time(w, "built_at", r->built_at);
    if (r->built_at)
        put_thousandths(w, "build_seconds", (uint64_t)(r->build_seconds * 1000 + 0.5));
    else
        put_text(w, "build_seconds", NULL);
    put_number(w, "size_bytes", r->bytes);
    put_number(w, "shared_bytes", v->shared_bytes);
    put_some(w, "base", r->base);
    put_some(w, "digest", r->digest);
    put_some(w, "actual_python", v->actual_python);
}

static void put_limits(struct writer *w, const struct environment_record *r)
{
    put_name(w, "limits");
    put(w, "{");
    put_if_set(w, "memory_mb", r->memory_mb);
    if (r->cpu_milli)
        put_thousandths(w, "cpu", r->cpu_milli);
    else
        put_text(w, "cpu", NULL);
    put_if_set(w, "processes", r->processes);
    put_if_set(w, "workspace_mb", r->workspace_mb);
    put(w, "}");
    put_if_set(w, "timeout", r->timeout_s);
}

static void put_use(struct writer *w, const struct environment_view *v,
                    const struct environment_record *r)
{
    put_list(w, "warm", r->warm);
    put_list(w, "learned", r->learned ? r->learned : "");
    put_text(w, "network", or_usual(r->network, "none"));
    put_text(w, "build_network", or_usual(r->build_network, "none"));
    put_limits(w, r);
    put_number(w, "active_runs", v->runs);
    put_number(w, "total_runs", v->runs_total);
    put_bool(w, "is_warm", v->warm);
    put_bool(w, "built_in", v->built_in);
}

int environment_append(struct buf *out, const struct environment_view *v, const char *log,
                       size_t log_len)
{
    const struct environment_record own = describe_built_in(v->record);
    const struct environment_record *r = v->built_in ? &own : v->record;
    struct writer w = {.out = out};
    if (buf_append_str(out, "{") < 0)
        return -1;
    put_predecessors(&w, r);
    put_log(&w, log, log_len);
    put_build(&w, v, r);
    put_use(&w, v, r);
    put(&w, "}");
    return w.failed ? -1 : 0;
}

const char *environment_status_name(const struct environment_view *v)
{
    return status_names[v->built_in ? ENVIRONMENT_READY : v->record->status];
}

/* -- packages -- */

/* A member's text; NULL when it is none. */
static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static size_t put_packages(struct writer *w, const json_t *list)
{
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(list) && n < PACKAGES_MAX; i++) {
        const json_t *package = json_array_get(list, i);
        const char *name = text_of(package, "name");
        if (!name)
            continue;
        put(w, n++ ? ",{" : "{");
        put_text(w, "name", name);
        put_text(w, "version", text_of(package, "version"));
        put_text(w, "manager", text_of(package, "manager"));
        put(w, "}");
    }
    return n;
}

int environment_append_packages(struct buf *out, const char *packages)
{
    struct writer w = {.out = out};
    json_t *list = packages ? json_loads(packages, 0, NULL) : NULL;
    put(&w, "{\"packages\":[");
    size_t n = put_packages(&w, list);
    put(&w, "]");
    if (!w.failed)
        put_number(&w, "total", n);
    if (!w.failed)
        put_bool(&w, "known", json_is_array(list));
    put(&w, "}");
    json_decref(list);
    return w.failed ? -1 : 0;
}

/* -- images -- */

int environment_append_image(struct buf *out, const struct image_record *r, uint32_t environments)
{
    struct writer w = {.out = out};
    if (buf_append_str(out, "{") < 0)
        return -1;
    put_text(&w, "name", r->name);
    put_text(&w, "source", r->source);
    put_some(&w, "digest", r->digest);
    put_some(&w, "python_version", r->python_version);
    put_number(&w, "size_bytes", r->bytes);
    put_number(&w, "environments", environments);
    put_time(&w, "created_at", r->created_at);
    put_time(&w, "last_used", r->last_used);
    put(&w, "}");
    return w.failed ? -1 : 0;
}

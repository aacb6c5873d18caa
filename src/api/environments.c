/* environments: making, listing, changing, rebuilding and deleting environments.
 *
 * Runs in the server's loop thread.  A request that waits for a build holds nothing but itself: the
 * build is the service's, and goes on when the client goes away. */
#include "service/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/environment_answer.h"
#include "api/environment_name.h"
#include "api/environment_request.h"
#include "api/errors.h"
#include "api/internal.h"
#include "api/text.h"
#include "api/wait.h"
#include "http/http.h"
#include "service/script_lint.h"

#define JSON           "application/json"
#define FAILED_CREATE  "创建环境失败: "
#define FAILED_GET     "获取环境信息失败: "
#define FAILED_LIST    "获取环境列表失败: "
#define FAILED_DELETE  "删除环境失败: "
#define FAILED_CHANGE  "修改环境失败: "
#define FAILED_REBUILD "重建环境失败: "

static bool is_built_in(const char *name)
{
    return strcmp(name, ENVIRONMENT_DEFAULT) == 0;
}

/* Sends `body` (taken over), unless there was no memory for all of it. */
static void reply_json(struct http_request *r, struct buf *body, bool complete)
{
    if (complete) {
        http_reply(r, 200, JSON, body);
        return;
    }
    buf_finish(body);
    error_reply_memory(r);
}

/* {"WORD": "环境 'NAME'" "TEXT"} */
static void reply_words(struct http_request *r, int status, const char *name, const char *text)
{
    _cleanup_buf_ struct buf words = {0};
    if (environment_append_quoted(&words, name, strlen(name)) < 0 ||
        buf_append_str(&words, text) < 0)
        error_reply_memory(r);
    else
        error_reply(r, status, words.data, words.len);
}

static void reply_failure(struct http_request *r, const char *name, const char *prefix,
                          const struct err *e)
{
    if (e->code == ERR_NOT_FOUND)
        error_reply_no_environment(r, name);
    else
        error_reply_failure(r, prefix, e);
}

/* -- objects -- */

/* -1: out of memory. */
static int append_view(struct environment_service *s, const struct environment_view *v,
                       struct buf *out)
{
    char log[ENVIRONMENT_LOG_TAIL];
    return environment_append(out, v, log, environment_log_tail(s, v, log, sizeof log));
}

/* -1: no such environment, or out of memory (e). */
static int append_object(struct environment_service *s, const char *name, struct buf *out,
                         struct err *e)
{
    struct environment_view v;
    if (environment_get(s, name, &v, e) < 0)
        return -1;
    if (append_view(s, &v, out) < 0)
        return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
    return 0;
}

static void reply_object(struct api *api, struct http_request *r, const char *name)
{
    struct buf body = {0};
    struct err e = {0};
    if (append_object(api->environments, name, &body, &e) == 0) {
        http_reply(r, 200, JSON, &body);
        return;
    }
    buf_finish(&body);
    reply_failure(r, name, FAILED_GET, &e);
}

void environment_get_one(struct api *api, struct http_request *r, const struct call *call)
{
    reply_object(api, r, call->name);
}

struct list {
    struct environment_service *environments;
    struct buf *body;
    size_t n;
};

static int append_one(void *data, const struct environment_view *v)
{
    struct list *l = data;
    if (l->n++ > 0 && buf_append_str(l->body, ",") < 0)
        return -1;
    return append_view(l->environments, v, l->body);
}

void environments_get(struct api *api, struct http_request *r, const struct call *call)
{
    struct buf body = {0};
    struct err e = {0};
    struct list l = {.environments = api->environments, .body = &body};
    if (buf_append_str(&body, "{\"environments\":[") == 0 &&
        environment_each(api->environments, append_one, &l) == 0 &&
        buf_printf(&body, "],\"total\":%zu}", l.n) >= 0) {
        http_reply(r, 200, JSON, &body);
        return;
    }
    buf_finish(&body);
    err_set(&e, ERR_UNAVAILABLE, 0, "out of memory");
    error_reply_failure(r, FAILED_LIST, &e);
}

/* -- waiting for a build -- */

/* A request that waits. */
struct waiting {
    struct api *api;
    struct http_request *r;
    struct environment_waiter *waiter;
    char name[ENVIRONMENT_NAME_MAX + 1];
};

static void on_gone(void *data)
{
    struct waiting *w = data;
    environment_wait_cancel(w->waiter);
    free(w);
}

static void on_waited(void *data)
{
    struct waiting *w = data;
    struct environment_view v;
    if (environment_get(w->api->environments, w->name, &v, NULL) == 0)
        reply_object(w->api, w->r, w->name);
    else
        reply_words(w->r, 409, w->name, " 在构建时被删除 (deleted while it was being built)");
    free(w);
}

static bool is_building(const struct environment_view *v)
{
    return v->phase || (v->record && v->record->status == ENVIRONMENT_BUILDING);
}

/* Answers with the object: when the build has ended, or when the client does not want to wait any
 * longer. */
static void reply_when_built(struct api *api, struct http_request *r, const char *name,
                             const struct wait_wish *wish)
{
    struct environment_service *s = api->environments;
    struct environment_view v;
    if (wish->applied[0])
        http_add_header(r, "Preference-Applied", wish->applied);
    if (wish->ms == 0 || environment_get(s, name, &v, NULL) < 0 || !is_building(&v)) {
        reply_object(api, r, name);
        return;
    }
    struct waiting *w = calloc(1, sizeof *w);
    if (!w) {
        error_reply_memory(r);
        return;
    }
    *w = (struct waiting){.api = api, .r = r};
    snprintf(w->name, sizeof w->name, "%s", name);
    w->waiter = environment_wait(s, name, wish->ms, on_waited, w);
    if (!w->waiter) {
        free(w);
        error_reply_memory(r);
        return;
    }
    http_set_gone(r, on_gone, w);
}

/* Answers 422 if what the client says about waiting cannot be read. */
static int parse_wait(struct http_request *r, struct wait_wish *ret)
{
    if (wait_parse(http_query(r, "wait"), http_header(r, "Prefer"), ret) == 0)
        return 0;
    error_reply_query(r, "wait", "bool_parsing",
                      "Input should be a valid boolean, unable to interpret input");
    return -1;
}

/* -- requests with a body -- */

/* Answers, and finishes the request, unless it is valid. */
static bool is_valid(struct http_request *r, struct environment_request *q)
{
    if (q->verdict == ENVIRONMENT_REQUEST_VALID)
        return true;
    if (q->verdict == ENVIRONMENT_REQUEST_INVALID)
        error_reply_violations(r, &q->answer);
    else
        error_reply_memory(r);
    environment_request_finish(q);
    return false;
}

/* Which member of the body the service's words are about: they begin with its name.  NULL: with
 * none. */
static const char *member_of(const struct err *e)
{
    static const char *const members[] = {"network", "build_network",  "base_image",
                                          "timeout", "python_version", NULL};
    size_t len = strcspn(e->text, " ");
    if (strncmp(e->text, SCRIPT_LINT_WORDS, strlen(SCRIPT_LINT_WORDS)) == 0)
        return "setup_script";
    for (size_t i = 0; members[i]; i++) {
        if (strlen(members[i]) == len && memcmp(members[i], e->text, len) == 0)
            return members[i];
    }
    return NULL;
}

/* Answers a request that the service has refused (ERR_INVALID: with 422), and finishes it. */
static void reply_refused(struct http_request *r, struct environment_request *q, const char *name,
                          const char *prefix, const struct err *e)
{
    if (e->code == ERR_INVALID) {
        environment_request_refuse(q, member_of(e), e->text);
        is_valid(r, q);
        return;
    }
    reply_failure(r, name, prefix, e);
    environment_request_finish(q);
}

static void reply_exists(struct http_request *r, const char *name)
{
    reply_words(r, 400, name, " 已存在");
}

void environments_post(struct api *api, struct http_request *r, const struct call *call)
{
    struct environment_request q;
    struct wait_wish wish;
    struct err e = {0};
    char name[ENVIRONMENT_NAME_MAX + 1];
    if (!content_is_json(r)) {
        content_refuse(r);
        return;
    }
    if (parse_wait(r, &wish) < 0)
        return;
    struct buf *body = http_body(r);
    environment_request_decode(&q, &api->rules, body->data, body->len);
    if (!is_valid(r, &q))
        return;
    snprintf(name, sizeof name, "%s", q.wanted.name);
    if (is_built_in(name))
        err_set(&e, ERR_EXISTS, 0, "built in");
    else
        environment_create(api->environments, &q.wanted, &e);
    if (e.code == ERR_NONE || e.code == ERR_EXISTS)
        environment_request_finish(&q);
    if (e.code == ERR_NONE)
        reply_when_built(api, r, name, &wish);
    else if (e.code == ERR_EXISTS)
        reply_exists(r, name);
    else
        reply_refused(r, &q, name, FAILED_CREATE, &e);
}

void environment_patch_one(struct api *api, struct http_request *r, const struct call *call)
{
    struct environment_request q;
    struct err e = {0};
    if (!content_is_json(r)) {
        content_refuse(r);
        return;
    }
    if (is_built_in(call->name)) {
        reply_words(r, 400, call->name, " 是内置环境，不能修改 (built in, cannot be changed)");
        return;
    }
    struct buf *body = http_body(r);
    environment_patch_decode(&q, &api->rules, body->data, body->len);
    if (!is_valid(r, &q))
        return;
    if (environment_patch(api->environments, call->name, &q.wanted, &e) < 0) {
        reply_refused(r, &q, call->name, FAILED_CHANGE, &e);
        return;
    }
    environment_request_finish(&q);
    reply_object(api, r, call->name);
}

/* -- requests without one -- */

void environment_delete_one(struct api *api, struct http_request *r, const struct call *call)
{
    struct err e = {0};
    if (is_built_in(call->name)) {
        reply_words(r, 400, call->name, " 是内置环境，不能删除 (built in, cannot be deleted)");
        return;
    }
    if (environment_delete(api->environments, call->name, &e) < 0) {
        reply_failure(r, call->name, FAILED_DELETE, &e);
        return;
    }
    _cleanup_buf_ struct buf words = {0};
    struct buf body = {0};
    int result = environment_append_quoted(&words, call->name, strlen(call->name)) |
                 buf_append_str(&words, " 已删除") | buf_append_str(&body, "{\"message\":");
    if (result == 0)
        result = text_append_json(&body, words.data, words.len) | buf_append_str(&body, "}");
    reply_json(r, &body, result == 0);
}

void environment_rebuild_post(struct api *api, struct http_request *r, const struct call *call)
{
    struct wait_wish wish;
    struct err e = {0};
    if (is_built_in(call->name)) {
        reply_words(r, 400, call->name, " 是内置环境，不能重建 (built in, cannot be rebuilt)");
        return;
    }
    if (parse_wait(r, &wish) < 0)
        return;
    if (environment_rebuild(api->environments, call->name, &e) < 0)
        reply_failure(r, call->name, FAILED_REBUILD, &e);
    else
        reply_when_built(api, r, call->name, &wish);
}

/* -- packages -- */

/* A long list takes a while to check, off the loop. */
struct listing {
    struct http_request *r; /* NULL when the client has gone */
    char *packages;
    struct buf body;
    int result;
};

static void on_listing_gone(void *data)
{
    struct listing *l = data;
    l->r = NULL;
}

static void on_list(void *data)
{
    struct listing *l = data;
    l->result = environment_append_packages(&l->body, l->packages);
}

static void on_listed(void *data)
{
    struct listing *l = data;
    if (l->r)
        reply_json(l->r, &l->body, l->result == 0);
    else
        buf_finish(&l->body);
    free(l->packages);
    free(l);
}

void environment_packages_get(struct api *api, struct http_request *r, const struct call *call)
{
    struct environment_view v;
    struct err e = {0};
    if (environment_get(api->environments, call->name, &v, &e) < 0) {
        reply_failure(r, call->name, FAILED_GET, &e);
        return;
    }
    const char *packages = v.record ? v.record->packages : NULL;
    struct listing *l = calloc(1, sizeof *l);
    if (l && packages)
        l->packages = strdup(packages);
    if (!l || (packages && !l->packages)) {
        free(l);
        error_reply_memory(r);
        return;
    }
    l->r = r;
    http_set_gone(r, on_listing_gone, l);
    if (offload(api->loop, packages ? strlen(l->packages) : 0, on_list, on_listed, l) < 0) {
        free(l->packages);
        free(l);
        error_reply_memory(r);
    }
}

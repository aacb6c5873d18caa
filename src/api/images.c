/* images: base images: what there is, taking one in, taking some out.
 *
 * Runs in the server's loop thread.  An import is the service's once it has begun, and goes on when
 * the client goes away. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/environment_answer.h"
#include "api/environment_request.h"
#include "api/errors.h"
#include "api/internal.h"
#include "api/text.h"
#include "http/http.h"
#include "service/environment.h"
#include "service/image.h"

#define JSON          "application/json"
#define FAILED_LIST   "获取镜像列表失败: "
#define FAILED_IMPORT "导入镜像失败: "
#define FAILED_REMOVE "删除镜像失败: "
#define FAILED_GC     "清理镜像失败: "
#define NAME_SHOWN    256

/* -- the list -- */

struct list {
    struct buf body;
    size_t n;
    const char *only; /* this one alone, as an object of its own; NULL: all */
};

static int append_one(void *data, const struct image_record *r, uint32_t environments)
{
    struct list *l = data;
    if (l->only && strcmp(l->only, r->name) != 0)
        return 0;
    if (l->n++ > 0 && buf_append_str(&l->body, ",") < 0)
        return -1;
    return environment_append_image(&l->body, r, environments);
}

void images_get(struct api *api, struct http_request *r, const struct call *call)
{
    struct list l = {0};
    struct err e = {0};
    if (buf_append_str(&l.body, "{\"images\":[") == 0 &&
        image_list(api->environments, append_one, &l, &e) == 0 &&
        buf_printf(&l.body, "],\"total\":%zu}", l.n) >= 0) {
        http_reply(r, 200, JSON, &l.body);
        return;
    }
    buf_finish(&l.body);
    if (e.code == ERR_NONE)
        err_set(&e, ERR_UNAVAILABLE, 0, "out of memory");
    error_reply_failure(r, FAILED_LIST, &e);
}

/* -- removing -- */

static void reply_no_image(struct http_request *r, const char *name)
{
    char text[NAME_SHOWN + 64];
    snprintf(text, sizeof text, "镜像 '%.*s' 不存在 (no such image)", NAME_SHOWN, name);
    error_reply_str(r, 404, text);
}

void image_delete(struct api *api, struct http_request *r, const struct call *call)
{
    struct err e = {0};
    struct buf body = {0};
    char text[NAME_SHOWN + 64];
    if (image_remove(api->environments, call->name, &e) < 0) {
        if (e.code == ERR_NOT_FOUND)
            reply_no_image(r, call->name);
        else
            error_reply_failure(r, FAILED_REMOVE, &e);
        return;
    }
    snprintf(text, sizeof text, "镜像 '%.*s' 已删除 (deleted)", NAME_SHOWN, call->name);
    if (buf_append_str(&body, "{\"message\":") == 0 && text_append_json_str(&body, text) == 0 &&
        buf_append_str(&body, "}") == 0) {
        http_reply(r, 200, JSON, &body);
        return;
    }
    buf_finish(&body);
    error_reply_memory(r);
}

/* -- work that takes a while -- */

/* Outlives its request. */
struct work {
    struct api *api;
    struct http_request *r; /* NULL when the client has gone */
    char *name;             /* of the image that is imported */
};

static void work_destroy(struct work *w)
{
    if (w)
        free(w->name);
    free(w);
}

static void on_gone(void *data)
{
    struct work *w = data;
    w->r = NULL;
}

static struct work *work_create(struct api *api, struct http_request *r, const char *name)
{
    struct work *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    *w = (struct work){.api = api, .r = r, .name = strdup(name)};
    if (!w->name) {
        work_destroy(w);
        return NULL;
    }
    return w;
}

static void on_collected(void *data, uint32_t removed, uint64_t bytes)
{
    struct work *w = data;
    struct buf body = {0};
    if (w->r) {
        buf_printf(&body, "{\"removed\":%" PRIu32 ",\"bytes\":%" PRIu64 "}", removed, bytes);
        http_reply(w->r, 200, JSON, &body);
    }
    work_destroy(w);
}

void images_gc_post(struct api *api, struct http_request *r, const struct call *call)
{
    struct err e = {0};
    struct work *w = work_create(api, r, "");
    if (!w) {
        error_reply_memory(r);
        return;
    }
    http_set_gone(r, on_gone, w);
    if (image_gc(api->environments, on_collected, w, &e) < 0) {
        error_reply_failure(r, FAILED_GC, &e);
        work_destroy(w);
    }
}

static void reply_image(struct work *w)
{
    struct list l = {.only = w->name};
    struct err e = {0};
    if (image_list(w->api->environments, append_one, &l, &e) == 0 && l.n == 1) {
        http_reply(w->r, 200, JSON, &l.body);
        return;
    }
    buf_finish(&l.body);
    if (e.code == ERR_NONE)
        reply_no_image(w->r, w->name); /* it was removed at once */
    else
        error_reply_failure(w->r, FAILED_IMPORT, &e);
}

static void on_imported(void *data, const struct err *e)
{
    struct work *w = data;
    if (w->r && e && e->text[0])
        error_reply_failure(w->r, FAILED_IMPORT, e);
    else if (w->r)
        reply_image(w);
    work_destroy(w);
}

void images_import_post(struct api *api, struct http_request *r, const struct call *call)
{
    struct environment_request q;
    struct err e = {0};
    if (!content_is_json(r)) {
        content_refuse(r);
        return;
    }
    struct buf *body = http_body(r);
    image_request_decode(&q, body->data, body->len);
    if (q.verdict == ENVIRONMENT_REQUEST_INVALID) {
        error_reply_violations(r, &q.answer);
        environment_request_finish(&q);
        return;
    }
    struct work *w =
        q.verdict == ENVIRONMENT_REQUEST_VALID ? work_create(api, r, q.image.name) : NULL;
    if (!w) {
        environment_request_finish(&q);
        error_reply_memory(r);
        return;
    }
    http_set_gone(r, on_gone, w);
    if (image_import(api->environments, &q.image, on_imported, w, &e) < 0) {
        error_reply_failure(r, FAILED_IMPORT, &e);
        work_destroy(w);
    }
    environment_request_finish(&q);
}

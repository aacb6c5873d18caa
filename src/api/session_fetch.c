/* session_fetch: POST /v1/sessions/{id}/fetch: files from the network into a session.
 *
 * Runs in the server's loop thread.  The answer comes when every file is there or is known not to
 * come; a client that goes away ends what is in progress.  Headers may be secrets: they go to the
 * job only. */
#include <stdlib.h>
#include <string.h>

#include "api/errors.h"
#include "api/fetch_request.h"
#include "api/internal.h"
#include "api/put.h"
#include "api/session_reply.h"
#include "api/session_seen.h"
#include "base/settings.h"
#include "http/http.h"

#define JSON "application/json"

struct fetching {
    struct http_request *r;
    struct fetch *fetch;
    struct fetch_request request;
};

static void fetching_destroy(struct fetching *x)
{
    fetch_request_finish(&x->request);
    free(x);
}

static void on_gone(void *data)
{
    struct fetching *x = data;
    fetch_cancel(x->fetch);
    fetching_destroy(x);
}

static void put_result(struct writer *w, const struct fetch_item *item,
                       const struct fetch_result *result)
{
    put(w, "{");
    put_text(w, "url", item->url);
    put_text(w, "path", item->path);
    put_bool(w, "success", result->success);
    put_number(w, "size", result->success ? result->size : 0);
    put_if_set(w, "status", (uint64_t)result->facts.status);
    put_text(w, "error", result->success ? NULL : result->facts.error);
    put(w, "}");
}

static void on_done(void *data, const struct fetch_result *const *results, size_t n)
{
    struct fetching *x = data;
    struct buf body = {0};
    struct writer w = {.out = &body};
    put(&w, "{\"results\":[");
    for (size_t i = 0; i < n; i++) {
        put(&w, i > 0 ? "," : "");
        put_result(&w, &x->request.items[i], results[i]);
    }
    put(&w, "]}");
    if (w.failed) {
        buf_finish(&body);
        error_reply_memory(x->r);
    } else {
        http_reply(x->r, 200, JSON, &body);
    }
    fetching_destroy(x);
}

static void on_refused(void *data, const struct err *e)
{
    struct fetching *x = data;
    session_reply_error(x->r, e);
    fetching_destroy(x);
}

/* 0, or -1: it has been answered. */
static int start(struct api *api, struct fetching *x, struct session *session)
{
    const struct fetch_wanted wanted = {.session = session,
                                        .items = x->request.items,
                                        .nitems = x->request.nitems,
                                        .seconds = (x->request.timeout_ms + 999) / 1000};
    const struct fetch_events events = {.on_done = on_done, .on_refused = on_refused, .data = x};
    struct err e = {0};
    x->fetch = fetch_start(api->fetch, &wanted, &events, &e);
    if (x->fetch) {
        http_set_gone(x->r, on_gone, x);
        return 0;
    }
    session_reply_error(x->r, &e);
    return -1;
}

void session_fetch_post(struct api *api, struct http_request *r, const struct call *call)
{
    struct session *session = session_seen(api, r, call);
    struct err e = {0};
    if (!session)
        return;
    if (fetch_check(api->fetch, &e) < 0) {
        error_reply_str(r, 403, e.text);
        return;
    }
    struct fetching *x = calloc(1, sizeof *x);
    if (!x) {
        error_reply_memory(r);
        return;
    }
    x->r = r;
    if (!json_body_open(&x->request.body, r, false)) {
        free(x);
        return;
    }
    fetch_request_decode(&x->request, (uint32_t)api->settings->fetch_timeout);
    if (!json_body_accept(&x->request.body, r) || start(api, x, session) < 0)
        fetching_destroy(x);
}

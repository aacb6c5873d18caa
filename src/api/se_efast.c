/* se_efast: POST /workspace/se/download_from_efast/{id}: documents of an AISHU store into a session
 * (contract B7).
 *
 * Runs in the server's loop thread.  Everything in the body is the client's; where names lead is
 * judged inside the sandbox, which hosts may be asked where they are asked.  Tokens are secrets:
 * they go to the job only, and the operator's only to the operator's store (defect 30). */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/errors.h"
#include "api/internal.h"
#include "api/put.h"
#include "api/se_call.h"
#include "api/se_path.h"
#include "api/se_reply.h"
#include "base/limits.h"
#include "http/http.h"
#include "service/fetch.h"

#define TEXT_MAX    8192
#define SECONDS_MAX 86400

struct efast {
    struct se_call call; /* first */
    const char *url, *save_path, *token;
    int64_t seconds;
    struct fetch_item *items;
    char **paths, **names; /* of each item: in the workspace; made up, if it has none */
    size_t nitems;
    struct fetch *fetch;
};

static void free_all(char **texts, size_t n)
{
    for (size_t i = 0; texts && i < n; i++)
        free(texts[i]);
    free(texts);
}

static void efast_on_end(struct se_call *c)
{
    struct efast *x = (struct efast *)c;
    free_all(x->paths, x->nitems);
    free_all(x->names, x->nitems);
    free(x->items);
}

static void on_gone(struct se_call *c)
{
    struct efast *x = (struct efast *)c;
    if (x->fetch)
        fetch_cancel(x->fetch);
}

/* -- the body -- */

/* A member of an element; `usual` when it is absent or null.  NULL and a violation: it is wrong. */
static const char *text_of(struct efast *x, size_t i, const char *name, const char *usual)
{
    struct json_body *b = &x->call.body;
    const json_t *list = json_object_get(json_body_root(b), "file_params");
    const json_t *value = field_optional(json_array_get(list, i), name);
    const char *text = value ? json_body_text_of(b, value, TEXT_MAX) : usual;
    if (!text)
        violation_add(&b->fields.violations, "string_type", PLACE_ELEMENT("file_params", (long)i),
                      NULL, NULL, "Input should be a valid string");
    return text;
}

static void decode_item(struct efast *x, size_t i)
{
    struct fetch_item *item = &x->items[i];
    if (asprintf(&x->names[i], "downloaded_file_%zu", i) < 0) {
        x->names[i] = NULL;
        x->call.body.out_of_memory = true;
    }
    item->docid = text_of(x, i, "docid", "");
    item->rev = text_of(x, i, "rev", "");
    item->savename = text_of(x, i, "savename", "");
    if (item->savename && !*item->savename && x->names[i])
        item->savename = x->names[i];
}

static void decode(struct se_call *c)
{
    struct efast *x = (struct efast *)c;
    struct json_body *b = &c->body;
    const json_t *list = json_object_get(json_body_root(b), "file_params");
    x->url = x->save_path = x->token = "";
    json_body_text(b, "efast_url", TEXT_MAX, &x->url);
    json_body_text(b, "save_path", TEXT_MAX, &x->save_path);
    json_body_text(b, "token", TEXT_MAX, &x->token);
    json_body_int(b, "timeout", (struct int_range){0, SECONDS_MAX}, &x->seconds);
    if (!json_body_require(b, "file_params"))
        return;
    if (!json_is_array(list) || json_array_size(list) > LIMIT_FETCH_ITEMS) {
        violation_add(&b->fields.violations, "list_type", PLACE("file_params"), NULL, NULL,
                      "Input should be a valid list of at most %d items", LIMIT_FETCH_ITEMS);
        return;
    }
    x->nitems = json_array_size(list);
    x->items = calloc(x->nitems + 1, sizeof *x->items);
    x->paths = calloc(x->nitems + 1, sizeof *x->paths);
    x->names = calloc(x->nitems + 1, sizeof *x->names);
    if (!x->items || !x->paths || !x->names) {
        b->out_of_memory = true;
        return;
    }
    for (size_t i = 0; i < x->nitems; i++)
        decode_item(x, i);
}

/* -- what the predecessor checked, in its words -- */

/* Answers with 400; `text` (to be freed) may be NULL. */
static void refuse(struct efast *x, char *text)
{
    const char *words = text ? text : "the request is wrong";
    se_call_error(&x->call, 400, words, words);
    free(text);
}

__attribute__((format(printf, 1, 2))) static char *words(const char *format, ...)
{
    va_list args;
    char *text;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    return n < 0 ? NULL : text;
}

/* Where the file goes.  True: it has been answered. */
static bool refuse_item(struct efast *x, size_t i, const char *folder)
{
    struct fetch_item *item = &x->items[i];
    size_t len = strlen(folder), name_len = strlen(item->savename);
    if (!*item->docid) {
        refuse(x, words("Missing docid in file_params[%zu]", i));
        return true;
    }
    if (strstr(item->savename, "..") || *item->savename == '/') {
        refuse(x, words("Invalid filename: %s (%s)", item->savename,
                        *item->savename == '/' ? "must be relative" : "cannot contain '..'"));
        return true;
    }
    char *path = x->paths[i] = malloc(len + name_len + 2);
    if (!path) {
        error_reply_memory(x->call.r);
        se_call_end(&x->call);
        return true;
    }
    memcpy(path, folder, len);
    path[len] = '/';
    se_path_join(item->savename, name_len, path + len + (len > 0));
    item->path = path;
    return false;
}

static void on_body(struct se_call *c)
{
    struct efast *x = (struct efast *)c;
    char folder[TEXT_MAX + 1];
    const char *fault = se_path_join(x->save_path, strlen(x->save_path), folder);
    struct err e = {0};
    if (x->nitems == 0) {
        refuse(x, words("No file parameters provided"));
        return;
    }
    if (fault) {
        refuse(x, words("Failed to create save path: %s", fault));
        return;
    }
    for (size_t i = 0; i < x->nitems; i++) {
        if (refuse_item(x, i, folder))
            return;
    }
    if (fetch_check(c->api->fetch, &e) < 0)
        se_call_error(c, 403, "Fetching is off", e.text);
    else
        se_call_enter(c);
}

/* -- the answer -- */

static void put_success(struct writer *w, const struct fetch_item *item,
                        const struct fetch_result *r)
{
    const struct fetch_facts *f = &r->facts;
    put_text(w, "file_path", item->path);
    put_name(w, "file_info");
    put(w, "{");
    put_text(w, "name", *f->name ? f->name : item->savename);
    put_number(w, "size", r->size);
    put_text(w, "rev", *f->rev ? f->rev : item->rev);
    put(w, "}");
    put_number(w, "downloaded_size", r->size);
    put_number(w, "total_size", r->size);
}

static void put_result(struct writer *w, const struct efast *x, size_t i,
                       const struct fetch_result *r)
{
    const struct fetch_item *item = &x->items[i];
    put(w, i > 0 ? ",{" : "{");
    put_bool(w, "success", r->success);
    if (r->success) {
        put_success(w, item, r);
    } else {
        put_text(w, "error", r->facts.error);
        put_text(w, "save_path", x->save_path);
        put_text(w, "rev", item->rev);
    }
    put_number(w, "index", i);
    put_text(w, "docid", item->docid);
    put_text(w, "savename", item->savename);
    put(w, "}");
}

static void put_counts(struct writer *w, size_t good, size_t n)
{
    char text[200], failed[60] = "";
    if (good < n)
        snprintf(failed, sizeof failed, "%zu个失败, ", n - good);
    snprintf(text, sizeof text, "下载完成: %zu个成功, %s共%zu 个文件", good, failed, n);
    put_text(w, "message", text);
    put_number(w, "success_count", good);
    put_number(w, "failed_count", n - good);
    put_number(w, "total_count", n);
}

static void on_done(void *data, const struct fetch_result *const *results, size_t n)
{
    struct efast *x = data;
    struct buf value = {0};
    struct writer w = {.out = &value};
    size_t good = 0;
    x->fetch = NULL;
    for (size_t i = 0; i < n; i++)
        good += results[i]->success;
    put(&w, "{");
    put_counts(&w, good, n);
    put_name(&w, "results");
    put(&w, "[");
    for (size_t i = 0; i < n; i++)
        put_result(&w, x, i, results[i]);
    put(&w, "]");
    put_text(&w, "save_path", x->save_path);
    put(&w, "}");
    se_reply(x->call.r, &value, NULL, w.failed);
    se_call_end(&x->call);
}

static void on_refused(void *data, const struct err *e)
{
    struct efast *x = data;
    x->fetch = NULL;
    se_call_refused(&x->call, e);
}

static void on_session(struct se_call *c, struct session *session)
{
    struct efast *x = (struct efast *)c;
    const struct fetch_wanted wanted = {.session = session,
                                        .items = x->items,
                                        .nitems = x->nitems,
                                        .store_url = x->url,
                                        .token = x->token,
                                        .seconds = (uint32_t)x->seconds};
    const struct fetch_events events = {.on_done = on_done, .on_refused = on_refused, .data = x};
    struct err e = {0};
    x->fetch = fetch_start(c->api->fetch, &wanted, &events, &e);
    if (x->fetch)
        return;
    err_prefix(&e, "Batch download failed");
    se_call_error(c, 500, e.text, e.text);
}

void se_efast_post(struct api *api, struct http_request *r, const struct call *call)
{
    static const struct se_hooks hooks = {.decode = decode,
                                          .on_body = on_body,
                                          .on_session = on_session,
                                          .on_gone = on_gone,
                                          .on_end = efast_on_end};
    struct efast *x = se_call_begin(sizeof *x, &hooks, api, r, call);
    if (x)
        se_call_decode(&x->call);
}

/* se_list: GET /workspace/se/files/{id}/{path}: the regular files of a directory (contract B1).
 *
 * Runs in the server's loop thread. */
#include <errno.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/errors.h"
#include "api/internal.h"
#include "api/se_call.h"
#include "api/se_entry.h"
#include "api/se_path.h"
#include "api/se_query.h"
#include "api/se_reply.h"
#include "api/session_call.h"
#include "base/limits.h"
#include "http/http.h"

#define LIST_FAILED  "Failed to list files"
#define LOCATION_MAX 400

struct listing {
    struct se_call call; /* first */
    char *path;          /* relative */
    bool recursive;
    struct buf entries; /* as JSON */
    int failed;
};

static void listing_on_end(struct se_call *c)
{
    struct listing *l = (struct listing *)c;
    free(l->path);
    buf_finish(&l->entries);
}

static void on_frame(void *data, const struct file_message *m)
{
    struct listing *l = data;
    if (!se_entry_is_shown(m))
        return;
    l->failed |= buf_append_str(&l->entries, l->entries.len ? "," : "") |
                 se_append_entry(&l->entries, l->path, m) | buf_append_str(&l->entries, "}");
}

static void reply_list(struct listing *l, bool truncated)
{
    struct buf value = {0};
    int failed = l->failed | buf_append_str(&value, "{\"files\":[") |
                 buf_append(&value, l->entries.len ? l->entries.data : "", l->entries.len) |
                 buf_append_str(&value, truncated ? "],\"truncated\":true}" : "]}");
    se_reply(l->call.r, &value, NULL, failed);
    se_call_end(&l->call);
}

static void on_listed(void *data, const struct file_end *end, const char *text)
{
    struct listing *l = data;
    bool is_missing = end->error == ENOENT || end->error == ENOTDIR;
    l->call.files = NULL;
    if (end->error == 0 || (l->recursive && is_missing))
        reply_list(l, end->truncated);
    else if (end->error == EXDEV)
        se_call_error(&l->call, 400, "Invalid path", SE_PATH_ESCAPES);
    else
        se_call_failed(&l->call, LIST_FAILED, end, text);
}

static void on_refused(void *data, const struct err *e)
{
    struct listing *l = data;
    l->call.files = NULL;
    se_call_refused(&l->call, e);
}

static void on_session(struct se_call *c, struct session *session)
{
    struct listing *l = (struct listing *)c;
    const struct session_call_spec spec = {
        .what = {.op = FILE_LIST, .flags = l->recursive ? FILE_RECURSIVE : 0}, .path = l->path};
    const struct session_call_events events = {
        .on_frame = on_frame, .on_end = on_listed, .on_refused = on_refused, .data = l};
    const char *fault =
        se_path_join(c->rest ? c->rest : "", c->rest ? strlen(c->rest) : 0, l->path);
    if (fault)
        se_call_error(c, 400, "Invalid path", fault);
    else
        se_call_files(c, session, &spec, &events);
}

void se_files_get(struct api *api, struct http_request *r, const struct call *call)
{
    static const struct se_hooks hooks = {.on_session = on_session, .on_end = listing_on_end};
    bool recursive = false;
    if (se_query_bool(r, "recursive", &recursive) < 0)
        return;
    struct listing *l = se_call_begin(sizeof *l, &hooks, api, r, call);
    if (!l)
        return;
    l->recursive = recursive;
    l->path = malloc((call->rest ? strlen(call->rest) : 0) + 1);
    if (l->path) {
        se_call_enter(&l->call);
        return;
    }
    error_reply_memory(r);
    se_call_end(&l->call);
}

/* /files/{id} is /files/{id}/, as FastAPI had it. */
void se_files_redirect(struct api *api, struct http_request *r, const struct call *call)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    const char *recursive = http_query(r, "recursive");
    char location[LOCATION_MAX];
    struct buf none = {0};
    if (call->name[strspn(call->name, plain)] != '\0' || strlen(call->name) > LIMIT_FILE_NAME) {
        error_reply_str(r, 404, "Not Found");
        return;
    }
    bool has_query =
        recursive && strlen(recursive) < 8 && recursive[strspn(recursive, plain)] == '\0';
    snprintf(location, sizeof location, "/workspace/se/files/%s/%s%s", call->name,
             has_query ? "?recursive=" : "", has_query ? recursive : "");
    http_add_header(r, "Location", location);
    http_reply(r, 307, NULL, &none);
}

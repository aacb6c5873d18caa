/* session_tar: directories of a session as tar archives, out and in.
 *
 * Runs in the server's loop thread.  Archives are made and unpacked inside the sandbox; here they
 * are bytes that pass through. */
#include <stdlib.h>
#include <string.h>

#include "api/errors.h"
#include "api/file_headers.h"
#include "api/internal.h"
#include "api/put.h"
#include "api/session_call.h"
#include "api/session_path.h"
#include "api/session_query.h"
#include "api/session_reply.h"
#include "api/session_seen.h"
#include "http/body.h"
#include "http/http.h"

#define TYPE              "application/x-tar"
#define STREAM_HIGH_WATER (512u << 10)
#define STREAM_LOW_WATER  (256u << 10)

struct archive {
    struct http_request *r;
    struct session_call *call;
    char *path;
    bool is_upload, streaming, paused, full;
    uint64_t entries;
};

static void archive_destroy(struct archive *a)
{
    free(a->path);
    free(a);
}

static void on_gone(void *data)
{
    struct archive *a = data;
    session_call_cancel(a->call);
    archive_destroy(a);
}

static void on_refused(void *data, const struct err *e)
{
    struct archive *a = data;
    session_reply_error(a->r, e);
    archive_destroy(a);
}

/* -- out -- */

/* "dir" becomes dir.tar, the workspace workspace.tar. */
static void add_disposition(struct http_request *r, const char *path)
{
    _cleanup_buf_ struct buf name = {0}, value = {0};
    const char *slash = strrchr(path, '/');
    const char *last = slash ? slash + 1 : path;
    if (buf_append_str(&name, *last ? last : "workspace") == 0 &&
        buf_append_str(&name, ".tar") == 0 && buf_append(&name, "", 1) == 0 &&
        disposition_append(&value, name.data) == 0 && buf_append(&value, "", 1) == 0)
        http_add_header(r, "Content-Disposition", value.data);
}

static void on_writable(void *data)
{
    struct archive *a = data;
    if (!a->paused || !a->call)
        return;
    a->paused = false;
    session_call_pause(a->call, false);
}

static void on_bytes(void *data, const char *bytes, size_t len)
{
    struct archive *a = data;
    if (http_stream_write(a->r, bytes, len) < STREAM_HIGH_WATER || a->paused)
        return;
    a->paused = true;
    session_call_pause(a->call, true);
}

static void on_frame(void *data, const struct file_message *m)
{
    struct archive *a = data;
    if (a->is_upload) {
        a->entries += m->type == FILE_INFO;
        return;
    }
    if (m->type != FILE_BYTES || a->streaming)
        return;
    a->streaming = true;
    add_disposition(a->r, a->path);
    http_stream_begin(a->r, 200, TYPE);
    http_stream_on_writable(a->r, STREAM_LOW_WATER, on_writable, a);
}

/* -- in -- */

static size_t take(void *data, const char *bytes, size_t len)
{
    struct archive *a = data;
    size_t n = session_call_write(a->call, bytes, len);
    a->full = n < len;
    return n;
}

static void on_body_end(void *data)
{
    struct archive *a = data;
    session_call_finish(a->call);
}

static void on_room(void *data)
{
    struct archive *a = data;
    if (!a->full)
        return;
    a->full = false;
    http_body_resume(a->r);
}

static void on_ready(void *data)
{
    struct archive *a = data;
    const struct http_sink sink = {.take = take, .end = on_body_end, .data = a};
    if (a->is_upload)
        http_body_read(a->r, &sink);
}

static void reply_entries(struct archive *a)
{
    struct buf body = {0};
    struct writer w = {.out = &body};
    put(&w, "{");
    put_number(&w, "entries", a->entries);
    put(&w, "}");
    if (!w.failed) {
        http_reply(a->r, 200, "application/json", &body);
        return;
    }
    buf_finish(&body);
    error_reply_memory(a->r);
}

/* -- both -- */

static void on_end(void *data, const struct file_end *end, const char *text)
{
    struct archive *a = data;
    if (a->streaming && end->error)
        http_stream_break(a->r);
    else if (a->streaming)
        http_stream_end(a->r);
    else if (end->error)
        session_reply_file_error(a->r, end, text, a->path);
    else
        reply_entries(a);
    archive_destroy(a);
}

static void start(struct http_request *r, struct session *session, const char *path, bool is_upload)
{
    const struct session_call_spec spec = {.what = {.op = is_upload ? FILE_UNPACK : FILE_PACK,
                                                    .flags = is_upload ? FILE_PARENTS : 0,
                                                    .size = FILE_UNTIL_END},
                                           .path = path};
    struct archive *a = calloc(1, sizeof *a);
    struct session_call_events events = {.on_ready = on_ready,
                                         .on_frame = on_frame,
                                         .on_bytes = on_bytes,
                                         .on_writable = on_room,
                                         .on_end = on_end,
                                         .on_refused = on_refused,
                                         .data = a};
    struct err e = {0};
    if (!a || !(a->path = strdup(path))) {
        free(a);
        error_reply_memory(r);
        return;
    }
    a->r = r;
    a->is_upload = is_upload;
    a->call = session_call_start(session, &spec, &events, &e);
    if (a->call)
        http_set_gone(r, on_gone, a);
    else
        on_refused(a, &e);
}

static void serve(struct api *api, struct http_request *r, const struct call *call, bool is_upload)
{
    struct session *session = session_seen(api, r, call);
    const char *path = session_query_text(r, "path");
    const char *fault = session_path_fault(path);
    if (session && fault)
        error_reply_str(r, 400, fault);
    else if (session)
        start(r, session, path, is_upload);
}

void session_tar_get(struct api *api, struct http_request *r, const struct call *call)
{
    serve(api, r, call, false);
}

void session_tar_put(struct api *api, struct http_request *r, const struct call *call)
{
    serve(api, r, call, true);
}

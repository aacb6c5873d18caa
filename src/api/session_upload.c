/* session_upload: a file of a session from a client.
 *
 * Runs in the server's loop thread; path and bytes are the client's.  Bytes are handed on as they
 * come and never held: a workspace that is slow makes the client wait.  The file appears when all
 * of them are written (FILE_WRITE), so a client that goes away half-way changes nothing.
 *
 *     stat (is it new?) -> write -> the body -> answered */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/errors.h"
#include "api/session_call.h"
#include "api/session_files.h"
#include "api/session_reply.h"
#include "http/body.h"
#include "http/http.h"

struct upload {
    struct http_request *r;
    struct session *session;
    struct session_call *call;
    struct upload_plan plan;
    char *path;
    bool is_new, writing, full, complete;
    struct buf info; /* the last FILE_INFO, with its name */
    struct file_message message;
};

static void upload_destroy(struct upload *u)
{
    buf_finish(&u->info);
    free(u->path);
    free(u);
}

static void on_gone(void *data)
{
    struct upload *u = data;
    session_call_cancel(u->call);
    upload_destroy(u);
}

/* -- the body -- */

static size_t take(void *data, const char *bytes, size_t len)
{
    struct upload *u = data;
    size_t n = session_call_write(u->call, bytes, len);
    u->full = n < len;
    return n;
}

static void on_body_end(void *data)
{
    struct upload *u = data;
    u->complete = true;
    session_call_finish(u->call);
}

static void on_writable(void *data)
{
    struct upload *u = data;
    if (!u->full)
        return;
    u->full = false;
    http_body_resume(u->r);
}

static void on_ready(void *data)
{
    struct upload *u = data;
    const struct http_sink sink = {.take = take, .end = on_body_end, .data = u};
    if (u->writing)
        http_body_read(u->r, &sink);
}

/* -- the calls -- */

static void start_call(struct upload *u, const struct session_file *what);

static void on_frame(void *data, const struct file_message *m)
{
    struct upload *u = data;
    if (m->type != FILE_INFO)
        return;
    buf_finish(&u->info);
    u->message = *m;
    if (buf_append(&u->info, m->text, m->text_len) < 0)
        u->message.text_len = 0;
    u->message.text = u->info.data ? u->info.data : "";
}

static void start_writing(struct upload *u, bool is_new)
{
    struct session_file what = u->plan.what;
    what.size = http_body_length(u->r);
    u->is_new = is_new;
    u->writing = true;
    start_call(u, &what);
}

static void on_end(void *data, const struct file_end *end, const char *text)
{
    struct upload *u = data;
    struct file_end mine = *end;
    bool was_writing = u->writing;
    u->call = NULL;
    if (!was_writing && (!mine.error || mine.error == ENOENT)) {
        start_writing(u, mine.error);
    } else {
        if (!mine.error && !u->complete)
            mine.error = EIO; /* all was written before all came: the sandbox lies */
        if (mine.error)
            session_reply_file_error(u->r, &mine, text, u->path);
        else
            u->plan.answer(u->r, u->path, &u->message, u->is_new);
    }
    if (!u->call)
        upload_destroy(u);
}

static void on_refused(void *data, const struct err *e)
{
    struct upload *u = data;
    session_reply_error(u->r, e);
    upload_destroy(u);
}

/* u->call is NULL when the request has been answered with why there is none. */
static void start_call(struct upload *u, const struct session_file *what)
{
    const struct session_call_events events = {.on_ready = on_ready,
                                               .on_frame = on_frame,
                                               .on_writable = on_writable,
                                               .on_end = on_end,
                                               .on_refused = on_refused,
                                               .data = u};
    const struct session_call_spec spec = {.what = *what, .path = u->path};
    struct err e = {0};
    u->call = session_call_start(u->session, &spec, &events, &e);
    if (!u->call)
        session_reply_error(u->r, &e);
}

void session_upload(struct http_request *r, struct session *session, const struct upload_plan *plan)
{
    const struct session_file ask = {.op = FILE_STAT, .flags = FILE_FOLLOW};
    struct upload *u = calloc(1, sizeof *u);
    if (!u || !(u->path = strdup(plan->path))) {
        free(u);
        error_reply_memory(r);
        return;
    }
    u->r = r;
    u->session = session;
    u->plan = *plan;
    start_call(u, &ask);
    if (u->call)
        http_set_gone(r, on_gone, u);
    else
        upload_destroy(u);
}

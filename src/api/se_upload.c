/* se_upload: POST /workspace/se/upload/{id}?filename=: the part `file` of a form, as a file
 * (contract B1).
 *
 * Runs in the server's loop thread; names and bytes are the client's.  Bytes are handed on as they
 * come and never held; the file appears when all of them are written. */
#include <errno.h>
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
#include "http/body.h"
#include "http/http.h"
#include "service/session.h"

#define UPLOAD_FAILED "Failed to upload file"
#define MODE_USUAL    0644

struct upload {
    struct se_call call;            /* first */
    char *name, *path;              /* as the client says, and relative; once the part has begun */
    const char *fault, *path_fault; /* why nothing can be written */
    bool ready;                     /* bytes may be given */
    bool full;                      /* the client waits */
    bool given;                     /* the part is complete */
    bool read;                      /* the body is complete */
    bool written;
    uint64_t size;
};

static void upload_on_end(struct se_call *c)
{
    struct upload *u = (struct upload *)c;
    free(u->name);
    free(u->path);
}

/* Answers once the body has been read and the file is written. */
static void reply_if_done(struct upload *u)
{
    struct buf value = {0};
    if (!u->read || !u->written)
        return;
    int failed = se_append_file(&value, u->name, strlen(u->name), u->size);
    se_reply(u->call.r, &value, NULL, failed);
    se_call_end(&u->call);
}

static void resume(struct upload *u)
{
    if (!u->full)
        return;
    u->full = false;
    http_body_resume(u->call.r);
}

/* -- the file -- */

static void on_ready(void *data)
{
    struct upload *u = data;
    u->ready = true;
    if (u->given)
        session_call_finish(u->call.files);
    resume(u);
}

static void on_writable(void *data)
{
    resume(data);
}

static void on_frame(void *data, const struct file_message *m)
{
    struct upload *u = data;
    if (m->type == FILE_INFO)
        u->size = m->info.size;
}

static void on_written(void *data, const struct file_end *end, const char *text)
{
    struct upload *u = data;
    u->call.files = NULL;
    if (end->error != 0 || !u->given) {
        const struct file_end broken = {.error = end->error ? end->error : EIO};
        se_call_failed(&u->call, UPLOAD_FAILED, &broken, text);
        return;
    }
    u->written = true;
    reply_if_done(u);
}

static void on_refused(void *data, const struct err *e)
{
    struct upload *u = data;
    u->call.files = NULL;
    se_call_refused(&u->call, e);
}

/* -- the form -- */

static void start_file(struct upload *u)
{
    const struct session_call_spec spec = {
        .what = {.op = FILE_WRITE,
                 .flags = FILE_PARENTS,
                 .size = FILE_UNTIL_END,
                 .mode = MODE_USUAL},
        .path = u->path,
    };
    const struct session_call_events events = {.on_ready = on_ready,
                                               .on_frame = on_frame,
                                               .on_writable = on_writable,
                                               .on_end = on_written,
                                               .on_refused = on_refused,
                                               .data = u};
    struct se_call *c = &u->call;
    struct session *session = session_find(c->api->sessions, c->owner, c->id);
    struct err e = {0};
    if (session)
        c->files = session_call_start(session, &spec, &events, &e);
    if (!c->files)
        u->fault = "the session is not there any more";
}

/* The part called `file` begins; another one is not wanted.  What is wrong is answered later:
 * here the request must not be. */
static int on_part(void *data, const char *name, const char *filename)
{
    struct upload *u = data;
    const char *asked = http_query(u->call.r, "filename");
    if (u->name || strcmp(name, "file") != 0)
        return 0;
    u->name = strdup(asked && *asked ? asked : filename ? filename : "");
    u->path = malloc(u->name ? strlen(u->name) + 1 : 0);
    if (!u->name || !u->path)
        u->fault = "out of memory";
    else if (*u->name)
        u->path_fault = se_path_join(u->name, strlen(u->name), u->path);
    if (!u->fault && !u->path_fault && *u->name)
        start_file(u);
    return 1;
}

/* Answers why nothing can be written, if so. */
static bool refuse(struct upload *u)
{
    struct se_call *c = &u->call;
    if (u->fault)
        se_call_error(c, 503, UPLOAD_FAILED, u->fault);
    else if (u->path_fault)
        se_call_error(c, 400, "Invalid file path", u->path_fault);
    else if (u->name && !*u->name)
        se_call_error(c, 400, "No filename provided", "No filename provided");
    else
        return false;
    return true;
}

static size_t take(void *data, const char *bytes, size_t len)
{
    struct upload *u = data;
    if (refuse(u))
        return len;
    size_t n = u->ready ? session_call_write(u->call.files, bytes, len) : 0;
    u->full = n < len;
    return n;
}

static void on_part_end(void *data)
{
    struct upload *u = data;
    if (!u->name || u->given)
        return;
    u->given = true;
    if (u->ready && u->call.files)
        session_call_finish(u->call.files);
}

static void on_form_end(void *data, bool malformed)
{
    struct upload *u = data;
    struct se_call *c = &u->call;
    u->read = true;
    if (refuse(u))
        return;
    if (u->given) {
        reply_if_done(u);
        return;
    }
    if (c->files)
        session_call_cancel(c->files);
    c->files = NULL;
    if (malformed)
        error_reply_str(c->r, 400, "There was an error parsing the body");
    else
        se_query_no_file(c->r);
    se_call_end(c);
}

static void on_session(struct se_call *c, struct session *session)
{
    const struct http_form_events events = {.on_part = on_part,
                                            .take = take,
                                            .on_part_end = on_part_end,
                                            .end = on_form_end,
                                            .data = c};
    if (http_form_read(c->r, &events) == 0)
        return;
    se_query_no_file(c->r);
    se_call_end(c);
}

void se_upload_post(struct api *api, struct http_request *r, const struct call *call)
{
    static const struct se_hooks hooks = {.on_session = on_session, .on_end = upload_on_end};
    struct upload *u = se_call_begin(sizeof *u, &hooks, api, r, call);
    if (u)
        se_call_enter(&u->call);
}

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
#define HELD_MAX      (64u << 10) /* bytes: the form gives its part line by line */

struct upload {
    struct se_call call;            /* first */
    char *name, *path;              /* as the client says, and relative; once the part has begun */
    const char *fault, *path_fault; /* why nothing can be written */
    bool ready;                     /* bytes may be given */
    bool full;                      /* the client waits */
    struct buf held;                /* bytes on their way to the file */
    bool given;                     /* the part is complete */
    bool finished;                  /* and all of it is on its way */
    bool read;                      /* the body is complete */
    bool written;
    uint64_t size;
};

static void upload_on_end(struct se_call *c)
{
    struct upload *u = (struct upload *)c;
    free(u->name);
    free(u->path);
    buf_finish(&u->held);
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

/* -- the file -- */

/* Hands on what is held, as far as there is room. */
static void push(struct upload *u)
{
    struct session_call *file = u->call.files;
    if (!u->ready || !file || u->finished)
        return;
    if (u->held.len > 0)
        buf_consume(&u->held, session_call_write(file, u->held.data, u->held.len));
    u->finished = u->given && u->held.len == 0;
    if (u->finished)
        session_call_finish(file);
}

/* Room in the file. */
static void on_writable(void *data)
{
    struct upload *u = data;
    push(u);
    if (!u->full || u->held.len == HELD_MAX)
        return;
    u->full = false;
    http_body_resume(u->call.r);
}

static void on_ready(void *data)
{
    struct upload *u = data;
    u->ready = true;
    on_writable(u);
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
    if (end->error != 0 || !u->finished) {
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

/* The part called `file` begins; another one is not wanted.  What is wrong is answered at the end.
 */
static int on_part(void *data, const char *name, const char *filename)
{
    struct upload *u = data;
    const char *asked = http_query(u->call.r, "filename");
    if (u->name || u->fault || strcmp(name, "file") != 0)
        return 0;
    u->name = strdup(asked && *asked ? asked : filename ? filename : "");
    u->path = u->name ? malloc(strlen(u->name) + 1) : NULL;
    if (!u->name || !u->path)
        u->fault = "out of memory";
    else if (*u->name)
        u->path_fault = se_path_join(u->name, strlen(u->name), u->path);
    if (!u->fault && !u->path_fault && *u->name)
        start_file(u);
    return 1;
}

static bool is_refused(const struct upload *u)
{
    return u->fault || u->path_fault || !*u->name;
}

/* Answers why nothing can be written. */
static void refuse(struct upload *u)
{
    struct se_call *c = &u->call;
    if (u->fault)
        se_call_error(c, 503, UPLOAD_FAILED, u->fault);
    else if (u->path_fault)
        se_call_error(c, 400, "Invalid file path", u->path_fault);
    else
        se_call_error(c, 400, "No filename provided", "No filename provided");
}

/* The bytes of what is refused are read and dropped: the form still reads in this piece of the body
 * when it calls here, so the request must not be answered. */
static size_t take(void *data, const char *bytes, size_t len)
{
    struct upload *u = data;
    if (is_refused(u))
        return len;
    size_t taken = 0;
    while (taken < len) {
        if (u->held.len == HELD_MAX)
            push(u);
        size_t room = HELD_MAX - u->held.len, left = len - taken, n = left < room ? left : room;
        if (n == 0)
            break; /* on_writable or on_ready follows */
        if (buf_append(&u->held, bytes + taken, n) < 0) {
            u->fault = "out of memory";
            return len;
        }
        taken += n;
    }
    u->full = taken < len;
    return taken;
}

static void on_part_end(void *data)
{
    struct upload *u = data;
    if (!u->name || u->given)
        return;
    u->given = true;
    push(u);
}

static void on_form_end(void *data, bool malformed)
{
    struct upload *u = data;
    struct se_call *c = &u->call;
    u->read = true;
    if ((u->name || u->fault) && is_refused(u)) {
        refuse(u);
        return;
    }
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
    struct upload *u = (struct upload *)c;
    const char *asked = http_query(c->r, "filename"), *fault = NULL;
    char *path = asked ? malloc(strlen(asked) + 1) : NULL;
    struct err e = {0};
    if (asked && !path) {
        error_reply_memory(c->r);
        se_call_end(c);
        return;
    }
    if (path)
        fault = se_path_join(asked, strlen(asked), path);
    free(path);
    if (fault) { /* no need to read the body for that */
        u->path_fault = fault;
        refuse(u);
        return;
    }
    if (http_form_read(c->r, &events, &e) == 0)
        return;
    if (e.code == ERR_UNAVAILABLE)
        error_reply_memory(c->r);
    else
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

/* se_download: GET /workspace/se/download/{id}/{path} and /workspace/se/files/preview/{id}/{path}
 * (contract B1): a file to be kept, or to be looked at.
 *
 * Runs in the server's loop thread.  The file is asked for first, so that what is wrong with it is
 * told in the predecessor's words; its bytes are the business of session_download. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/errors.h"
#include "api/internal.h"
#include "api/se_call.h"
#include "api/se_path.h"
#include "api/se_query.h"
#include "api/se_reply.h"
#include "api/session_call.h"
#include "api/session_files.h"
#include "http/http.h"
#include "service/session.h"

struct transfer {
    struct se_call call; /* first */
    char *path;          /* relative */
    bool is_preview;
    bool is_file; /* as the call on it said */
};

static void transfer_on_end(struct se_call *c)
{
    free(((struct transfer *)c)->path);
}

/* "Invalid file path: ..." of a download is all in `detail`; a preview has it as its reason. */
static void refuse_path(struct transfer *t, const char *fault)
{
    char text[120];
    snprintf(text, sizeof text, "%s%s", t->is_preview ? "" : "Invalid file path: ", fault);
    se_call_error(&t->call, 400, "Invalid file path", text);
}

static void send_file(struct transfer *t)
{
    struct se_call *c = &t->call;
    struct session *session = session_find(c->api->sessions, c->owner, c->id);
    if (!session) {
        se_call_error(c, 404, "File not found", "File not found");
        return;
    }
    if (t->is_preview)
        session_show(c->r, session, t->path, se_path_preview(t->path));
    else
        session_download(c->r, session, t->path);
    se_call_end(c);
}

static void on_frame(void *data, const struct file_message *m)
{
    struct transfer *t = data;
    if (m->type == FILE_INFO)
        t->is_file = m->info.type == TYPE_FILE;
}

static void on_found(void *data, const struct file_end *end, const char *text)
{
    struct transfer *t = data;
    t->call.files = NULL;
    if (end->error == ENOENT || end->error == ENOTDIR)
        se_call_error(&t->call, 404, "File not found", "File not found");
    else if (end->error == EXDEV)
        refuse_path(t, SE_PATH_ESCAPES);
    else if (end->error != 0)
        se_call_failed(&t->call, "Failed to read file", end, text);
    else if (!t->is_file)
        se_call_error(&t->call, 400, "Not a file", "Not a file");
    else
        send_file(t);
}

static void on_refused(void *data, const struct err *e)
{
    struct transfer *t = data;
    t->call.files = NULL;
    se_call_refused(&t->call, e);
}

static void on_session(struct se_call *c, struct session *session)
{
    struct transfer *t = (struct transfer *)c;
    const struct session_call_spec spec = {.what = {.op = FILE_STAT, .flags = FILE_FOLLOW},
                                           .path = t->path};
    const struct session_call_events events = {
        .on_frame = on_frame, .on_end = on_found, .on_refused = on_refused, .data = t};
    const char *fault = se_path_join(c->rest, strlen(c->rest), t->path);
    if (fault)
        refuse_path(t, fault);
    else if (t->is_preview && !se_path_preview(t->path))
        se_call_error(c, 400, "File type not supported", "File type not supported");
    else
        se_call_files(c, session, &spec, &events);
}

static void begin(struct api *api, struct http_request *r, const struct call *call, bool is_preview)
{
    static const struct se_hooks hooks = {.on_session = on_session, .on_end = transfer_on_end};
    struct transfer *t = se_call_begin(sizeof *t, &hooks, api, r, call);
    if (!t)
        return;
    t->is_preview = is_preview;
    t->path = malloc(strlen(call->rest) + 1);
    if (t->path) {
        se_call_enter(&t->call);
        return;
    }
    error_reply_memory(r);
    se_call_end(&t->call);
}

void se_download_get(struct api *api, struct http_request *r, const struct call *call)
{
    begin(api, r, call, false);
}

/* `sid` has to be there, and that is all that the predecessor asked of it: what a caller may see is
 * decided by its key. */
void se_preview_get(struct api *api, struct http_request *r, const struct call *call)
{
    if (se_query_required(r, "sid") == 0)
        begin(api, r, call, true);
}

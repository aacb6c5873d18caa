/* se_create: POST /workspace/se/create/{id}: a file from the text in the body (contract B1).
 *
 * Runs in the server's loop thread, large bodies are decoded on the thread pool.  Text and name are
 * the client's; where the name leads is judged inside the sandbox. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/errors.h"
#include "api/internal.h"
#include "api/se_call.h"
#include "api/se_entry.h"
#include "api/se_path.h"
#include "api/se_reply.h"
#include "api/session_call.h"
#include "api/text.h"
#include "base/limits.h"
#include "http/http.h"

#define CREATE_FAILED "Failed to create file"
#define MODE_USUAL    0644
#define MODE_MAX      07777

struct creation {
    struct se_call call; /* first */
    struct json_slice content, filename;
    int64_t mode;
    char *path; /* relative */
    size_t written;
    bool finished; /* all of the content has been given */
    uint64_t size;
};

static void creation_on_end(struct se_call *c)
{
    free(((struct creation *)c)->path);
}

/* `code` is another name for `content`, where that is absent (row 23). */
static void decode(struct se_call *c)
{
    struct creation *x = (struct creation *)c;
    struct json_body *b = &c->body;
    const char *content = "content";
    if (!field_optional(json_body_root(b), content) && field_optional(json_body_root(b), "code"))
        content = "code";
    json_body_require(b, content);
    json_body_require(b, "filename");
    json_body_bytes(b, content, SIZE_MAX, &x->content);
    json_body_bytes(b, "filename", LIMIT_FILE_PATH, &x->filename);
    json_body_int(b, "mode", (struct int_range){0, MODE_MAX}, &x->mode);
    x->path = malloc(x->filename.len + 1);
    b->out_of_memory |= !x->path;
}

static void give_bytes(void *data)
{
    struct creation *x = data;
    struct se_call *c = &x->call;
    if (x->finished)
        return;
    x->written +=
        session_call_write(c->files, x->content.data + x->written, x->content.len - x->written);
    x->finished = x->written == x->content.len;
    if (x->finished)
        session_call_finish(c->files);
}

static void on_frame(void *data, const struct file_message *m)
{
    struct creation *x = data;
    if (m->type == FILE_INFO)
        x->size = m->info.size;
}

static void on_written(void *data, const struct file_end *end, const char *text)
{
    struct creation *x = data;
    struct buf value = {0};
    x->call.files = NULL;
    if (end->error != 0 || !x->finished) {
        const struct file_end broken = {.error = end->error ? end->error : EIO};
        se_call_failed(&x->call, CREATE_FAILED, &broken, text);
        return;
    }
    int failed = se_append_file(&value, x->filename.data, x->filename.len, x->size);
    se_reply(x->call.r, &value, NULL, failed);
    se_call_end(&x->call);
}

static void on_refused(void *data, const struct err *e)
{
    struct creation *x = data;
    x->call.files = NULL;
    se_call_refused(&x->call, e);
}

static void on_session(struct se_call *c, struct session *session)
{
    struct creation *x = (struct creation *)c;
    const struct session_call_spec spec = {
        .what = {.op = FILE_WRITE,
                 .flags = FILE_PARENTS,
                 .size = x->content.len,
                 .mode = x->mode ? (uint32_t)x->mode : MODE_USUAL},
        .path = x->path,
    };
    const struct session_call_events events = {.on_ready = give_bytes,
                                               .on_frame = on_frame,
                                               .on_writable = give_bytes,
                                               .on_end = on_written,
                                               .on_refused = on_refused,
                                               .data = x};
    const char *fault = se_path_join(x->filename.data, x->filename.len, x->path);
    if (fault)
        se_call_error(c, 400, "Invalid file path", fault);
    else
        se_call_files(c, session, &spec, &events);
}

void se_create_post(struct api *api, struct http_request *r, const struct call *call)
{
    static const struct se_hooks hooks = {
        .decode = decode, .on_session = on_session, .on_end = creation_on_end};
    struct creation *x = se_call_begin(sizeof *x, &hooks, api, r, call);
    if (x)
        se_call_decode(&x->call);
}

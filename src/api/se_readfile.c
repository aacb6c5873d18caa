/* se_readfile: GET /workspace/se/readfile/{id}/{path}: a piece of a file, as text or in base64
 * (contract B1).
 *
 * Runs in the server's loop thread.  Bytes come from a workspace and are hostile; READ_MAX of them
 * are held at most. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "api/errors.h"
#include "api/internal.h"
#include "api/se_call.h"
#include "api/se_path.h"
#include "api/se_query.h"
#include "api/se_reply.h"
#include "api/se_text.h"
#include "api/session_call.h"
#include "base/base64.h"
#include "http/http.h"

#define READ_FAILED "Failed to read file"
#define READ_USUAL  4096
#define READ_MAX    (1 << 20) /* a client that wants more reads on from `offset` */

struct reading {
    struct se_call call; /* first */
    char *path;          /* relative */
    int64_t offset, wanted;
    uint64_t size; /* of the file */
    struct buf bytes;
    int failed;
};

static void reading_on_end(struct se_call *c)
{
    struct reading *x = (struct reading *)c;
    free(x->path);
    buf_finish(&x->bytes);
}

static void on_frame(void *data, const struct file_message *m)
{
    struct reading *x = data;
    if (m->type == FILE_INFO)
        x->size = m->info.size;
}

static void on_bytes(void *data, const char *bytes, size_t len)
{
    struct reading *x = data;
    x->failed |= buf_append(&x->bytes, bytes, len);
}

/* Appends the piece as a JSON string; *ret_used of its bytes. */
static int append_content(struct buf *out, struct reading *x, bool is_text, size_t *ret_used)
{
    size_t n = x->bytes.len < (size_t)x->wanted ? x->bytes.len : (size_t)x->wanted;
    *ret_used = n;
    if (is_text && n > 0)
        return se_text_append(x->call.api->text, out, x->bytes.data, n, x->bytes.len, ret_used);
    return buf_append_str(out, "\"") | base64_append(out, n ? x->bytes.data : "", n) |
           buf_append_str(out, "\"");
}

static int append_piece(struct buf *out, struct reading *x)
{
    bool is_text = se_path_is_text(x->path);
    size_t used;
    int failed = buf_append_str(out, "{\"content\":") | append_content(out, x, is_text, &used);
    uint64_t next = (uint64_t)x->offset + used;
    return failed |
           buf_printf(out, ",\"is_binary\":%s,\"offset\":%llu,\"size\":%llu,\"is_eof\":%s}",
                      is_text ? "false" : "true", (unsigned long long)next,
                      (unsigned long long)x->size, next >= x->size ? "true" : "false");
}

static void reply_piece(struct reading *x)
{
    struct buf value = {0};
    int failed = x->failed;
    if ((uint64_t)x->offset >= x->size)
        failed |=
            buf_printf(&value, "{\"content\":\"\",\"offset\":%lld,\"size\":%llu,\"is_eof\":true}",
                       (long long)x->offset, (unsigned long long)x->size);
    else
        failed |= append_piece(&value, x);
    se_reply(x->call.r, &value, NULL, failed);
    se_call_end(&x->call);
}

static void on_read(void *data, const struct file_end *end, const char *text)
{
    struct reading *x = data;
    x->call.files = NULL;
    switch (end->error) {
    case 0:
        reply_piece(x);
        return;
    case ENOENT:
    case ENOTDIR:
        se_call_error(&x->call, 404, "File not found", "File not found");
        return;
    case EISDIR:
    case ENXIO:
        se_call_error(&x->call, 400, "Not a file", "Not a file");
        return;
    default:
        se_call_failed(&x->call, READ_FAILED, end, text);
    }
}

static void on_refused(void *data, const struct err *e)
{
    struct reading *x = data;
    x->call.files = NULL;
    se_call_refused(&x->call, e);
}

static void on_session(struct se_call *c, struct session *session)
{
    struct reading *x = (struct reading *)c;
    const struct session_call_spec spec = {.what = {.op = FILE_READ,
                                                    .offset = (uint64_t)x->offset,
                                                    .size = (uint64_t)x->wanted + SE_TEXT_AHEAD},
                                           .path = x->path};
    const struct session_call_events events = {.on_frame = on_frame,
                                               .on_bytes = on_bytes,
                                               .on_end = on_read,
                                               .on_refused = on_refused,
                                               .data = x};
    const char *fault = se_path_join(c->rest, strlen(c->rest), x->path);
    if (fault)
        se_call_error(c, 400, "Invalid file path", fault);
    else if (x->offset < 0)
        se_call_error(c, 400, READ_FAILED, "Error: Invalid offset");
    else
        se_call_files(c, session, &spec, &events);
}

void se_readfile_get(struct api *api, struct http_request *r, const struct call *call)
{
    static const struct se_hooks hooks = {.on_session = on_session, .on_end = reading_on_end};
    int64_t offset = 0, wanted = READ_USUAL;
    if (se_query_int(r, "offset", &offset) < 0 || se_query_int(r, "buffer_size", &wanted) < 0)
        return;
    struct reading *x = se_call_begin(sizeof *x, &hooks, api, r, call);
    if (!x)
        return;
    x->offset = offset;
    x->wanted = wanted < 0 || wanted > READ_MAX ? READ_MAX : wanted;
    x->path = malloc(strlen(call->rest) + 1);
    if (x->path) {
        se_call_enter(&x->call);
        return;
    }
    error_reply_memory(r);
    se_call_end(&x->call);
}

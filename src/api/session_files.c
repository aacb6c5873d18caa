/* session_files: GET, HEAD and PUT of .../files/{path}, and tar archives.
 *
 * Runs in the server's loop thread.  Paths and headers are the client's; what they mean inside is
 * the sandbox's to say. */
#include "api/session_files.h"

#include <string.h>

#include "api/errors.h"
#include "api/file_answer.h"
#include "api/internal.h"
#include "api/session_path.h"
#include "api/session_query.h"
#include "api/session_seen.h"
#include "http/http.h"

#define JSON "application/json"

/* The file that the path names; false when the request has been answered. */
static bool path_is_sound(struct http_request *r, const char *path)
{
    const char *fault = session_path_fault(path);
    if (fault)
        error_reply_str(r, 400, fault);
    return !fault;
}

void session_file_get(struct api *api, struct http_request *r, const struct call *call)
{
    struct session *session = session_seen(api, r, call);
    if (session && path_is_sound(r, call->rest))
        session_download(r, session, call->rest);
}

static void answer_file(struct http_request *r, const char *path, const struct file_message *info,
                        bool is_new)
{
    struct buf body = {0};
    if (file_answer_entry(&body, info, path) == 0) {
        http_reply(r, is_new ? 201 : 200, JSON, &body);
        return;
    }
    buf_finish(&body);
    error_reply_memory(r);
}

/* What the query asks for; -1 when the request has been answered. */
static int read_upload(struct http_request *r, struct session_file *what)
{
    bool exclusive = false, append = false;
    uint64_t offset = 0;
    if (session_query_mode(r, "mode", &what->mode) < 0 ||
        session_query_bool(r, "exclusive", &exclusive) < 0 ||
        session_query_bool(r, "append", &append) < 0 ||
        session_query_number(r, "offset", 0, INT64_MAX, &offset) < 0)
        return -1;
    bool in_place = http_query(r, "offset");
    if (in_place + append + exclusive > 1) {
        error_reply_str(r, 400, "only one of append, offset and exclusive may be given");
        return -1;
    }
    what->op = in_place ? FILE_PATCH : append ? FILE_APPEND : FILE_WRITE;
    what->flags = in_place ? 0 : FILE_PARENTS | (exclusive ? FILE_EXCLUSIVE : 0);
    what->offset = offset;
    return 0;
}

void session_file_put(struct api *api, struct http_request *r, const struct call *call)
{
    struct session *session = session_seen(api, r, call);
    struct upload_plan plan = {.answer = answer_file, .path = call->rest};
    if (session && path_is_sound(r, call->rest) && read_upload(r, &plan.what) == 0)
        session_upload(r, session, &plan);
}

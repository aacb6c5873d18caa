/* session_reply: refusals of sessions and of calls on their files.  Runs in the server's loop
 * thread.  An errno and its text come from inside a sandbox: whatever they are, the answer is one
 * of the table's and the text is escaped. */
#include "api/session_reply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/errors.h"
#include "base/err.h"
#include "engine/file_call.h"
#include "http/http.h"

#define RETRY_SECONDS "1"
#define WORDS_MAX     600 /* bytes of a sandbox's words in an answer */

static const struct {
    int error, status;
    const char *words; /* NULL: strerror's */
} errors[] = {
    {ENOENT, 404, "does not exist"},
    {ENOTDIR, 404, "is not a directory, or lies beneath something that is none"},
    {EEXIST, 409, "exists already"},
    {ENOTEMPTY, 409, "is a directory that is not empty"},
    {EISDIR, 409, "is a directory"},
    {EBUSY, 409, "is in use"},
    {ETXTBSY, 409, "is being executed"},
    {ESTALE, 409, "was changed meanwhile"},
    {ENXIO, 409, "is not a regular file"},
    {ENODEV, 409, "is not a regular file"},
    {ESPIPE, 409, "is not a regular file"},
    {EXDEV, 400, "leads out of the workspace"},
    {ELOOP, 400, "has too many symbolic links"},
    {EINVAL, 400, NULL},
    {ENAMETOOLONG, 400, NULL},
    {EILSEQ, 400, NULL},
    {ERANGE, 400, NULL},
    {E2BIG, 413, "is too large"},
    {EFBIG, 413, "is too large"},
    {EACCES, 403, NULL},
    {EPERM, 403, NULL},
    {EROFS, 403, NULL},
    {ENOSPC, 507, "the workspace is full"},
    {EDQUOT, 507, "the workspace is full"},
    {EIO, 503, "the call broke off"},
    {ETIMEDOUT, 503, "the call made no progress"},
    {ENOMEM, 503, NULL},
    {EAGAIN, 503, NULL},
    {EMFILE, 503, NULL},
    {ENFILE, 503, NULL},
};

#define ERRORS (sizeof errors / sizeof errors[0])

int session_status_of_errno(int error)
{
    for (size_t i = 0; i < ERRORS; i++) {
        if (errors[i].error == error)
            return errors[i].status;
    }
    return 409;
}

int session_status_of_err(const struct err *e)
{
    if (e->errnum == ENOSPC || e->errnum == EDQUOT)
        return 507;
    switch (e->code) {
    case ERR_INVALID:
        return 400;
    case ERR_NOT_FOUND:
        return 404;
    case ERR_EXISTS:
        return 409;
    case ERR_LIMIT:
        return 429;
    case ERR_UNAVAILABLE:
    case ERR_CLOSED:
        return 503;
    default:
        return 500;
    }
}

static void reply(struct http_request *r, int status, const struct buf *text)
{
    if (status == 429 || status == 503)
        http_add_header(r, "Retry-After", RETRY_SECONDS);
    error_reply(r, status, text->data, text->len);
}

void session_reply_error(struct http_request *r, const struct err *e)
{
    const struct buf text = {.data = (char *)e->text, .len = strlen(e->text)};
    reply(r, session_status_of_err(e), &text);
}

static const char *words_of(int error)
{
    for (size_t i = 0; i < ERRORS; i++) {
        if (errors[i].error == error && errors[i].words)
            return errors[i].words;
    }
    return strerror(error);
}

void session_reply_file_error(struct http_request *r, const struct file_end *end, const char *text,
                              const char *path)
{
    _cleanup_buf_ struct buf out = {0};
    int result = 0;
    if (*text) {
        result = buf_append(&out, text, strnlen(text, WORDS_MAX));
    } else {
        if (*path)
            result = buf_append_str(&out, "'") | buf_append(&out, path, strnlen(path, WORDS_MAX)) |
                     buf_append_str(&out, "': ");
        result |= buf_append_str(&out, words_of(end->error));
    }
    if (result)
        error_reply_memory(r);
    else
        reply(r, session_status_of_errno(end->error), &out);
}

void session_reply_unknown(struct http_request *r, const char *kind, const char *name)
{
    _cleanup_buf_ struct buf out = {0};
    if (buf_append_str(&out, kind) < 0 || buf_append_str(&out, " '") < 0 ||
        buf_append(&out, name, strnlen(name, WORDS_MAX)) < 0 ||
        buf_append_str(&out, "' does not exist") < 0)
        error_reply_memory(r);
    else
        error_reply(r, 404, out.data, out.len);
}

/* session_download: a file of a session to a client.
 *
 * Runs in the server's loop thread.  Path and headers are the client's, sizes and bytes a
 * sandbox's; all are hostile.  Bytes are passed on as they come and never held but for
 * STREAM_HIGH_WATER of them: a reader that is slow makes the call inside wait.
 *
 * What depends on the file as it is (a range, a condition, HEAD) asks for that first:
 *
 *     [stat ->] read -> answered with a head -> bytes -> end
 *
 * A file that is changed between the two is read as it is then, but for a range: 409.
 *
 * The last byte is held until the call has ended: a client that has the whole file finds nothing of
 * its own in the session any more, and may have it sleep (409 otherwise). */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/errors.h"
#include "api/file_headers.h"
#include "api/session_call.h"
#include "api/session_files.h"
#include "api/session_reply.h"
#include "http/date.h"
#include "http/etag.h"
#include "http/http.h"
#include "http/range.h"

#define STREAM_HIGH_WATER (512u << 10)
#define STREAM_LOW_WATER  (256u << 10)
#define TYPE              "application/octet-stream"

struct download {
    struct http_request *r; /* NULL once it is answered and needs no more bytes */
    struct session *session;
    struct session_call *call;
    char *path;
    const char *type; /* of the bytes; static */
    bool is_shown;    /* not to be kept: Content-Disposition says inline */
    bool has_info;
    struct file_info info; /* as asked for first, then as read */
    enum range_kind kind;
    struct range range; /* RANGE_PART */
    bool reading;       /* the second call, or the only one */
    bool streaming, paused;
    uint64_t left; /* of the body, not yet come */
    char last;     /* once left is 0 */
};

static void download_destroy(struct download *d)
{
    free(d->path);
    free(d);
}

static void on_gone(void *data)
{
    struct download *d = data;
    session_call_cancel(d->call);
    download_destroy(d);
}

static time_t modified(const struct file_info *info)
{
    return (time_t)(info->modified_ns / 1000000000);
}

/* -- heads -- */

static int add_disposition(struct http_request *r, const char *path, bool is_shown)
{
    static const char kept[] = "attachment", shown[] = "inline";
    _cleanup_buf_ struct buf value = {0};
    const char *slash = strrchr(path, '/');
    if (disposition_append(&value, slash ? slash + 1 : path) < 0 || buf_append(&value, "", 1) < 0)
        return -1;
    if (is_shown) {
        memcpy(value.data, shown, sizeof shown - 1);
        memmove(value.data + sizeof shown - 1, value.data + sizeof kept - 1,
                value.len - (sizeof kept - 1));
    }
    return http_add_header(r, "Content-Disposition", value.data);
}

static void add_validators(struct download *d)
{
    char etag[FILE_ETAG_SIZE], date[HTTP_DATE_SIZE];
    file_etag(&d->info, etag);
    http_date_format(modified(&d->info), date);
    http_add_header(d->r, "ETag", etag);
    http_add_header(d->r, "Last-Modified", date);
    http_add_header(d->r, "Accept-Ranges", "bytes");
}

/* Adds what 200 and 206 have; returns the status. */
static int add_head(struct download *d)
{
    char text[80];
    add_validators(d);
    add_disposition(d->r, d->path, d->is_shown);
    if (d->kind != RANGE_PART)
        return 200;
    snprintf(text, sizeof text, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, d->range.first,
             d->range.first + d->range.length - 1, d->info.size);
    http_add_header(d->r, "Content-Range", text);
    return 206;
}

static uint64_t body_length(const struct download *d)
{
    return d->kind == RANGE_PART ? d->range.length : d->info.size;
}

static void reply_empty(struct http_request *r, int status, const char *type)
{
    struct buf none = {0};
    http_reply(r, status, type, &none);
}

static void reply_outside(struct download *d)
{
    char text[40];
    snprintf(text, sizeof text, "bytes */%" PRIu64, d->info.size);
    add_validators(d);
    http_add_header(d->r, "Content-Range", text);
    error_reply_str(d->r, 416, "the range lies outside the file");
}

/* Nothing is ever read from it: the answer to HEAD has no body. */
static size_t read_nothing(void *data, char *out, size_t cap)
{
    return 0;
}

static void reply_head_only(struct download *d)
{
    const struct http_source source = {.read = read_nothing, .size = body_length(d)};
    int status = add_head(d);
    if (source.size == 0)
        reply_empty(d->r, status, d->type);
    else
        http_reply_source(d->r, status, d->type, &source);
}

/* -- bytes -- */

static void on_writable(void *data)
{
    struct download *d = data;
    if (!d->paused || !d->call)
        return;
    d->paused = false;
    session_call_pause(d->call, false);
}

static void on_bytes(void *data, const char *bytes, size_t len)
{
    struct download *d = data;
    if (!d->streaming || len == 0 || len > d->left)
        return;
    d->left -= len;
    if (d->left == 0)
        d->last = bytes[--len];
    if (http_stream_write(d->r, bytes, len) < STREAM_HIGH_WATER || d->paused)
        return;
    d->paused = true;
    session_call_pause(d->call, true);
}

/* Answers instead of sending bytes; those of a call in progress are dropped. */
static void give_up(struct download *d, int error)
{
    const struct file_end end = {.error = error};
    session_reply_file_error(d->r, &end, "", d->path);
    d->r = NULL;
}

static void begin_bytes(struct download *d, uint64_t size)
{
    if (size != body_length(d)) {
        give_up(d, ESTALE);
        return;
    }
    int status = add_head(d);
    if (size == 0) {
        reply_empty(d->r, status, d->type);
        d->r = NULL;
        return;
    }
    d->streaming = true;
    d->left = size;
    http_stream_begin_sized(d->r, status, d->type, size);
    http_stream_on_writable(d->r, STREAM_LOW_WATER, on_writable, d);
}

static bool is_same(const struct file_info *a, const struct file_info *b)
{
    return a->inode == b->inode && a->modified_ns == b->modified_ns && a->size == b->size;
}

static void on_frame(void *data, const struct file_message *m)
{
    struct download *d = data;
    if (!d->r || d->streaming)
        return;
    if (m->type == FILE_INFO) {
        if (d->reading && d->kind == RANGE_PART && !is_same(&d->info, &m->info)) {
            give_up(d, ESTALE);
            return;
        }
        d->info = m->info;
        d->has_info = true;
    } else if (m->type == FILE_BYTES && d->reading && d->has_info) {
        begin_bytes(d, m->bytes.size);
    }
}

/* -- the calls -- */

static void start_call(struct download *d, const struct session_file *what);

/* The file's state is known: answers, or goes on to read it. */
static void decide(struct download *d)
{
    struct http_request *r = d->r;
    char etag[FILE_ETAG_SIZE];
    const char *none_match = http_header(r, "If-None-Match");
    time_t since;
    file_etag(&d->info, etag);
    bool is_known = none_match
                        ? etag_list_has(none_match, etag, true)
                        : http_header(r, "If-Modified-Since") &&
                              http_date_parse(http_header(r, "If-Modified-Since"), &since) == 0 &&
                              modified(&d->info) <= since;
    if (is_known) {
        add_validators(d);
        reply_empty(r, 304, NULL);
        d->r = NULL;
        return;
    }
    if (range_is_current(http_header(r, "If-Range"), etag, modified(&d->info)))
        d->kind = range_parse(http_header(r, "Range"), d->info.size, &d->range);
    if (d->kind != RANGE_UNSATISFIABLE && strcmp(http_method(r), "HEAD") != 0) {
        const struct session_file read = {.op = FILE_READ,
                                          .offset = d->kind == RANGE_PART ? d->range.first : 0,
                                          .size = d->kind == RANGE_PART ? d->range.length
                                                                        : FILE_UNTIL_END};
        d->reading = true;
        start_call(d, &read);
        return;
    }
    if (d->kind == RANGE_UNSATISFIABLE)
        reply_outside(d);
    else
        reply_head_only(d);
    d->r = NULL;
}

static int error_of(const struct download *d)
{
    if (!d->has_info)
        return EIO;
    if (d->info.type == TYPE_DIRECTORY)
        return EISDIR;
    return d->info.type == TYPE_FILE ? 0 : ENXIO;
}

static void on_end(void *data, const struct file_end *end, const char *text)
{
    struct download *d = data;
    struct file_end mine = *end;
    d->call = NULL;
    if (d->streaming) {
        if (d->left == 0 && end->error == 0)
            http_stream_write(d->r, &d->last, 1);
        http_stream_end(d->r); /* before its size when the file could not be read to its end */
    }
    if (!d->r || d->streaming) {
        download_destroy(d);
        return;
    }
    if (!mine.error && (d->reading || error_of(d)))
        mine.error = d->reading ? EIO : error_of(d);
    if (!mine.error)
        decide(d);
    else
        session_reply_file_error(d->r, &mine, text, d->path);
    if (!d->call)
        download_destroy(d);
}

static void on_refused(void *data, const struct err *e)
{
    struct download *d = data;
    session_reply_error(d->r, e);
    download_destroy(d);
}

/* d->call is NULL when the request has been answered with why there is none. */
static void start_call(struct download *d, const struct session_file *what)
{
    const struct session_call_events events = {.on_frame = on_frame,
                                               .on_bytes = on_bytes,
                                               .on_end = on_end,
                                               .on_refused = on_refused,
                                               .data = d};
    const struct session_call_spec spec = {.what = *what, .path = d->path};
    struct err e = {0};
    d->call = session_call_start(d->session, &spec, &events, &e);
    if (!d->call)
        session_reply_error(d->r, &e);
}

/* Whether the answer depends on more than the bytes. */
static bool is_conditional(const struct http_request *r)
{
    static const char *const names[] = {"Range", "If-None-Match", "If-Modified-Since"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (http_header(r, names[i]))
            return true;
    }
    return strcmp(http_method(r), "HEAD") == 0;
}

static void download(struct http_request *r, struct session *session, const char *path,
                     const char *shown)
{
    struct download *d = calloc(1, sizeof *d);
    if (!d || !(d->path = strdup(path))) {
        free(d);
        error_reply_memory(r);
        return;
    }
    d->r = r;
    d->session = session;
    d->type = shown ? shown : TYPE;
    d->is_shown = shown;
    d->reading = !is_conditional(r);
    const struct session_file ask = {.op = FILE_STAT, .flags = FILE_FOLLOW};
    const struct session_file read = {.op = FILE_READ, .size = FILE_UNTIL_END};
    start_call(d, d->reading ? &read : &ask);
    if (d->call)
        http_set_gone(r, on_gone, d);
    else
        download_destroy(d);
}

void session_download(struct http_request *r, struct session *session, const char *path)
{
    download(r, session, path, NULL);
}

void session_show(struct http_request *r, struct session *session, const char *path,
                  const char *type)
{
    download(r, session, path, type);
}

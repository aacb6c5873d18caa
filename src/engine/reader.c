/* reader: the server's decoder of init's frames.
 *
 * Runs in the server's loop.  Input is hostile; must never grow beyond LIMIT_OUTPUT_BYTES and
 * LIMIT_OUTPUT_FILES, never believe a number, and never call anybody. */
#include "engine/reader.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/limits.h"
#include "base/str.h"

static int bad(struct err *e, const char *what)
{
    return err_set(e, ERR_INVALID, 0, "sandbox sent %s", what);
}

/* A copy of len bytes as a string; ill-formed UTF-8 is replaced, NUL is cut. */
static char *text_of(const char *data, size_t len)
{
    struct buf b;
    size_t ignored;

    buf_init(&b, 4 * len + 1);
    if (utf8_append(&b, data, strnlen(data, len)) < 0) {
        buf_finish(&b);
        return NULL;
    }
    return buf_steal(&b, &ignored);
}

static int on_text(struct reader *r, const struct frame *f, enum run_outcome outcome)
{
    free(r->result->message);
    r->result->message = text_of(f->rest, f->rest_len);
    r->result->outcome = outcome;
    return 0;
}

static int on_failed(const struct frame *f, struct err *e)
{
    char *text = text_of(f->rest, f->rest_len);

    err_set(e, ERR_UNAVAILABLE, 0, "%s", text != NULL ? text : "the sandbox failed");
    free(text);
    return -1;
}

static int on_bad_file(struct reader *r, const struct frame *f)
{
    free(r->result->bad_file);
    free(r->result->message);
    r->result->bad_file = text_of(f->rest, f->rest_len);
    r->result->message = strdup(strerror(f->errnum.errnum));
    r->result->outcome = RUN_BAD_FILE;
    r->phase = READER_DONE;
    return 0;
}

static int on_exit_frame(struct reader *r, const struct frame *f)
{
    struct run_result *result = r->result;
    int status = f->exit.wait_status;

    r->phase = READER_ENDED;
    if ((f->exit.flags & FRAME_EXIT_WORKSPACE) != 0)
        result->limits_hit |= RUN_HIT_WORKSPACE;
    if (result->outcome == RUN_REFUSED)
        return 0;
    result->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    result->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    result->outcome = WIFSIGNALED(status) ? RUN_SIGNALED : RUN_EXITED;
    if ((f->exit.flags & FRAME_EXIT_TIMEOUT) != 0) {
        result->outcome = RUN_TIMEOUT;
        result->limits_hit |= RUN_HIT_TIME;
    }
    return 0;
}

static int on_output(struct reader *r, const struct frame *f, struct err *e)
{
    struct run_result *result = r->result;
    struct run_output_file *file;
    bool incomplete;

    if (result->nfiles >= LIMIT_OUTPUT_FILES || f->blob.size > r->max_file_size ||
        r->files_bytes + f->blob.size > LIMIT_OUTPUT_BYTES)
        return bad(e, "more files than it may");
    if (f->rest_len == 0 || f->rest_len > LIMIT_FILE_PATH ||
        memchr(f->rest, 0, f->rest_len) != NULL ||
        utf8_valid_prefix(f->rest, f->rest_len, &incomplete) != f->rest_len)
        return bad(e, "an impossible file name");
    if (result->files == NULL)
        result->files = calloc(LIMIT_OUTPUT_FILES, sizeof *result->files);
    if (result->files == NULL)
        return err_set(e, ERR_INTERNAL, 0, "out of memory");
    file = &result->files[result->nfiles];
    file->name = strndup(f->rest, f->rest_len);
    file->data = malloc(f->blob.size + 1);
    file->len = 0;
    result->nfiles++;
    if (file->name == NULL || file->data == NULL)
        return err_set(e, ERR_INTERNAL, 0, "out of memory");
    r->blob_left = f->blob.size;
    r->files_bytes += f->blob.size;
    return 0;
}

/* Names a file that is not among the files.  Takes `name` over; NULL: there was no memory for it.
 */
static int add_skipped(struct run_result *result, char *name, const char *reason, struct err *e)
{
    if (result->nskipped >= LIMIT_SKIPPED_FILES) {
        free(name);
        result->nskipped_unnamed++;
        return 0;
    }
    if (result->skipped == NULL)
        result->skipped = calloc(LIMIT_SKIPPED_FILES, sizeof *result->skipped);
    if (result->skipped == NULL || name == NULL) {
        free(name);
        return err_set(e, ERR_INTERNAL, 0, "out of memory");
    }
    result->skipped[result->nskipped++] = (struct run_skipped){.name = name, .reason = reason};
    return 0;
}

static int on_skipped(struct reader *r, const struct frame *f, struct err *e)
{
    struct run_result *result = r->result;
    const char *reason = frame_skip_text(f->skipped.reason);

    if (reason == NULL)
        return bad(e, "an unknown reason");
    if (f->skipped.reason == SKIP_TOO_LARGE || f->skipped.reason == SKIP_TOO_MANY ||
        f->skipped.reason == SKIP_TOTAL)
        result->limits_hit |= RUN_HIT_FILES;
    return add_skipped(result, text_of(f->rest, f->rest_len), reason, e);
}

/* A hint that the run may have forged: anything but a short list of names is as good as none. */
static void on_modules(struct run_result *result, const struct frame *f)
{
    static const char permitted[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.,";

    if (f->rest_len == 0 || f->rest_len > FRAME_MODULES_MAX || result->modules != NULL)
        return;
    for (size_t i = 0; i < f->rest_len; i++) {
        if (f->rest[i] == '\0' || strchr(permitted, f->rest[i]) == NULL)
            return;
    }
    result->modules = strndup(f->rest, f->rest_len);
}

/* What may come in which phase. */
static int on_frame(struct reader *r, const struct frame *f, struct err *e)
{
    if (f->type == FRAME_READY && r->phase == READER_BUILDING) {
        r->phase = READER_READY;
        return 0;
    }
    if (f->type == FRAME_FAILED && r->phase <= READER_READY)
        return on_failed(f, e);
    if (r->result == NULL)
        return bad(e, "a result before it had a job");
    if (f->type == FRAME_MODULES && (r->phase == READER_READY || r->phase == READER_ENDED)) {
        on_modules(r->result, f);
        return 0;
    }
    if (r->phase == READER_READY) {
        if (f->type == FRAME_REFUSED)
            return on_text(r, f, RUN_REFUSED);
        if (f->type == FRAME_BAD_FILE)
            return on_bad_file(r, f);
        if (f->type == FRAME_EXIT)
            return on_exit_frame(r, f);
    } else if (r->phase == READER_ENDED) {
        if (f->type == FRAME_OUTPUT)
            return on_output(r, f, e);
        if (f->type == FRAME_SKIPPED)
            return on_skipped(r, f, e);
        if (f->type == FRAME_DONE) {
            r->phase = READER_DONE;
            return 0;
        }
    }
    return bad(e, "a frame out of order");
}

static size_t take_blob(struct reader *r, const char *data, size_t len)
{
    struct run_output_file *file = &r->result->files[r->result->nfiles - 1];
    size_t n = len < r->blob_left ? len : (size_t)r->blob_left;

    memcpy(file->data + file->len, data, n);
    file->len += n;
    r->blob_left -= n;
    return n;
}

/* Moves bytes into the frame buffer and serves the frame once it is whole.  Returns how many bytes
 * were used, -1 on error. */
static long take_frame(struct reader *r, const char *data, size_t len, struct err *e)
{
    size_t before = r->in_len, room = sizeof r->in - r->in_len;
    size_t n = len < room ? len : room;
    struct frame f;
    long used;

    memcpy(r->in + r->in_len, data, n);
    used = frame_parse(r->in, r->in_len + n, &f, e);
    if (used < 0)
        return -1;
    if (used == 0 && n == room)
        return bad(e, "a frame that is too long");
    if (used == 0) {
        r->in_len += n;
        return (long)n;
    }
    r->in_len = 0;
    if (on_frame(r, &f, e) < 0)
        return -1;
    return used - (long)before;
}

int reader_feed(struct reader *r, const char *data, size_t len, struct err *e)
{
    while (len > 0) {
        long n;

        if (r->phase == READER_DONE)
            return bad(e, "more after the end");
        n = r->blob_left > 0 ? (long)take_blob(r, data, len) : take_frame(r, data, len, e);
        if (n < 0)
            return -1;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

void reader_cut(struct reader *r)
{
    struct run_result *result = r->result;
    struct run_output_file *last;

    if (r->phase != READER_ENDED)
        return;
    result->limits_hit |= RUN_HIT_FILES;
    if (r->blob_left == 0)
        return;
    r->blob_left = 0;
    last = &result->files[--result->nfiles];
    free(last->data);
    add_skipped(result, last->name, "incomplete", NULL);
}

/* fetch_stream: see the header.  Runs in the server's loop; must not believe anything it reads. */
#include "service/fetch_stream.h"

#include <jansson.h>
#include <string.h>

#include "base/str.h"

#define LENGTH_BYTES 4

/* Copies text, cut between two characters if need be. */
static void copy_text(char *out, size_t cap, const char *text)
{
    size_t len = strlen(text);

    if (len >= cap)
        len = utf8_valid_prefix(text, cap - 1, NULL);
    memcpy(out, text, len);
    out[len] = '\0';
}

static void read_facts(struct fetch_facts *f, const json_t *line)
{
    const json_t *error = json_object_get(line, "error"), *size = json_object_get(line, "size");
    const json_t *document = json_object_get(line, "document");
    json_int_t status = json_integer_value(json_object_get(line, "status"));
    const char *name = json_string_value(json_object_get(document, "name"));
    const char *rev = json_string_value(json_object_get(document, "rev"));

    if (status >= 100 && status <= 599)
        f->status = (int)status;
    if (json_integer_value(size) >= 0 && json_is_integer(size))
        f->size = (uint64_t)json_integer_value(size);
    f->is_document |= json_is_object(document);
    if (name != NULL)
        copy_text(f->name, sizeof f->name, name);
    if (rev != NULL)
        copy_text(f->rev, sizeof f->rev, rev);
    f->failed = json_is_string(error);
    if (f->failed)
        copy_text(f->error, sizeof f->error, json_string_value(error));
}

/* A line is complete. */
static int end_line(struct fetch_stream *s, struct err *e)
{
    json_t *line = json_loadb(s->line, s->nline, JSON_REJECT_DUPLICATES, NULL);

    s->nline = 0;
    if (!json_is_object(line)) {
        json_decref(line);
        return err_set(e, ERR_INVALID, 0, "a line that is no JSON object");
    }
    if (s->phase == FETCH_HEAD)
        s->facts.size = UINT64_MAX;
    read_facts(&s->facts, line);
    json_decref(line);
    s->phase = s->phase == FETCH_HEAD && !s->facts.failed ? FETCH_LENGTH : FETCH_OVER;
    return 0;
}

static long take_line(struct fetch_stream *s, const char *data, size_t len, struct err *e)
{
    const char *end = memchr(data, '\n', len);
    size_t n = end != NULL ? (size_t)(end - data) : len;

    if (n > sizeof s->line - s->nline)
        return err_set(e, ERR_INVALID, 0, "a line that is too long");
    memcpy(s->line + s->nline, data, n);
    s->nline += n;
    if (end == NULL)
        return (long)n;
    return end_line(s, e) < 0 ? -1 : (long)n + 1;
}

static long take_length(struct fetch_stream *s, const char *data, size_t len, struct err *e)
{
    size_t wanted = LENGTH_BYTES - s->nline, n = len < wanted ? len : wanted;
    const unsigned char *at = (const unsigned char *)s->line;

    memcpy(s->line + s->nline, data, n);
    s->nline += n;
    if (s->nline < LENGTH_BYTES)
        return (long)n;
    s->nline = 0;
    s->left = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    s->phase = s->left > 0 ? FETCH_BYTES : FETCH_TAIL;
    if (s->left > FETCH_PIECE_MAX)
        return err_set(e, ERR_INVALID, 0, "a piece of %u bytes", s->left);
    if (s->left > s->max - s->total)
        return err_set(e, ERR_INVALID, 0, "more than %llu bytes", (unsigned long long)s->max);
    return (long)n;
}

static long take_bytes(struct fetch_stream *s, const char *data, size_t len, const char **ret_bytes,
                       size_t *ret_len)
{
    size_t n = len < s->left ? len : s->left;

    *ret_bytes = data;
    *ret_len = n;
    s->left -= (uint32_t)n;
    s->total += n;
    if (s->left == 0)
        s->phase = FETCH_LENGTH;
    return (long)n;
}

long fetch_stream_take(struct fetch_stream *s, const char *data, size_t len, const char **ret_bytes,
                       size_t *ret_len, struct err *e)
{
    *ret_bytes = NULL;
    *ret_len = 0;
    switch (s->phase) {
    case FETCH_HEAD:
    case FETCH_TAIL:
        return take_line(s, data, len, e);
    case FETCH_LENGTH:
        return take_length(s, data, len, e);
    case FETCH_BYTES:
        return take_bytes(s, data, len, ret_bytes, ret_len);
    default:
        return err_set(e, ERR_INVALID, 0, "more behind the end");
    }
}

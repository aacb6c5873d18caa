/* session_output: a list of chunks, each of one stream.
 *
 * Runs in the server.  The bytes come out of a sandbox and are never looked at.  What is held of
 * each stream is bounded by `keep`, plus what a reader that holds has not read yet: such a one
 * makes the process wait, so that is LIMIT_STREAM_LAG and one read at most. */
#include "service/session_output.h"

#include <stdlib.h>
#include <string.h>

#include "service/session_process.h"

#define CHUNK_MIN 512
#define CHUNK_MAX (32u << 10)
#define SLACK     64 /* of a chunk that is as good as full */

struct output_chunk {
    struct output_chunk *prev, *next; /* of both streams */
    struct output_chunk *next_same;   /* of its own */
    uint64_t offset;                  /* of its first byte */
    size_t len, cap;
    int stream;
    char bytes[];
};

void output_init(struct session_output *o, size_t keep)
{
    *o = (struct session_output){.keep = keep};
}

static void drop(struct session_output *o, struct output_chunk *c)
{
    for (struct output_reader *r = o->readers; r != NULL; r = r->next) {
        if (r->at == c) {
            r->at = c->next;
            r->pos = 0;
        }
    }
    *(c->prev != NULL ? &c->prev->next : &o->first) = c->next;
    *(c->next != NULL ? &c->next->prev : &o->last) = c->prev;
    /* Only the oldest of a stream goes. */
    o->stream[c->stream].first = c->next_same;
    if (c->next_same == NULL)
        o->stream[c->stream].last = NULL;
    o->stream[c->stream].kept -= c->len;
    free(c);
}

void output_finish(struct session_output *o)
{
    for (int i = 0; i < 2; i++) {
        while (o->stream[i].first != NULL)
            drop(o, o->stream[i].first);
    }
}

static bool is_held(const struct session_output *o, const struct output_chunk *c)
{
    for (const struct output_reader *r = o->readers; r != NULL; r = r->next) {
        if (r->holds && r->offset[c->stream] < c->offset + c->len)
            return true;
    }
    return false;
}

void output_trim(struct session_output *o, size_t keep)
{
    for (int i = 0; i < 2; i++) {
        struct output_chunk *c;

        while ((c = o->stream[i].first) != NULL && o->stream[i].kept - c->len >= keep &&
               !is_held(o, c))
            drop(o, c);
    }
}

/* Room for small writes that follow grows with what has come, so that a process that says little
 * takes up little. */
static struct output_chunk *add_chunk(struct session_output *o, int stream, size_t len)
{
    size_t cap = o->last != NULL ? 2 * o->last->cap : CHUNK_MIN;
    struct output_chunk *c;

    cap = cap > CHUNK_MAX ? CHUNK_MAX : cap;
    cap = len > cap ? len : cap;
    c = malloc(sizeof *c + cap);
    if (c == NULL)
        return NULL;
    *c = (struct output_chunk){
        .prev = o->last, .offset = o->stream[stream].total, .cap = cap, .stream = stream};
    *(o->last != NULL ? &o->last->next : &o->first) = c;
    o->last = c;
    *(o->stream[stream].last != NULL ? &o->stream[stream].last->next_same
                                     : &o->stream[stream].first) = c;
    o->stream[stream].last = c;
    for (struct output_reader *r = o->readers; r != NULL; r = r->next) {
        if (r->at == NULL) {
            r->at = c;
            r->pos = 0;
        }
    }
    return c;
}

/* The last chunk, if the stream's next byte belongs behind what it holds. */
static struct output_chunk *open_chunk(const struct session_output *o, int stream)
{
    struct output_chunk *c = o->last;

    return c != NULL && c->stream == stream && c->len < c->cap &&
                   c->offset + c->len == o->stream[stream].total
               ? c
               : NULL;
}

void output_append(struct session_output *o, int stream, const char *bytes, size_t len)
{
    while (len > 0) {
        struct output_chunk *c = open_chunk(o, stream);
        size_t n = len < CHUNK_MAX ? len : CHUNK_MAX;

        if (c == NULL)
            c = add_chunk(o, stream, n);
        if (c == NULL) {
            o->stream[stream].total += len;
            break;
        }
        n = n < c->cap - c->len ? n : c->cap - c->len;
        memcpy(c->bytes + c->len, bytes, n);
        c->len += n;
        o->stream[stream].total += n;
        o->stream[stream].kept += n;
        bytes += n;
        len -= n;
    }
    output_trim(o, o->keep);
}

/* Puts a copy of a chunk into its places; before: what comes before it in its stream, or NULL. */
static void replace(struct session_output *o, const struct output_chunk *old,
                    struct output_chunk *before, struct output_chunk *c)
{
    *(c->prev != NULL ? &c->prev->next : &o->first) = c;
    *(c->next != NULL ? &c->next->prev : &o->last) = c;
    *(before != NULL ? &before->next_same : &o->stream[c->stream].first) = c;
    if (c->next_same == NULL)
        o->stream[c->stream].last = c;
    for (struct output_reader *r = o->readers; r != NULL; r = r->next) {
        if (r->at == old)
            r->at = c;
    }
}

void output_settle(struct session_output *o)
{
    struct output_chunk *last[2] = {NULL, NULL}, *next;

    for (struct output_chunk *c = o->first; c != NULL; c = next) {
        size_t size = sizeof *c + c->len;
        struct output_chunk *copy = c->cap - c->len < SLACK ? NULL : malloc(size);

        next = c->next;
        if (copy != NULL) {
            memcpy(copy, c, size);
            copy->cap = copy->len;
            replace(o, c, last[copy->stream], copy);
            free(c);
            c = copy;
        }
        last[c->stream] = c;
    }
}

size_t output_kept(const struct session_output *o)
{
    return o->stream[0].kept + o->stream[1].kept;
}

uint64_t output_first(const struct session_output *o, int stream)
{
    return o->stream[stream].first != NULL ? o->stream[stream].first->offset
                                           : o->stream[stream].total;
}

void output_listen(struct session_output *o, struct output_reader *r, const uint64_t offset[2])
{
    for (int i = 0; i < 2; i++) {
        r->offset[i] = offset[i] == 0 ? output_first(o, i) : offset[i];
        if (r->offset[i] > o->stream[i].total)
            r->offset[i] = o->stream[i].total;
    }
    r->output = o;
    r->at = o->first;
    r->pos = 0;
    r->next = o->readers;
    o->readers = r;
}

void output_unlisten(struct session_output *o, struct output_reader *r)
{
    struct output_reader **at = &o->readers;

    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
}

/* What has come since the last chunk, without memory for it. */
static bool read_loss(struct output_reader *r, struct listener_piece *ret)
{
    for (int i = 0; i < 2; i++) {
        uint64_t total = r->output->stream[i].total;

        if (r->offset[i] < total) {
            *ret = (struct listener_piece){
                .stream = i + 1, .bytes = "", .offset = total, .lost = total - r->offset[i]};
            r->offset[i] = total;
            return true;
        }
    }
    return false;
}

bool output_read(struct output_reader *r, struct listener_piece *ret)
{
    while (r->at != NULL) {
        struct output_chunk *c = r->at;
        uint64_t start = c->offset + r->pos, want = r->offset[c->stream];

        if (r->pos < c->len && start >= want) {
            *ret = (struct listener_piece){.stream = c->stream + 1,
                                           .bytes = c->bytes + r->pos,
                                           .len = c->len - r->pos,
                                           .offset = start,
                                           .lost = start - want};
            r->pos = c->len;
            r->offset[c->stream] = c->offset + c->len;
            return true;
        }
        if (r->pos < c->len) { /* behind what it wants */
            r->pos = want - c->offset < c->len ? (size_t)(want - c->offset) : c->len;
        } else if (c->next != NULL) {
            r->at = c->next;
            r->pos = 0;
        } else {
            break;
        }
    }
    return read_loss(r, ret);
}

uint64_t output_lag(const struct session_output *o, const struct output_reader *r)
{
    return o->stream[0].total - r->offset[0] + o->stream[1].total - r->offset[1];
}

/* execute_answer: a list of segments (finished text, strings to escape, bytes to encode) and a
 * reader that walks it.
 *
 * Runs in the server's loop thread; each read costs time in proportion to the piece asked for.  The
 * result is hostile data: nothing of it gets into the text but through the escaper or the encoder.
 */
#include "api/execute_answer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/outcome.h"
#include "api/text.h"
#include "base/base64.h"
#include "engine/language.h"

/* Room in which every kind of segment can get on. */
#define STEP_MAX 16

struct segment {
    enum { SEGMENT_TEXT, SEGMENT_STRING, SEGMENT_BASE64, SEGMENT_REPLACED } kind;
    const char *data; /* STRING, BASE64 */
    size_t len;
    size_t offset; /* TEXT: in answer.text */
    bool *flag;    /* STRING: set when something was replaced; REPLACED: what to write */
};

struct answer {
    struct answer_facts facts;
    struct run_result result;
    struct buf text;
    struct segment *segments;
    size_t nsegments, capacity;
    size_t text_done; /* bytes of text that are in segments */
    bool out_replaced, err_replaced;
    bool failed;

    size_t current;  /* the segment being read */
    bool begun;      /* it has been started */
    size_t position; /* in it, TEXT and BASE64 */
    struct text_escaper escaper;
    char spill[STEP_MAX]; /* a step that did not fit into what was asked for */
    size_t spill_at, spill_len;
};

/* -- building -- */

static void push(struct answer *a, struct segment segment)
{
    if (a->nsegments == a->capacity) {
        size_t capacity = a->capacity ? 2 * a->capacity : 16;
        struct segment *grown = realloc(a->segments, capacity * sizeof *grown);
        if (!grown) {
            a->failed = true;
            return;
        }
        a->segments = grown;
        a->capacity = capacity;
    }
    a->segments[a->nsegments++] = segment;
}

/* Turns the text appended since the last call into a segment. */
static void push_text(struct answer *a)
{
    if (a->text.len > a->text_done)
        push(a, (struct segment){.kind = SEGMENT_TEXT,
                                 .offset = a->text_done,
                                 .len = a->text.len - a->text_done});
    a->text_done = a->text.len;
}

static void put(struct answer *a, const char *text)
{
    a->failed |= buf_append_str(&a->text, text) < 0;
}

static void put_json(struct answer *a, const char *text)
{
    a->failed |= text_append_json_str(&a->text, text) < 0;
}

static void put_bool(struct answer *a, const char *name, bool value)
{
    put(a, name);
    put(a, value ? "true" : "false");
}

static void put_string(struct answer *a, const struct buf *bytes, bool *replaced)
{
    put(a, "\"");
    push_text(a);
    push(a, (struct segment){.kind = SEGMENT_STRING,
                             .data = bytes->data ? bytes->data : "",
                             .len = bytes->len,
                             .flag = replaced});
    put(a, "\"");
}

/* Whether a string was repaired is known only when it has been read. */
static void put_replaced(struct answer *a, const char *name, bool *replaced)
{
    put(a, name);
    push_text(a);
    push(a, (struct segment){.kind = SEGMENT_REPLACED, .flag = replaced});
}

static void put_files(struct answer *a)
{
    put(a, ",\"files\":{");
    for (size_t i = 0; i < a->result.nfiles; i++) {
        const struct run_output_file *f = &a->result.files[i];
        put(a, i ? "," : "");
        put_json(a, f->name);
        put(a, ":\"");
        push_text(a);
        push(a, (struct segment){.kind = SEGMENT_BASE64, .data = f->data, .len = f->len});
        put(a, "\"");
    }
    put(a, "}");
}

static void put_exit(struct answer *a)
{
    const struct run_result *r = &a->result;
    int code;
    if (outcome_exit_code(r, &code))
        a->failed |= buf_printf(&a->text, ",\"exit_code\":%d", code) < 0;
    else
        put(a, ",\"exit_code\":null");
    if (r->signal > 0)
        a->failed |= buf_printf(&a->text, ",\"signal\":%d", r->signal) < 0;
    else
        put(a, ",\"signal\":null");
    put_bool(a, ",\"timed_out\":", r->outcome == RUN_TIMEOUT);
    put(a, ",\"limits_hit\":");
    a->failed |= outcome_append_limits(&a->text, r->limits_hit) < 0;
}

static void put_usage(struct answer *a)
{
    const struct run_result *r = &a->result;
    a->failed |= buf_printf(&a->text,
                            ",\"usage\":{\"wall_ms\":%" PRIu64 ".%03u,\"cpu_ms\":%" PRIu64
                            ".%03u,\"memory_peak_kb\":%" PRIu64 "}",
                            r->wall_us / 1000, (unsigned)(r->wall_us % 1000), r->cpu_us / 1000,
                            (unsigned)(r->cpu_us % 1000), r->memory_peak / 1024) < 0;
}

static void put_skipped(struct answer *a)
{
    const struct run_result *r = &a->result;
    put(a, ",\"skipped_files\":[");
    for (size_t i = 0; i < r->nskipped; i++) {
        put(a, i ? ",{\"name\":" : "{\"name\":");
        put_json(a, r->skipped[i].name);
        put(a, ",\"reason\":");
        put_json(a, r->skipped[i].reason);
        put(a, "}");
    }
    put(a, "]");
    if (r->nskipped_unnamed > 0)
        a->failed |= buf_printf(&a->text, ",\"skipped_files_more\":%zu", r->nskipped_unnamed) < 0;
}

/* "user,pid" becomes ["user","pid"]. */
static void put_list(struct answer *a, const char *names)
{
    const char *between = "";
    put(a, "[");
    while (names && *names) {
        size_t n = strcspn(names, ",");
        put(a, between);
        a->failed |= text_append_json(&a->text, names, n) < 0;
        names += n + (names[n] == ',');
        between = ",";
    }
    put(a, "]");
}

static void put_isolation(struct answer *a)
{
    const struct run_isolation *i = &a->result.isolation;
    if (!i->namespaces) {
        put(a, ",\"isolation\":null");
        return;
    }
    put(a, ",\"isolation\":{\"namespaces\":");
    put_list(a, i->namespaces);
    put(a, ",\"cgroup\":");
    put_json(a, i->cgroup);
    put(a, ",\"seccomp\":");
    put_json(a, i->seccomp);
    a->failed |= buf_printf(&a->text, ",\"landlock_abi\":%d", i->landlock_abi) < 0;
    put(a, ",\"network\":");
    put_json(a, i->network);
    put_bool(a, ",\"warm\":", i->warm);
    put(a, "}");
}

/* The whole body.  `error` empty: null. */
static void build(struct answer *a, const struct buf *error)
{
    struct run_result *r = &a->result;
    put_bool(a, "{\"success\":", error->len == 0);
    put(a, ",\"stdout\":");
    put_string(a, &r->out, &a->out_replaced);
    put(a, ",\"stderr\":");
    put_string(a, &r->err, &a->err_replaced);
    a->failed |= buf_printf(&a->text, ",\"execution_time\":%" PRIu64 ".%06u", r->wall_us / 1000000,
                            (unsigned)(r->wall_us % 1000000)) < 0;
    put_files(a);
    put(a, ",\"error\":");
    if (error->len > 0)
        a->failed |= text_append_json(&a->text, error->data, error->len) < 0;
    else
        put(a, "null");
    put(a, ",\"output\":");
    put_string(a, &r->out, &a->out_replaced);
    put_exit(a);
    put_usage(a);
    put_bool(a, ",\"stdout_truncated\":", r->out_truncated);
    put_bool(a, ",\"stderr_truncated\":", r->err_truncated);
    put_replaced(a, ",\"stdout_replaced\":", &a->out_replaced);
    put_replaced(a, ",\"stderr_replaced\":", &a->err_replaced);
    put_skipped(a);
    put_isolation(a);
    put(a, ",\"id\":");
    put_json(a, a->facts.id[0] ? a->facts.id : NULL);
    put(a, ",\"language\":");
    put_json(a, a->facts.language->name);
    put(a, "}");
    push_text(a);
}

static struct answer *create(const struct answer_facts *facts, const struct run_result *result)
{
    struct answer *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->facts = *facts;
    a->result = *result;
    return a;
}

static struct answer *finish_building(struct answer *a, const struct buf *error, bool failed)
{
    if (!failed)
        build(a, error);
    if (failed || a->failed) {
        answer_destroy(a);
        return NULL;
    }
    return a;
}

struct answer *answer_create(const struct answer_facts *facts, struct run_result *result)
{
    struct answer *a = create(facts, result);
    if (!a) {
        run_result_finish(result);
        return NULL;
    }
    *result = (struct run_result){0};
    const struct outcome_facts outcome = {facts->timeout_s, facts->memory_mb};
    _cleanup_buf_ struct buf error = {0};
    bool failed = outcome_append_error(&error, &a->result, &outcome) < 0;
    return finish_building(a, &error, failed);
}

struct answer *answer_create_refused(const struct answer_facts *facts,
                                     const struct buf *stderr_text, const struct buf *error)
{
    /* No outcome, so neither an exit code nor a signal. */
    struct answer *a = create(facts, &(struct run_result){.outcome = RUN_REFUSED});
    if (!a)
        return NULL;
    bool failed = buf_append(&a->result.err, stderr_text->data, stderr_text->len) < 0;
    return finish_building(a, error, failed);
}

void answer_destroy(void *answer)
{
    struct answer *a = answer;
    if (!a)
        return;
    run_result_finish(&a->result);
    buf_finish(&a->text);
    free(a->segments);
    free(a);
}

bool answer_is_small(const struct answer *a)
{
    size_t strings = 2 * a->result.out.len + a->result.err.len;
    size_t bytes = a->text.len + strings * TEXT_ESCAPED_MAX;
    for (size_t i = 0; i < a->result.nfiles; i++)
        bytes += base64_encoded_size(a->result.files[i].len);
    return bytes + sizeof "false" * 2 <= ANSWER_SMALL;
}

/* -- reading -- */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t read_base64(struct answer *a, const struct segment *s, char *out, size_t cap)
{
    struct base64_encoder encoder = {0};
    size_t left = s->len - a->position;
    const char *from = s->data + a->position;
    if (base64_encoded_size(left) > cap) {
        /* Whole groups: nothing stays in the encoder. */
        left = cap / 4 * 3;
        a->position += left;
        return base64_encode_update(&encoder, from, left, out);
    }
    a->position = s->len;
    size_t n = base64_encode_update(&encoder, from, left, out);
    return n + base64_encode_end(&encoder, out + n);
}

/* Writes some of the current segment; *ret_ended when nothing of it is left. */
static size_t read_segment(struct answer *a, const struct segment *s, char *out, size_t cap,
                           bool *ret_ended)
{
    size_t n = 0;
    switch (s->kind) {
    case SEGMENT_TEXT:
        n = smaller(cap, s->len - a->position);
        memcpy(out, a->text.data + s->offset + a->position, n);
        a->position += n;
        *ret_ended = a->position == s->len;
        break;
    case SEGMENT_STRING:
        n = text_escape(&a->escaper, out, cap);
        *s->flag |= a->escaper.replaced;
        *ret_ended = a->escaper.at == a->escaper.end;
        break;
    case SEGMENT_BASE64:
        n = s->len ? read_base64(a, s, out, cap) : 0;
        *ret_ended = a->position == s->len;
        break;
    case SEGMENT_REPLACED: {
        const char *word = *s->flag ? "true" : "false";
        n = strlen(word);
        memcpy(out, word, n);
        *ret_ended = true;
        break;
    }
    }
    return n;
}

/* Writes as much as fits; cap >= STEP_MAX.  0 only at the end. */
static size_t read_step(struct answer *a, char *out, size_t cap)
{
    size_t n = 0;
    while (a->current < a->nsegments && cap - n >= STEP_MAX) {
        const struct segment *s = &a->segments[a->current];
        bool ended = false;
        if (!a->begun) {
            a->begun = true;
            a->position = 0;
            if (s->kind == SEGMENT_STRING)
                a->escaper = (struct text_escaper){.at = s->data, .end = s->data + s->len};
        }
        n += read_segment(a, s, out + n, cap - n, &ended);
        if (ended) {
            a->current++;
            a->begun = false;
        }
    }
    return n;
}

size_t answer_read(void *answer, char *out, size_t cap)
{
    struct answer *a = answer;
    size_t n = 0;
    while (n < cap) {
        if (a->spill_at < a->spill_len) {
            size_t some = smaller(cap - n, a->spill_len - a->spill_at);
            memcpy(out + n, a->spill + a->spill_at, some);
            a->spill_at += some;
            n += some;
            continue;
        }
        if (a->current == a->nsegments)
            break;
        if (cap - n >= STEP_MAX) {
            n += read_step(a, out + n, cap - n);
        } else {
            a->spill_at = 0;
            a->spill_len = read_step(a, a->spill, sizeof a->spill);
        }
    }
    return n;
}

int answer_read_all(struct answer *a, struct buf *out)
{
    size_t n;
    do {
        if (buf_reserve(out, ANSWER_SMALL / 16) < 0)
            return -1;
        n = answer_read(a, out->data + out->len, out->cap - out->len);
        out->len += n;
    } while (n > 0);
    return 0;
}

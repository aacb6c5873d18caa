/* http_oracle: see the header.  Runs in the fuzz target; every byte it reads may be anything. */
#include "http_oracle.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct text {
    const char *at;
    size_t len;
};

static struct text skip(struct text t, size_t n)
{
    return (struct text){t.at + n, t.len - n};
}

/* Takes a line and its CR LF; false: there is none, or it has a CR, LF or NUL inside. */
static bool take_line(struct text *t, struct text *ret)
{
    const char *end = t->len > 0 ? memmem(t->at, t->len, "\r\n", 2) : NULL;

    if (end == NULL)
        return false;
    *ret = (struct text){t->at, (size_t)(end - t->at)};
    *t = skip(*t, ret->len + 2);
    for (size_t i = 0; i < ret->len; i++) {
        if (strchr("\r\n", ret->at[i]) != NULL) /* finds the NUL too */
            return false;
    }
    return true;
}

static bool is_token(struct text t)
{
    for (size_t i = 0; i < t.len; i++) {
        if (!isalnum((unsigned char)t.at[i]) && !memchr("!#$%&'*+-.^_`|~", t.at[i], 15))
            return false;
    }
    return t.len > 0;
}

static bool is_word(struct text t, const char *word)
{
    return t.len == strlen(word) && strncasecmp(t.at, word, t.len) == 0;
}

/* Takes a field line apart.  False: it is none. */
static bool take_field(struct text line, struct text *name, struct text *value)
{
    const char *colon = line.len > 0 ? memchr(line.at, ':', line.len) : NULL;

    if (colon == NULL)
        return false;
    *name = (struct text){line.at, (size_t)(colon - line.at)};
    *value = skip(line, name->len + 1);
    while (value->len > 0 && (value->at[0] == ' ' || value->at[0] == '\t'))
        *value = skip(*value, 1);
    while (value->len > 0 && strchr(" \t", value->at[value->len - 1]) != NULL)
        value->len--;
    for (size_t i = 0; i < value->len; i++) {
        if ((unsigned char)value->at[i] < 0x20 && value->at[i] != '\t')
            return false;
    }
    return is_token(*name);
}

static bool take_number(struct text t, int base, size_t *ret)
{
    static const char digits[] = "0123456789abcdef";

    *ret = 0;
    for (size_t i = 0; i < t.len; i++) {
        const char *digit = memchr(digits, tolower((unsigned char)t.at[i]), (size_t)base);

        if (digit == NULL)
            return false;
        *ret = *ret * (size_t)base + (size_t)(digit - digits);
    }
    return t.len > 0 && t.len <= 9;
}

/* -- bodies; 1: taken (its bytes go to `out`, unless NULL), 0: it is not all there, -1: malformed
 */

static int take_sized(struct text *t, size_t len, struct buf *out)
{
    if (t->len < len)
        return 0;
    if (out != NULL && len > 0)
        buf_append(out, t->at, len);
    *t = skip(*t, len);
    return 1;
}

static int take_chunked(struct text *t, struct buf *out)
{
    for (;;) {
        struct text line, rest = *t;
        size_t len;
        int r;

        if (memmem(t->at, t->len, "\r\n", 2) == NULL)
            return 0;
        if (!take_line(&rest, &line) || !take_number(line, 16, &len))
            return -1;
        r = take_sized(&rest, len, out);
        if (r <= 0 || rest.len < 2)
            return 0;
        if (memcmp(rest.at, "\r\n", 2) != 0)
            return -1;
        *t = skip(rest, 2);
        if (len == 0)
            return 1;
    }
}

/* -- what the server sent */

struct answer {
    size_t status, length, serial; /* serial: X-N, 0: the handler did not send it */
    bool is_sized, is_chunked, is_closing, is_json;
};

static void read_field(struct answer *a, struct text line)
{
    struct text name, value;

    CHECK(take_field(line, &name, &value));
    if (is_word(name, "Content-Length")) {
        CHECK(!a->is_sized && take_number(value, 10, &a->length));
        a->is_sized = true;
    } else if (is_word(name, "Transfer-Encoding")) {
        CHECK(!a->is_chunked && is_word(value, "chunked"));
        a->is_chunked = true;
    } else if (is_word(name, "Connection")) {
        a->is_closing |= is_word(value, "close");
    } else if (is_word(name, "Content-Type")) {
        a->is_json = is_word(value, "application/json");
    } else if (is_word(name, "X-N")) {
        CHECK(a->serial == 0 && take_number(value, 10, &a->serial) && a->serial > 0);
    }
}

/* Reads the head of an answer.  False: it is not complete. */
static bool read_head(struct text *t, struct answer *ret)
{
    struct text line, code;

    *ret = (struct answer){0};
    if (memmem(t->at, t->len, "\r\n\r\n", 4) == NULL)
        return false;
    CHECK(take_line(t, &line) && line.len > 13 && memcmp(line.at, "HTTP/1.1 ", 9) == 0);
    code = (struct text){line.at + 9, 3};
    CHECK(take_number(code, 10, &ret->status) && line.at[12] == ' ');
    for (;;) {
        CHECK(take_line(t, &line));
        if (line.len == 0)
            break;
        read_field(ret, line);
    }
    CHECK(!ret->is_sized || !ret->is_chunked);
    return true;
}

static void judge_refusal(const struct answer *a)
{
    static const size_t known[] = {400, 408, 413, 414, 426, 431, 501, 503, 505};
    bool is_known = false;

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        is_known |= known[i] == a->status;
    CHECK(is_known && a->is_closing && a->is_json && a->is_sized);
}

/* Server frames: never masked, no extension, lengths in their shortest form, and nothing behind a
 * goodbye.  False: the last one is not complete. */
static bool judge_frames(struct text t)
{
    while (t.len >= 2) {
        unsigned opcode = t.at[0] & 0x0f, more;
        size_t len = t.at[1] & 0x7f, head;

        CHECK((t.at[0] & 0x70) == 0 && (t.at[1] & 0x80) == 0);
        CHECK(opcode <= 2 || (opcode >= 8 && opcode <= 10));
        CHECK(opcode < 8 || ((t.at[0] & 0x80) && len <= 125));
        more = len == 126 ? 2 : len == 127 ? 8 : 0;
        head = 2 + more;
        if (t.len < head)
            return false;
        for (size_t i = 0, n = 0; i < more; i++) {
            n = n << 8 | (unsigned char)t.at[2 + i];
            len = n;
        }
        CHECK(more == 0 || len >= (more == 2 ? 126 : 65536));
        if (t.len - head < len)
            return false;
        t = skip(t, head + len);
        CHECK(opcode != 8 || t.len == 0);
    }
    return t.len == 0;
}

/* 1: there may be another answer behind it, 0: this was the last one, -1: it is not complete. */
static int judge_body(const struct oracle *o, const struct answer *a, struct text *t)
{
    const struct oracle_handed *h = a->serial > 0 ? &o->handed[a->serial - 1] : NULL;
    int r = 1;

    if (a->status == 101) {
        CHECK(h != NULL);
        return judge_frames(*t) ? 0 : -1;
    }
    if (a->status == 204 || a->status == 304 || (h != NULL && strcmp(h->method, "HEAD") == 0)) {
        CHECK(a->status != 204 || (!a->is_sized && !a->is_chunked));
    } else if (a->is_chunked) {
        r = take_chunked(t, NULL);
        CHECK(r >= 0);
    } else if (a->is_sized) {
        /* What is refused may have been a HEAD. */
        if (h != NULL || t->len > 0)
            r = take_sized(t, a->length, NULL);
    } else {
        CHECK(a->is_closing); /* its end is that of the connection */
        *t = skip(*t, t->len);
    }
    if (r == 0)
        return -1;
    return a->is_closing ? 0 : 1;
}

static void judge_answers(const struct oracle *o)
{
    struct text t = {o->received.data, o->received.len};
    size_t answered = 0;
    int r = 1;

    while (r > 0 && t.len > 0) {
        struct answer a;

        if (!read_head(&t, &a)) {
            r = -1;
            break;
        }
        if (a.status == 100) {
            CHECK(a.serial == 0 && !a.is_sized && !a.is_chunked);
            continue;
        }
        if (a.serial == 0)
            judge_refusal(&a);
        else
            CHECK(a.serial == ++answered && a.serial <= o->nhanded);
        CHECK(a.status < 500 || a.status == 501 || a.status == 503 || a.status == 505);
        r = judge_body(o, &a, &t);
        if (r == 0 && a.status != 101)
            CHECK(t.len == 0 && (o->has_ended || o->may_be_cut));
    }
    if (o->may_be_cut)
        return;
    CHECK(r >= 0);
    /* What is refused in its body, or whose body does not end, may have been handed over. */
    if (answered < o->nhanded)
        CHECK(answered + 1 == o->nhanded && o->handed[answered].is_streamed &&
              !o->handed[answered].is_complete);
}

/* -- what the client sent */

struct message {
    struct text method, path;
    struct buf body;
    size_t length, nhosts;
    bool is_sized, is_chunked, is_last;
};

/* False: it is odd. */
static bool read_request_field(struct message *m, struct text line)
{
    static const char *const odd[] = {"Expect", "Upgrade", "Trailer", "TE", "HTTP2-Settings"};
    struct text name, value;

    if (!take_field(line, &name, &value))
        return false;
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        if (is_word(name, odd[i]))
            return false;
    }
    if (is_word(name, "Host")) {
        m->nhosts++;
    } else if (is_word(name, "Content-Length")) {
        if (m->is_sized || !take_number(value, 10, &m->length))
            return false;
        m->is_sized = true;
    } else if (is_word(name, "Transfer-Encoding")) {
        if (m->is_chunked || !is_word(value, "chunked"))
            return false;
        m->is_chunked = true;
    } else if (is_word(name, "Connection")) {
        if (!is_word(value, "close") && !is_word(value, "keep-alive"))
            return false;
        m->is_last = is_word(value, "close");
    }
    return true;
}

static bool read_request_line(struct message *m, struct text line)
{
    const char *space = line.len > 0 ? memchr(line.at, ' ', line.len) : NULL;
    struct text rest;

    if (space == NULL)
        return false;
    m->method = (struct text){line.at, (size_t)(space - line.at)};
    rest = skip(line, m->method.len + 1);
    if (rest.len < 10 || rest.at[0] != '/' || memcmp(rest.at + rest.len - 9, " HTTP/1.1", 9) != 0)
        return false;
    rest.len -= 9;
    for (size_t i = 0; i < rest.len; i++) {
        if (!isgraph((unsigned char)rest.at[i]) || strchr("%#\\", rest.at[i]) != NULL)
            return false;
    }
    m->path = rest;
    m->path.len = strcspn(rest.at, "? ");
    if (m->path.len > rest.len)
        m->path.len = rest.len;
    return is_token(m->method) && m->method.len < ORACLE_METHOD - 1 && m->path.len < ORACLE_PATH;
}

/* 1: a plain message, 0: it is not complete, -1: it is odd. */
static int read_message(struct text *t, struct message *m)
{
    struct text line;
    int r;

    if (memmem(t->at, t->len, "\r\n\r\n", 4) == NULL)
        return 0;
    if (!take_line(t, &line) || !read_request_line(m, line))
        return -1;
    for (;;) {
        if (!take_line(t, &line))
            return -1;
        if (line.len == 0)
            break;
        if (!read_request_field(m, line))
            return -1;
    }
    if (m->nhosts != 1 || (m->is_sized && m->is_chunked))
        return -1;
    r = m->is_chunked ? take_chunked(t, &m->body) : take_sized(t, m->length, &m->body);
    return r;
}

static void judge_handed(const struct oracle_handed *h, const struct message *m)
{
    CHECK(strlen(h->method) == m->method.len);
    CHECK(memcmp(h->method, m->method.at, m->method.len) == 0);
    CHECK(strlen(h->path) == m->path.len && memcmp(h->path, m->path.at, m->path.len) == 0);
    if (!h->is_complete)
        return;
    CHECK(h->body.len == m->body.len);
    CHECK(h->body.len == 0 || memcmp(h->body.data, m->body.data, h->body.len) == 0);
}

/* Whatever was handed over is what was sent, in that order. */
static void judge_requests(const struct oracle *o)
{
    struct text t = {o->sent.data, o->sent.len};
    size_t i = 0;
    bool is_last = false;
    int r = 1;

    while (r > 0 && i < o->nhanded) {
        struct message m = {0};

        r = t.len > 0 ? read_message(&t, &m) : 0;
        is_last |= r > 0 && m.is_last;
        if (r > 0)
            judge_handed(&o->handed[i++], &m);
        buf_finish(&m.body);
        if (is_last)
            break;
    }
    if (r == 0)
        CHECK(o->nhanded <= i + 1 && (o->nhanded == i || o->handed[i].is_streamed));
    if (is_last)
        CHECK(o->nhanded == i);
}

void oracle_judge(const struct oracle *o)
{
    judge_requests(o);
    judge_answers(o);
}

void oracle_finish(struct oracle *o)
{
    for (size_t i = 0; i < o->nhanded; i++)
        buf_finish(&o->handed[i].body);
    buf_finish(&o->sent);
    buf_finish(&o->received);
    memset(o, 0, sizeof *o);
}

/* answer: takes HTTP/1.1 answers apart, as far as a server of ours sends them.
 *
 * Runs in bench/load.  Understands Content-Length and chunks, and calls everything else bad, bytes
 * after the end included: requests are not pipelined, so there is nothing they could belong to. */
#include "answer.h"

#include <stdlib.h>
#include <string.h>

#define READ_ROOM  (64u << 10)  /* free space offered to each read */
#define MAX_HEAD   (64u << 10)  /* a longer head is bad */
#define MAX_ANSWER (256u << 20) /* so is a bigger answer */

char *answer_room(struct answer *a, size_t *ret_room)
{
    if (a->cap - a->len < READ_ROOM) {
        size_t cap = a->cap ? a->cap * 2 : 2 * READ_ROOM;
        char *buf = realloc(a->buf, cap);
        if (!buf)
            return NULL;
        a->buf = buf;
        a->cap = cap;
    }
    *ret_room = a->cap - a->len;
    return a->buf + a->len;
}

/* Takes what matters from the `len` bytes of a complete head. */
static bool parse_head(struct answer *a, size_t len)
{
    char *end = NULL, *length;

    a->buf[len - 1] = '\0';
    length = strcasestr(a->buf, "\r\ncontent-length:");
    a->is_ok = strncmp(a->buf, "HTTP/1.1 200", 12) == 0;
    a->closes = strcasestr(a->buf, "\r\nconnection: close") != NULL;
    a->is_chunked = strcasestr(a->buf, "\r\ntransfer-encoding: chunked") != NULL;
    a->expected = len + (length ? strtoull(length + 17, &end, 10) : 0);
    a->buf[len - 1] = '\n';
    a->head = a->raw = len;
    if (a->is_chunked == (length != NULL) || (length && *end != '\r'))
        return false;
    return a->expected <= MAX_ANSWER;
}

/* Moves one chunk to the end of the body. */
static enum answer_state parse_chunk(struct answer *a, bool *ret_is_last)
{
    char *line = a->buf + a->raw, *data;
    size_t have = a->len - a->raw;
    const char *end = memmem(line, have, "\r\n", 2);
    unsigned long long n;

    if (!end)
        return have > 64 ? ANSWER_BAD : ANSWER_PARTIAL;
    n = strtoull(line, &data, 16);
    if (data == line || data != end || n > MAX_ANSWER)
        return ANSWER_BAD;
    data += 2;
    if ((size_t)(data - line) + n + 2 > have)
        return ANSWER_PARTIAL;
    if (memcmp(data + n, "\r\n", 2) != 0)
        return ANSWER_BAD;
    memmove(a->buf + a->head + a->body, data, n);
    a->body += n;
    a->raw = (size_t)(data - a->buf) + n + 2;
    *ret_is_last = n == 0;
    return ANSWER_WHOLE;
}

static enum answer_state parse_chunks(struct answer *a)
{
    enum answer_state state;
    bool is_last = false;

    do {
        state = parse_chunk(a, &is_last);
    } while (state == ANSWER_WHOLE && !is_last);
    if (state == ANSWER_WHOLE && a->raw != a->len)
        return ANSWER_BAD;
    return state;
}

enum answer_state answer_add(struct answer *a, size_t n)
{
    const char *end;

    a->len += n;
    if (!a->head) {
        end = memmem(a->buf, a->len, "\r\n\r\n", 4);
        if (!end)
            return a->len > MAX_HEAD ? ANSWER_BAD : ANSWER_PARTIAL;
        if (!parse_head(a, (size_t)(end - a->buf) + 4))
            return ANSWER_BAD;
    }
    if (a->len > MAX_ANSWER)
        return ANSWER_BAD;
    if (a->is_chunked)
        return parse_chunks(a);
    a->body = a->len - a->head;
    if (a->len > a->expected)
        return ANSWER_BAD;
    return a->len == a->expected ? ANSWER_WHOLE : ANSWER_PARTIAL;
}

bool answer_holds(const struct answer *a, const char *text)
{
    return memmem(a->buf + a->head, a->body, text, strlen(text)) != NULL;
}

void answer_reset(struct answer *a)
{
    *a = (struct answer){.buf = a->buf, .cap = a->cap};
}

void answer_finish(struct answer *a)
{
    free(a->buf);
    *a = (struct answer){0};
}

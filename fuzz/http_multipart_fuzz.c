/* sources: src/http/multipart.c src/base/buf.c */
/* Fuzzes forms: however a body is cut into pieces, and however little is taken at once, it tells
 * the same story.  The first line is the Content-Type. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "http/multipart.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct story {
    struct buf text;
    size_t most;
    int open; /* parts */
};

static int on_part(void *data, const char *name, const char *filename)
{
    struct story *s = data;

    CHECK(s->open++ == 0);
    buf_printf(&s->text, "[%s|%s:", name, filename != NULL ? filename : "");
    return name[0] != 'u';
}

static size_t take(void *data, const char *bytes, size_t len)
{
    struct story *s = data;
    size_t n = len < s->most ? len : s->most;

    CHECK(s->open == 1);
    buf_append(&s->text, bytes, n);
    return n;
}

static void on_part_end(void *data)
{
    struct story *s = data;

    CHECK(--s->open == 0);
    buf_append_str(&s->text, "]");
}

static int tell(struct story *s, const char *type, const char *body, size_t len, size_t piece)
{
    const struct multipart_events events = {on_part, take, on_part_end, s};
    static struct multipart m;

    s->most = piece;
    if (multipart_init(&m, type, &events) < 0)
        return -1;
    for (size_t at = 0; at < len;) {
        size_t n = len - at < piece ? len - at : piece;
        char *exact = malloc(n); /* so that reading beyond it is seen */

        CHECK(exact);
        memcpy(exact, body + at, n);
        at += multipart_feed(&m, exact, n);
        free(exact);
    }
    buf_append_str(&s->text, multipart_is_broken(&m) ? "broken" : "");
    buf_append_str(&s->text, multipart_is_complete(&m) ? "complete" : "");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
    struct story whole = {0}, bits = {0};
    char *type;

    if (end == NULL)
        return 0;
    type = strndup((const char *)data, (size_t)(end - data));
    CHECK(type);
    size -= (size_t)(end + 1 - data);
    if (tell(&whole, type, (const char *)end + 1, size, SIZE_MAX) == 0) {
        CHECK(tell(&bits, type, (const char *)end + 1, size, 1 + size % 3) == 0);
        CHECK(whole.text.len == bits.text.len);
        CHECK(whole.text.len == 0 || memcmp(whole.text.data, bits.text.data, whole.text.len) == 0);
    }
    buf_finish(&whole.text);
    buf_finish(&bits.text);
    free(type);
    return 0;
}

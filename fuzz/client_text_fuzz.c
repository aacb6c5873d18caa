/* sources: src/cli/client_text.c src/cli/client_events.c src/cli/words.c src/base/str.c
 *          src/base/buf.c src/base/clock.c */
/* Fuzzes what `dunlin env` shows of a server's texts: whatever comes, as one text, in pieces or as
 * events, no control reaches the terminal; times are read or refused. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "cli/client_events.h"
#include "cli/client_text.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

enum { INPUT_MAX = 4096 }; /* fed byte by byte; more only takes longer */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_clean(const struct buf *b, int lines)
{
    CHECK(utf8_valid_prefix(b->data, b->len, NULL) == b->len);
    for (size_t i = 0; i < b->len; i++) {
        unsigned char c = (unsigned char)b->data[i];

        CHECK((c >= 0x20 && c != 0x7f) || (lines && (c == '\n' || c == '\t')));
        CHECK(c != 0xc2 || (unsigned char)b->data[i + 1] >= 0xa0);
    }
}

static int on_event(void *data, const char *name, const char *text, size_t len)
{
    size_t *events = data;

    CHECK(strlen(name) < 32 && text[len] == '\0');
    return ++*events == 100;
}

static void check_events(const char *s, size_t len)
{
    struct client_events events;
    size_t n = 0;

    client_events_init(&events, on_event, &n);
    if (client_events_feed(&events, s, len / 2) == 0)
        client_events_feed(&events, s + len / 2, len - len / 2);
    CHECK(n <= 100);
    client_events_finish(&events);
}

static void check_pieces(const char *s, size_t len, const struct buf *whole)
{
    struct client_text_tail tail = {0};
    struct buf pieces = {0};

    for (size_t i = 0; i < len; i++)
        CHECK(client_text_escape_piece(&pieces, &tail, s + i, 1) == 0);
    CHECK(client_text_escape_piece(&pieces, &tail, NULL, 0) == 0);
    check_clean(&pieces, 1);
    CHECK(pieces.len == whole->len && memcmp(pieces.data, whole->data, whole->len) == 0);
    buf_finish(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *s = (const char *)data;
    struct buf lines = {0}, line = {0};
    int64_t seconds;
    size_t columns;

    if (size > INPUT_MAX)
        return 0;
    CHECK(buf_reserve(&lines, 1) == 0 && buf_reserve(&line, 1) == 0);
    CHECK(client_text_escape(&lines, s, size, true) == 0);
    check_clean(&lines, 1);
    if (size > 0)
        check_pieces(s, size, &lines);
    CHECK(client_text_escape(&line, s, size, false) == 0);
    check_clean(&line, 0);
    CHECK(buf_append(&line, "", 1) == 0);
    CHECK(client_text_fit(line.data, 10, &columns) <= line.len && columns <= 10);
    client_time_parse(line.data, &seconds);
    check_events(s, size);
    buf_finish(&lines);
    buf_finish(&line);
    return 0;
}

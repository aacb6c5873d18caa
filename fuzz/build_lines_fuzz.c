/* sources: src/service/build_lines.c src/base/str.c src/base/buf.c */
/* Fuzzes the lines that hostile output becomes: they are the same however the bytes were cut, and
 * they are UTF-8 without a control character but tabs. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "service/build_lines.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void note_line(void *data, int stream, const char *line, size_t len)
{
    bool incomplete;

    CHECK(stream == 2);
    CHECK(utf8_valid_prefix(line, len, &incomplete) == len);
    for (size_t i = 0; i < len; i++)
        CHECK((unsigned char)line[i] >= ' ' ? line[i] != 0x7f : line[i] == '\t');
    CHECK(buf_append(data, line, len) == 0 && buf_append(data, "\n", 1) == 0);
}

static void feed(const uint8_t *data, size_t size, size_t piece, struct buf *out)
{
    struct build_lines l = {.stream = 2, .each = note_line, .data = out};

    for (size_t at = 0; at < size; at += piece)
        build_lines_feed(&l, (const char *)data + at, size - at < piece ? size - at : piece);
    build_lines_end(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t pieces[] = {1, 7, 4096};
    _cleanup_buf_ struct buf whole = {0};

    feed(data, size, size + 1, &whole);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        _cleanup_buf_ struct buf cut = {0};

        feed(data, size, pieces[i], &cut);
        CHECK(cut.len == whole.len);
        CHECK(cut.len == 0 || memcmp(cut.data, whole.data, cut.len) == 0);
    }
    return 0;
}

/* sources: src/engine/file_reader.c src/wire/session_file.c src/base/err.c */
/* longest: 16384 */
/* share: 3 */
/* Fuzzes what is said over the socket of a call on files: every piece lies within its input, no
 * more raw bytes come than were announced, and it does not matter in which pieces it all came. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file_reader.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sum {
    uint64_t frames, bytes, announced, hash;
    int failed, ended;
};

static void add(struct sum *s, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        s->hash = s->hash * 31 + (unsigned char)data[i];
}

static void take(struct sum *s, const struct file_piece *piece, const char *data, size_t len)
{
    if (!piece->is_frame) {
        CHECK(piece->bytes >= data && piece->len <= (size_t)(data + len - piece->bytes));
        add(s, piece->bytes, piece->len);
        s->bytes += piece->len;
        return;
    }
    s->frames++;
    s->ended = piece->message.type == FILE_END;
    if (piece->message.text_len > 0)
        CHECK(piece->message.text >= data &&
              piece->message.text + piece->message.text_len <= data + len);
    add(s, piece->message.text, piece->message.text_len);
    if (piece->message.type == FILE_BYTES)
        s->announced = piece->message.bytes.size;
}

/* Takes all pieces of the input; how many bytes they took. */
static size_t serve(struct file_reader *r, const char *data, size_t len, struct sum *s)
{
    size_t used = 0;

    while (!s->failed && !s->ended) {
        struct file_piece piece;
        long n = file_reader_next(r, data + used, len - used, &piece, NULL);

        s->failed = n < 0;
        if (n <= 0)
            break;
        CHECK((size_t)n <= len - used);
        take(s, &piece, data + used, (size_t)n);
        used += (size_t)n;
    }
    return used;
}

static struct sum feed(const uint8_t *data, size_t size, size_t step)
{
    struct file_reader r = {.phase = FILE_READER_FRAMES};
    struct sum s = {0};
    size_t from = 0;

    for (size_t to = 0; to < size && !s.failed && !s.ended;) {
        size_t len;
        char *input; /* of exact size, so that reading beyond it is seen */

        to = size - to < step ? size : to + step;
        len = to - from;
        input = malloc(len);
        CHECK(input != NULL);
        memcpy(input, data + from, len);
        from += serve(&r, input, len, &s);
        free(input);
    }
    CHECK(s.bytes <= s.announced);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sum whole = feed(data, size, size + 1), pieces = feed(data, size, 7);

    CHECK(whole.frames == pieces.frames && whole.bytes == pieces.bytes &&
          whole.hash == pieces.hash && whole.failed == pieces.failed);
    return 0;
}

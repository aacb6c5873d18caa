/* file_reader: decodes what is said over the socket of a call on files.
 *
 * Runs in the server's loop.  Input is hostile; frames are judged by file_parse, their order and
 * the raw bytes between them here. */
#include "engine/file_reader.h"

#include <limits.h>
#include <string.h>

static long on_frame(struct file_reader *r, const char *data, size_t len, struct file_piece *ret,
                     struct err *e)
{
    long n = file_parse(data, len, &ret->message, e);

    if (n <= 0)
        return n;
    ret->is_frame = true;
    if (ret->message.type == FILE_END) {
        r->phase = FILE_READER_ENDED;
    } else if (ret->message.type == FILE_BYTES) {
        if (r->has_bytes)
            return err_set(e, ERR_INVALID, 0, "a second file in one call");
        r->has_bytes = true;
        r->left = ret->message.bytes.size;
        r->phase = r->left == FILE_UNTIL_END ? FILE_READER_CHUNKS : FILE_READER_BYTES;
        if (r->phase == FILE_READER_CHUNKS)
            r->left = 0;
        else if (r->left == 0)
            r->phase = FILE_READER_FRAMES;
    }
    return n;
}

static long on_bytes(struct file_reader *r, const char *data, size_t len, struct file_piece *ret)
{
    size_t n = len < r->left ? len : (size_t)r->left;

    ret->bytes = data;
    ret->len = n;
    r->left -= n;
    if (r->left == 0 && r->phase == FILE_READER_BYTES)
        r->phase = FILE_READER_FRAMES;
    return (long)n;
}

static long on_chunk(struct file_reader *r, const char *data, size_t len, struct file_piece *ret)
{
    uint32_t size;

    if (len < sizeof size)
        return 0;
    memcpy(&size, data, sizeof size);
    r->left = size;
    if (size == 0)
        r->phase = FILE_READER_FRAMES;
    ret->bytes = data;
    ret->len = 0;
    return sizeof size;
}

long file_reader_next(struct file_reader *r, const char *data, size_t len, struct file_piece *ret,
                      struct err *e)
{
    *ret = (struct file_piece){.is_frame = false};
    if (len > LONG_MAX)
        len = LONG_MAX;
    if (len == 0)
        return 0;
    switch (r->phase) {
    case FILE_READER_FRAMES:
        return on_frame(r, data, len, ret, e);
    case FILE_READER_BYTES:
        return on_bytes(r, data, len, ret);
    case FILE_READER_CHUNKS:
        return r->left > 0 ? on_bytes(r, data, len, ret) : on_chunk(r, data, len, ret);
    default:
        return err_set(e, ERR_INVALID, 0, "more after the end of a call");
    }
}

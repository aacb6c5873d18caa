/* file_reader: decodes what is said over the socket of a call on files.
 *
 * Pure: bytes in, pieces out, nothing kept but the place in the stream.  For src/engine only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/session_file.h"

/* The longest input that may hold no whole piece. */
#define FILE_READER_INPUT (FILE_HEADER + FILE_PAYLOAD_MAX)

enum file_reader_phase {
    FILE_READER_FRAMES,
    FILE_READER_BYTES,
    FILE_READER_CHUNKS,
    FILE_READER_ENDED
};

struct file_reader {
    enum file_reader_phase phase;
    uint64_t left;  /* of the raw bytes, or of the chunk */
    bool has_bytes; /* they come once */
};

struct file_piece {
    bool is_frame; /* message; else bytes */
    struct file_message message;
    const char *bytes; /* in the input */
    size_t len;        /* may be 0 */
};

/* The next piece of the input.  Returns how many bytes it took, 0 when there are too few; -1 and e:
 * the call is broken. */
long file_reader_next(struct file_reader *r, const char *data, size_t len, struct file_piece *ret,
                      struct err *e);

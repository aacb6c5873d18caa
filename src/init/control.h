/* control: init's end of the socket to the server: frames in, frames out. */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "wire/frame.h"

#define CONTROL_IN  (2 * (FRAME_PAYLOAD_MAX))
#define CONTROL_OUT (64u << 10)
#define CONTROL_FDS 2 /* that come with a FRAME_SESSION */

struct control {
    int fd;
    size_t in_start, in_end; /* what of the process's input buffer is not read yet */
    size_t out_len;          /* what of its output buffer is not written yet */
    size_t nfds;             /* descriptors that came and are not taken yet */
    int fds[CONTROL_FDS];
};

/* Writes to the first page of each buffer, so that the copy after the fork is made before a client
 * waits for it. */
void control_touch(void);

/* Waits for the next frame.  The frame's pointers are valid until the next call.  1; 0 when the
 * server went away or sent what no init takes; -1 and e when what it sent is no frame.  Descriptors
 * that came with a frame's bytes are in c->fds by then. */
int control_read(struct control *c, struct frame *ret, struct err *e);

/* Reads raw bytes behind a frame: at least 1, at most cap; 0 when the server went away. */
size_t control_read_raw(struct control *c, void *data, size_t cap);

/* Queues a frame: its fixed part, then `rest`.  Ends the process when the server is gone. */
void control_write(struct control *c, enum frame_type type, const void *fixed, size_t fixed_len,
                   const void *rest, size_t rest_len);
void control_write_raw(struct control *c, const void *data, size_t len);
void control_flush(struct control *c);

/* Sends FRAME_FAILED with the error's text and ends the process. */
_Noreturn void control_fail(struct control *c, const struct err *e);

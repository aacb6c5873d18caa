/* stream: one watched descriptor of a session: its socket, a pipe, a call's socket.  For src/engine
 * only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <uv.h>

#include "base/buf.h"
#include "base/err.h"

struct stream;

/* Takes over `fd` (also when it fails: NULL and e) and makes it non-blocking.  `on_ready` is called
 * from the loop with UV_READABLE, UV_WRITABLE or both, as watched; errors count as both. */
struct stream *stream_create(uv_loop_t *loop, int fd, void (*on_ready)(void *data, int events),
                             void *data, struct err *e);
/* UV_READABLE | UV_WRITABLE; 0: nothing. */
void stream_watch(struct stream *s, int events);
int stream_fd(const struct stream *s);
/* No call comes after this.  Sets *s to NULL; accepts that. */
void stream_close(struct stream **s);

/* A descriptor without a name that holds `data`, to be read from its start; nobody can change it.
 * -1 and e. */
int stream_memory(const char *name, const char *data, size_t len, struct err *e);
/* A pipe whose far end (`*ret_far`: to read from if `far_reads`) a program in a sandbox may open
 * anew under its name in /proc.  0, or -1 and e. */
int stream_pipe(bool far_reads, int *ret_near, int *ret_far, struct err *e);
/* A pair of sockets of this type; the near one takes no descriptors (fd_take_no_descriptors). */
int stream_pair(int type, int *ret_near, int *ret_far, struct err *e);

/* events: server-sent events about a run or a build, as bytes.  Knows no HTTP. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* The unfinished end of a stream's text: a character whose other bytes have not come yet. */
struct event_tail {
    char bytes[4];
    size_t n;
};

/* Appends an event `name` whose data is {"text": ...}: what is held in the tail and `bytes`, but
 * for an unfinished character at the end, which is held then.  Nothing when there is no whole
 * character; bytes that are not UTF-8 are replaced.  0, or -1 as buf_reserve. */
int event_append_text(struct buf *out, const char *name, struct event_tail *tail, const char *bytes,
                      size_t len);
/* Appends what is held as a last event, if there is anything. */
int event_append_tail(struct buf *out, const char *name, struct event_tail *tail);
/* Appends the event "start". */
int event_append_start(struct buf *out, const char *id, const char *language);
/* How much of `bytes` is not the beginning of a character at their end. */
size_t event_whole_length(const char *bytes, size_t len);
/* Appends an event "log" with {"text", "offset"}; the offset, that of what follows the text, is the
 * event's id too.  Bytes that are not UTF-8 are replaced.  0, or -1 as buf_reserve. */
int event_append_log(struct buf *out, const char *bytes, size_t len, uint64_t offset);
/* Append events about a process in a session: `name` with {"process", "pid"}, "gap" with {"stream",
 * "bytes"}, `name` with a whole line as {"text"}, and "error" with {"detail"}. */
int event_append_process(struct buf *out, const char *name, uint32_t process, uint32_t pid);
int event_append_gap(struct buf *out, const char *stream, uint64_t bytes);
int event_append_line(struct buf *out, const char *name, const char *line);
int event_append_error(struct buf *out, const char *detail);
/* Appends the beginning of an event with data to follow, which must have no line breaks and ends
 * with EVENT_END. */
int event_append_head(struct buf *out, const char *name);
#define EVENT_END "\n\n"

/* log_request: what part of a build's log is asked for, and how. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum log_format { LOG_REQUEST_TEXT, LOG_REQUEST_JSON, LOG_REQUEST_EVENTS };

struct log_request {
    enum log_format format;
    uint64_t offset; /* begin there */
    uint64_t tail;   /* only so many lines at the end; UINT64_MAX: all */
};

/* The parameters of the query as sent, NULL if absent, and the header Last-Event-ID. */
struct log_query {
    const char *tail, *offset, *format, *follow, *last_event_id;
    int wants_events; /* the header Accept says so */
};

/* 0, or -1 with the name of the parameter that cannot be read in *ret_fault. */
int log_request_parse(const struct log_query *q, struct log_request *ret, const char **ret_fault);

/* Where in `text`, the last `len` bytes of a log, its last *lines lines begin; takes the lines that
 * were found off *lines, which is 0 when it was the answer.  A line feed at the very end ends the
 * last line (`is_end`: text is the end of the log). */
size_t log_find_tail(const char *text, size_t len, int is_end, uint64_t *lines);

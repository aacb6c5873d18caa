/* client_progress: one line on a terminal that says what is being waited for. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct client_progress {
    bool shown;        /* stdout is a terminal that obeys; otherwise nothing is drawn */
    uint64_t start_us; /* of the wait, clock_now_us */
    char what[96];     /* "running the script", UTF-8 without controls */
    char detail[512];  /* last line of the log, escaped */
    uint64_t drawn;    /* number of the frame that stands there, 0: none */
};

/* Begins to wait now. */
void client_progress_start(struct client_progress *p);
/* Seconds since the start. */
unsigned client_progress_seconds(const struct client_progress *p);
/* What is written behind the time; hostile, escaped here, cut where it does not fit. */
void client_progress_set_detail(struct client_progress *p, const char *text, size_t len);
/* Draws the line anew; cheap, for ten times a second.  `p` as void *, for client_call.tick. */
void client_progress_draw(void *p);
/* Removes the line, before anything else is printed. */
void client_progress_clear(struct client_progress *p);

/* The line, at most `columns` wide, for the moment `now_us`. */
int client_progress_line(const struct client_progress *p, uint64_t now_us, size_t columns,
                         struct buf *out);

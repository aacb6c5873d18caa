/* client_events: takes server-sent events out of a stream of bytes. */
#pragma once

#include <stddef.h>

#include "base/buf.h"

struct client_events {
    /* One complete event: its name ("message" if it had none) and its data, lines joined by line
     * feeds, both with a NUL behind them.  A non-zero result ends the feeding. */
    int (*on_event)(void *data, const char *name, const char *text, size_t len);
    void *data;
    /* Ours. */
    struct buf line, text;
    char name[32];
};

/* The longest line and the longest data of one event. */
#define CLIENT_EVENT_MAX ((size_t)8 << 20)

void client_events_init(struct client_events *s,
                        int (*on_event)(void *data, const char *name, const char *text, size_t len),
                        void *data);
void client_events_finish(struct client_events *s);
/* The next bytes.  0, or -1 when on_event said so, an event is too long or memory is short. */
int client_events_feed(struct client_events *s, const char *bytes, size_t len);

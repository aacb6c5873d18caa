/* client_events: takes server-sent events out of a stream of bytes (HTML standard, 9.2.6).
 *
 * Runs in dunlin-client, as whoever calls it, on what a server sent, which is bounded here and
 * believed nowhere.  Fields other than event and data are of no use to us. */
#include "cli/client_events.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void client_events_init(struct client_events *s,
                        int (*on_event)(void *data, const char *name, const char *text, size_t len),
                        void *data)
{
    *s = (struct client_events){.on_event = on_event, .data = data};
    buf_init(&s->line, CLIENT_EVENT_MAX);
    buf_init(&s->text, CLIENT_EVENT_MAX);
}

void client_events_finish(struct client_events *s)
{
    buf_finish(&s->line);
    buf_finish(&s->text);
}

/* An event without data is none. */
static int dispatch(struct client_events *s)
{
    int r = 0;

    if (s->text.len > 0) {
        s->text.data[s->text.len - 1] = '\0'; /* the line feed behind the last line */
        r = s->on_event(s->data, s->name[0] != '\0' ? s->name : "message", s->text.data,
                        s->text.len - 1);
    }
    s->text.len = 0;
    s->name[0] = '\0';
    return r == 0 ? 0 : -1;
}

/* "field: value" without its end. */
static int take_line(struct client_events *s, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    size_t name = colon != NULL ? (size_t)(colon - line) : len;
    const char *value = colon != NULL ? colon + 1 : line + len;
    size_t left = len - (size_t)(value - line);

    if (len == 0)
        return dispatch(s);
    if (left > 0 && *value == ' ') {
        value++;
        left--;
    }
    if (name == 5 && memcmp(line, "event", 5) == 0) {
        size_t n = left < sizeof s->name - 1 ? left : sizeof s->name - 1;

        memcpy(s->name, value, n);
        s->name[n] = '\0';
    } else if (name == 4 && memcmp(line, "data", 4) == 0) {
        if (buf_append(&s->text, value, left) < 0 || buf_append(&s->text, "\n", 1) < 0)
            return -1;
    }
    return 0;
}

int client_events_feed(struct client_events *s, const char *bytes, size_t len)
{
    const char *end;

    while ((end = memchr(bytes, '\n', len)) != NULL) {
        size_t n = (size_t)(end - bytes);

        if (buf_append(&s->line, bytes, n) < 0)
            return -1;
        if (s->line.len > 0 && s->line.data[s->line.len - 1] == '\r')
            s->line.len--;
        /* An empty buffer has no memory yet. */
        if (take_line(s, s->line.data != NULL ? s->line.data : "", s->line.len) < 0)
            return -1;
        s->line.len = 0;
        bytes = end + 1;
        len -= n + 1;
    }
    return buf_append(&s->line, bytes, len);
}

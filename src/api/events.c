/* events: encoder of server-sent events.  Runs in the server's loop thread; the text is a sandbox's
 * output.  JSON strings have no line breaks, so nothing in them can begin another event. */
#include "api/events.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "api/text.h"
#include "base/str.h"

/* Bytes at the end that are the beginning of a character. */
static size_t unfinished_length(const char *s, size_t len)
{
    for (size_t n = 1; n <= 3 && n <= len; n++) {
        unsigned char lead = (unsigned char)s[len - n];
        bool incomplete;
        if (lead < 0xC0)
            continue;
        return utf8_valid_prefix(s + len - n, n, &incomplete) == 0 && incomplete ? n : 0;
    }
    return 0;
}

static int append_text_event(struct buf *out, const char *name, const char *text, size_t len)
{
    if (len == 0)
        return 0;
    return event_append_head(out, name) | buf_append_str(out, "{\"text\":") |
           text_append_json(out, text, len) | buf_append_str(out, "}" EVENT_END);
}

int event_append_text(struct buf *out, const char *name, struct event_tail *tail, const char *bytes,
                      size_t len)
{
    _cleanup_buf_ struct buf joined = {0};
    if (tail->n > 0) {
        if (buf_append(&joined, tail->bytes, tail->n) < 0 || buf_append(&joined, bytes, len) < 0) {
            out->torn = true;
            return -1;
        }
        bytes = joined.data;
        len = joined.len;
    }
    tail->n = unfinished_length(bytes, len);
    memcpy(tail->bytes, bytes + len - tail->n, tail->n);
    return append_text_event(out, name, bytes, len - tail->n);
}

int event_append_tail(struct buf *out, const char *name, struct event_tail *tail)
{
    int result = append_text_event(out, name, tail->bytes, tail->n);
    tail->n = 0;
    return result;
}

int event_append_start(struct buf *out, const char *id, const char *language)
{
    return event_append_head(out, "start") | buf_append_str(out, "{\"id\":") |
           text_append_json_str(out, id) | buf_append_str(out, ",\"language\":") |
           text_append_json_str(out, language) | buf_append_str(out, "}" EVENT_END);
}

size_t event_whole_length(const char *bytes, size_t len)
{
    return len - unfinished_length(bytes, len);
}

int event_append_log(struct buf *out, const char *bytes, size_t len, uint64_t offset)
{
    if (buf_printf(out, "id: %" PRIu64 "\n", offset) < 0 || event_append_head(out, "log") < 0 ||
        buf_append_str(out, "{\"text\":") < 0 || text_append_json(out, bytes, len) < 0)
        return -1;
    return buf_printf(out, ",\"offset\":%" PRIu64 "}" EVENT_END, offset) < 0 ? -1 : 0;
}

int event_append_process(struct buf *out, const char *name, uint32_t process, uint32_t pid)
{
    return event_append_head(out, name) |
           (buf_printf(out, "{\"process\":%" PRIu32 ",\"pid\":%" PRIu32 "}" EVENT_END, process,
                       pid) < 0);
}

int event_append_gap(struct buf *out, const char *stream, uint64_t bytes)
{
    return event_append_head(out, "gap") |
           (buf_printf(out, "{\"stream\":\"%s\",\"bytes\":%" PRIu64 "}" EVENT_END, stream, bytes) <
            0);
}

int event_append_line(struct buf *out, const char *name, const char *line)
{
    _cleanup_buf_ struct buf text = {0};
    return buf_append_str(&text, line) | buf_append_str(&text, "\n") |
           append_text_event(out, name, text.data, text.len);
}

int event_append_error(struct buf *out, const char *detail)
{
    return event_append_head(out, "error") | buf_append_str(out, "{\"detail\":") |
           text_append_json_str(out, detail) | buf_append_str(out, "}" EVENT_END);
}

int event_append_head(struct buf *out, const char *name)
{
    return buf_printf(out, "event: %s\ndata: ", name) < 0 ? -1 : 0;
}

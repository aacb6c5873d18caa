/* put: writes members of JSON objects.  Runs in the server's loop thread; texts may be hostile and
 * go through the escaper. */
#include "api/put.h"

#include <inttypes.h>

#include "api/text.h"
#include "base/clock.h"

void put(struct writer *w, const char *text)
{
    w->failed |= buf_append_str(w->out, text) < 0;
}

void put_name(struct writer *w, const char *name)
{
    put(w, w->out->len > 0 && w->out->data[w->out->len - 1] == '{' ? "\"" : ",\"");
    put(w, name);
    put(w, "\":");
}

void put_text(struct writer *w, const char *name, const char *text)
{
    put_name(w, name);
    w->failed |= text_append_json_str(w->out, text) < 0;
}

void put_bytes(struct writer *w, const char *name, const char *text, size_t len)
{
    put_name(w, name);
    w->failed |= text_append_json(w->out, text, len) < 0;
}

void put_some(struct writer *w, const char *name, const char *text)
{
    put_text(w, name, text && *text ? text : NULL);
}

void put_bool(struct writer *w, const char *name, bool value)
{
    put_name(w, name);
    put(w, value ? "true" : "false");
}

void put_number(struct writer *w, const char *name, uint64_t value)
{
    put_name(w, name);
    w->failed |= buf_printf(w->out, "%" PRIu64, value) < 0;
}

void put_signed(struct writer *w, const char *name, int64_t value)
{
    put_name(w, name);
    w->failed |= buf_printf(w->out, "%" PRId64, value) < 0;
}

void put_thousandths(struct writer *w, const char *name, uint64_t value)
{
    put_name(w, name);
    w->failed |= buf_printf(w->out, "%" PRIu64 ".%03u", value / 1000, (unsigned)(value % 1000)) < 0;
}

void put_if_set(struct writer *w, const char *name, uint64_t value)
{
    if (value)
        put_number(w, name, value);
    else
        put_text(w, name, NULL);
}

void put_date(struct writer *w, const char *name, int64_t ms)
{
    char text[32];
    if (ms > 0)
        clock_format_utc((uint64_t)ms * 1000, text);
    put_text(w, name, ms > 0 ? text : NULL);
}

void put_object(struct writer *w, const char *name, const char *json)
{
    put_name(w, name);
    put(w, json && *json ? json : "{}");
}

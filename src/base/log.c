/* log: one line per event on stderr.  Runs in every dynamic program (server, spawner, command
 * line). Values may be hostile text: they are escaped, repaired and bounded here, so that no value
 * can forge a line, hide the rest of one, or reach the terminal.  Never allocates, never blocks on
 * anything but stderr itself, never fails. */
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

#define LINE_MAX_BYTES  4096 /* PIPE_BUF: a line of this size reaches a pipe in one piece */
#define VALUE_MAX_BYTES 1024 /* so that one long value does not push the others out */
#define TAIL_BYTES      24   /* kept free for the ellipsis and the end of the line */
#define ELLIPSIS        "\xE2\x80\xA6"
#define REPLACEMENT     "\xEF\xBF\xBD"

static struct {
    char part[32];
    enum log_level level;
    bool json;
    bool colour;
} config = {.level = LOG_INFO};

struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
    bool full; /* a field did not fit; nothing follows */
};

static const char *const level_names[] = {"debug", "info", "warning", "error"};
static const char *const level_columns[] = {"debug", "info ", "warn ", "error"};
static const char *const level_colours[] = {"\033[2m", "\033[32m", "\033[33m", "\033[31m"};

void log_init(const char *part, enum log_level level, enum log_format format)
{
    bool terminal = isatty(STDERR_FILENO) == 1;
    const char *no_colour = getenv("NO_COLOR");
    snprintf(config.part, sizeof config.part, "%s", part);
    config.level = level;
    config.json = format == LOG_JSON || (format == LOG_AUTO && !terminal);
    config.colour = terminal && !(no_colour && *no_colour);
}

bool log_is_json(void)
{
    return config.json;
}

bool log_enabled(enum log_level level)
{
    return level >= config.level;
}

int log_level_parse(const char *text, enum log_level *ret_level)
{
    static const struct {
        const char *name;
        enum log_level level;
    } names[] = {
        {"debug", LOG_DEBUG},  {"info", LOG_INFO},   {"warning", LOG_WARNING},
        {"warn", LOG_WARNING}, {"error", LOG_ERROR}, {"critical", LOG_ERROR},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcasecmp(text, names[i].name) == 0) {
            *ret_level = names[i].level;
            return 0;
        }
    }
    return -1;
}

/* Appends text that is known to be harmless; what does not fit is dropped as a whole. */
static void put(struct line *l, const char *text)
{
    size_t n = strlen(text);
    if (l->len + n > sizeof l->text - TAIL_BYTES) {
        l->full = true;
        return;
    }
    memcpy(l->text + l->len, text, n);
    l->len += n;
}

/* For the end of a value or line, which always fits. */
static void put_tail(struct line *l, const char *text)
{
    size_t n = strlen(text);
    memcpy(l->text + l->len, text, n);
    l->len += n;
}

/* Characters that would steer a terminal, end a line for some reader, or turn text around. */
static bool is_unsafe(int32_t c)
{
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || (c >= 0x2028 && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069);
}

/* Writes one character as it appears inside quotes; returns its length in the source. */
static size_t escape_char(const char *s, size_t len, char out[static 8])
{
    int32_t c;
    size_t n = utf8_decode(s, len, &c);
    if (c < 0)
        strcpy(out, REPLACEMENT);
    else if (c == '"' || c == '\\')
        snprintf(out, 8, "\\%c", (char)c);
    else if (c == '\n')
        strcpy(out, "\\n");
    else if (c == '\t')
        strcpy(out, "\\t");
    else if (is_unsafe(c))
        snprintf(out, 8, "\\u%04x", (unsigned)c & 0xFFFF);
    else
        snprintf(out, 8, "%.*s", (int)n, s);
    return n;
}

static void put_quoted(struct line *l, const char *s)
{
    size_t left = strlen(s);
    size_t limit = l->len + VALUE_MAX_BYTES;
    if (limit > sizeof l->text - TAIL_BYTES)
        limit = sizeof l->text - TAIL_BYTES;
    put_tail(l, "\"");
    while (left > 0) {
        char one[8];
        size_t n = escape_char(s, left, one);
        if (l->len + strlen(one) > limit) {
            put_tail(l, ELLIPSIS);
            break;
        }
        put_tail(l, one);
        s += n;
        left -= n;
    }
    put_tail(l, "\"");
}

/* Whether a text value can stand without quotes and be read back. */
static bool is_plain(const char *s)
{
    size_t len = strlen(s);
    return len > 0 && len <= VALUE_MAX_BYTES / 4 &&
           strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                     "_-+./:,@%~^*()[]{}<>|&!?#$;'") == len;
}

static void put_str(struct line *l, const char *s)
{
    if (!s)
        put(l, "null");
    else if (!config.json && is_plain(s))
        put(l, s);
    else
        put_quoted(l, s);
}

static void put_value(struct line *l, const struct log_field *f)
{
    char number[40];
    switch (f->type) {
    case LOG_FIELD_STR:
        put_str(l, f->str);
        return;
    case LOG_FIELD_INT:
        snprintf(number, sizeof number, "%" PRId64, f->num);
        break;
    case LOG_FIELD_REAL:
        snprintf(number, sizeof number, isfinite(f->real) ? "%.10g" : "null", f->real);
        break;
    case LOG_FIELD_BOOL:
        strcpy(number, f->num ? "true" : "false");
        break;
    }
    put(l, number);
}

static void put_field(struct line *l, const struct log_field *f)
{
    /* Room for the key, its punctuation, and a number or the start of a value. */
    if (l->full || l->len + strlen(f->key) + 64 > sizeof l->text - TAIL_BYTES) {
        l->full = true;
        return;
    }
    put(l, config.json ? ",\"" : " ");
    put(l, f->key);
    put(l, config.json ? "\":" : "=");
    put_value(l, f);
}

static void put_head(struct line *l, enum log_level level, const char *event)
{
    char time[32];
    clock_format_utc(clock_wall_us(), time);
    strcpy(time + strlen(time) - 4, "Z"); /* milliseconds are enough to read */
    if (config.json) {
        put(l, "{\"time\":\"");
        put(l, time);
        put(l, "\",\"level\":\"");
        put(l, level_names[level]);
        put(l, "\",\"event\":");
        put_quoted(l, event);
        return;
    }
    put(l, time);
    put(l, " ");
    put(l, config.colour ? level_colours[level] : "");
    put(l, level_columns[level]);
    put(l, config.colour ? "\033[0m " : " ");
    put(l, event);
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, int n)
{
    if (!log_enabled(level))
        return;
    int kept = errno;
    struct line l = {.len = 0};
    put_head(&l, level, event);
    if (config.part[0])
        put_field(&l, &LOG_STR("part", config.part));
    for (int i = 0; i < n; i++)
        put_field(&l, &fields[i]);
    if (l.full)
        put_tail(&l, config.json ? ",\"cut\":true" : " " ELLIPSIS);
    put_tail(&l, config.json ? "}\n" : "\n");

    /* A log that cannot be written has nobody to be told about it. */
    ssize_t written;
    do {
        written = write(STDERR_FILENO, l.text, l.len);
    } while (written < 0 && errno == EINTR);
    errno = kept;
}

/* multipart: a machine over the bytes of multipart/form-data.  Runs in the server; every byte is
 * hostile.  Must never hold more than one part's head, and never go back over what it has read.
 *
 * A delimiter begins with CR and has no other, so when one that had begun turns out to be data, the
 * bytes that matched are data and the search goes on with the byte at hand. */
#include "http/multipart.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* -- parameters of a header field */

static const char *skip_space(const char *s)
{
    return s + strspn(s, " \t");
}

static size_t token_length(const char *s)
{
    return strcspn(s, " \t=;\",");
}

/* Reads a value into out, which may be where it stands.  In quotes, \" and \\ are escapes; other
 * backslashes are what browsers mean them to be: part of the name.  NULL if it does not end. */
static const char *read_value(const char *s, char *out)
{
    size_t len;

    if (*s != '"') {
        len = token_length(s);
        memmove(out, s, len);
        out[len] = '\0';
        return s + len;
    }
    for (s++; *s != '"'; s++) {
        if (*s == '\\' && (s[1] == '"' || s[1] == '\\'))
            s++;
        if (*s == '\0')
            return NULL;
        *out++ = *s;
    }
    *out = '\0';
    return s + 1;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes an extended value (RFC 8187) in place: charset'language'percent-encoded.  -1 if it is no
 * UTF-8 or hides a NUL. */
static int decode_extended(char *value)
{
    char *in, *out = value;

    if (strncasecmp(value, "utf-8'", 6) != 0 || (in = strchr(value + 6, '\'')) == NULL)
        return -1;
    for (in++; *in != '\0'; in++) {
        int high, low;

        if (*in != '%') {
            *out++ = *in;
            continue;
        }
        high = hex_digit(in[1]);
        low = high < 0 ? -1 : hex_digit(in[2]);
        if (low < 0 || (high == 0 && low == 0))
            return -1;
        *out++ = (char)(high << 4 | low);
        in += 2;
    }
    *out = '\0';
    return 0;
}

struct disposition {
    char *name, *filename, *extended; /* NULL: absent */
};

/* Takes one "; name=value" apart, in place.  NULL if it is malformed. */
static char *read_parameter(char *s, struct disposition *d)
{
    char *key = (char *)skip_space(s), *value;
    size_t len = token_length(key);
    char **slot = NULL;

    s = (char *)skip_space(key + len);
    if (len == 0 || *s != '=')
        return NULL;
    if (len == 4 && strncasecmp(key, "name", 4) == 0)
        slot = &d->name;
    else if (len == 8 && strncasecmp(key, "filename", 8) == 0)
        slot = &d->filename;
    else if (len == 9 && strncasecmp(key, "filename*", 9) == 0)
        slot = &d->extended;
    /* The value moves over its key, so that the NUL behind it destroys nothing that is to come. */
    value = key;
    s = (char *)read_value(skip_space(s + 1), value);
    if (slot != NULL)
        *slot = value;
    return s;
}

static int read_disposition(char *s, struct disposition *d)
{
    s = (char *)skip_space(s);
    if (strncasecmp(s, "form-data", 9) != 0)
        return -1;
    s = (char *)skip_space(s + 9);
    while (*s == ';') {
        s = read_parameter(s + 1, d);
        if (s == NULL)
            return -1;
        s = (char *)skip_space(s);
    }
    if (*s != '\0' || d->name == NULL)
        return -1;
    if (d->extended != NULL && decode_extended(d->extended) == 0)
        d->filename = d->extended;
    return 0;
}

int multipart_init(struct multipart *m, const char *content_type,
                   const struct multipart_events *events)
{
    char value[LIMIT_HTTP_PART_HEAD];
    const char *s = content_type;

    *m = (struct multipart){.events = *events, .matched = 2}; /* a line begins here */
    if (s == NULL || strncasecmp(s, "multipart/form-data", 19) != 0 || strlen(s) >= sizeof value)
        return -1;
    for (s = skip_space(s + 19); *s == ';'; s = skip_space(s)) {
        const char *key = skip_space(s + 1);
        size_t len = token_length(key);

        s = skip_space(key + len);
        if (*s != '=' || (s = read_value(skip_space(s + 1), value)) == NULL)
            return -1;
        if (len != 8 || strncasecmp(key, "boundary", 8) != 0)
            continue;
        if (value[0] == '\0' || strlen(value) > MULTIPART_BOUNDARY || strpbrk(value, "\r\n"))
            return -1;
        snprintf(m->delimiter, sizeof m->delimiter, "\r\n--%.*s", MULTIPART_BOUNDARY, value);
    }
    m->delimiter_len = strlen(m->delimiter);
    return m->delimiter_len > 0 && *s == '\0' ? 0 : -1;
}

/* -- the machine; each step returns how many bytes it used */

/* Gives bytes of a part on; what the part's reader does not want is used all the same. */
static size_t give(struct multipart *m, const char *bytes, size_t len)
{
    size_t n = len;

    if (m->state == MULTIPART_DATA && m->is_wanted)
        n = m->events.take(m->events.data, bytes, len);
    m->is_full = n < len;
    return n;
}

static void repay(struct multipart *m)
{
    m->repaid += give(m, m->delimiter + m->repaid, m->owed - m->repaid);
    if (m->repaid == m->owed)
        m->owed = m->repaid = 0;
}

static void on_delimiter(struct multipart *m)
{
    m->matched = 0;
    m->tail_len = 0;
    if (m->state == MULTIPART_DATA)
        m->events.on_part_end(m->events.data);
    m->state = MULTIPART_TAIL;
}

static size_t feed_data(struct multipart *m, const char *bytes, size_t len)
{
    const char *cr;

    if (m->matched > 0) {
        if (bytes[0] == m->delimiter[m->matched]) {
            if (++m->matched == m->delimiter_len)
                on_delimiter(m);
            return 1;
        }
        m->owed = m->state == MULTIPART_DATA ? m->matched : 0;
        m->matched = 0;
        return 0;
    }
    cr = memchr(bytes, '\r', len);
    if (cr == bytes) {
        m->matched = 1;
        return 1;
    }
    return give(m, bytes, cr != NULL ? (size_t)(cr - bytes) : len);
}

static size_t feed_tail(struct multipart *m, char byte)
{
    if (m->tail_len == 0 && (byte == ' ' || byte == '\t'))
        return 1;
    m->tail[m->tail_len++] = byte;
    if (m->tail_len < 2)
        return 1;
    if (memcmp(m->tail, "--", 2) == 0) {
        m->state = MULTIPART_EPILOGUE;
    } else if (memcmp(m->tail, "\r\n", 2) == 0 && m->nparts < LIMIT_HTTP_FORM_PARTS) {
        m->state = MULTIPART_HEAD;
        m->head_len = 0;
        m->nparts++;
    } else {
        m->state = MULTIPART_BROKEN;
    }
    return 1;
}

/* Reads a whole head and announces the part.  -1 if it is malformed. */
static int begin_part(struct multipart *m)
{
    static const char name[] = "Content-Disposition:";
    struct disposition d = {0};
    bool found = false;

    m->head[m->head_len] = '\0';
    if (strlen(m->head) != m->head_len)
        return -1;
    for (char *line = m->head, *end; *line != '\0'; line = end + 2) {
        end = strstr(line, "\r\n");
        *end = '\0';
        if (strncasecmp(line, name, sizeof name - 1) != 0)
            continue;
        if (found || read_disposition(line + sizeof name - 1, &d) < 0)
            return -1;
        found = true;
    }
    if (!found)
        return -1;
    m->is_wanted = m->events.on_part(m->events.data, d.name, d.filename) != 0;
    return 0;
}

static size_t feed_head(struct multipart *m, char byte)
{
    if (m->head_len == LIMIT_HTTP_PART_HEAD) {
        m->state = MULTIPART_BROKEN;
        return 1;
    }
    m->head[m->head_len++] = byte;
    if (byte != '\n' || m->head_len < 4 || memcmp(m->head + m->head_len - 4, "\r\n\r\n", 4) != 0)
        return 1;
    m->head_len -= 2; /* the empty line */
    if (begin_part(m) < 0) {
        m->state = MULTIPART_BROKEN;
        return 1;
    }
    m->state = MULTIPART_DATA;
    return 1;
}

static size_t feed_step(struct multipart *m, const char *bytes, size_t len)
{
    switch (m->state) {
    case MULTIPART_PREAMBLE:
    case MULTIPART_DATA:
        return feed_data(m, bytes, len);
    case MULTIPART_TAIL:
        return feed_tail(m, bytes[0]);
    case MULTIPART_HEAD:
        return feed_head(m, bytes[0]);
    case MULTIPART_EPILOGUE:
    case MULTIPART_BROKEN:
        break;
    }
    return len;
}

size_t multipart_feed(struct multipart *m, const char *bytes, size_t len)
{
    size_t used = 0;

    m->is_full = false;
    while (used < len && !m->is_full) {
        if (m->owed > 0)
            repay(m);
        else
            used += feed_step(m, bytes + used, len - used);
    }
    return used;
}

bool multipart_is_broken(const struct multipart *m)
{
    return m->state == MULTIPART_BROKEN;
}

bool multipart_is_complete(const struct multipart *m)
{
    return m->state == MULTIPART_EPILOGUE;
}

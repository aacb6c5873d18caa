/* json_lift: scan, lift the long strings, let jansson parse what is left.
 *
 * Runs in the server, on the loop or on its thread pool.  The text is hostile; json_scan has judged
 * it before anything here relies on its form. */
#include "api/json_lift.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* -- unescaping in place; the literal is well-formed -- */

static unsigned hex_value(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

static uint32_t read_hex4(const char *s)
{
    return hex_value(s[0]) << 12 | hex_value(s[1]) << 8 | hex_value(s[2]) << 4 | hex_value(s[3]);
}

static char *put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        *out++ = (char)code;
        return out;
    }
    if (code < 0x800) {
        *out++ = (char)(0xC0 | code >> 6);
    } else if (code < 0x10000) {
        *out++ = (char)(0xE0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3F));
    } else {
        *out++ = (char)(0xF0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3F));
        *out++ = (char)(0x80 | (code >> 6 & 0x3F));
    }
    *out++ = (char)(0x80 | (code & 0x3F));
    return out;
}

/* Decodes the escape at s (its backslash) to *out; returns what follows it. */
static const char *take_escape(const char *s, char **out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (s[1] != 'u') {
        *(*out)++ = to[strchr(from, s[1]) - from];
        return s + 2;
    }
    uint32_t code = read_hex4(s + 2);
    s += 6;
    if (code >= 0xD800 && code <= 0xDBFF) {
        code = 0x10000 + ((code - 0xD800) << 10) + (read_hex4(s + 2) - 0xDC00);
        s += 6;
    }
    *out = put_utf8(*out, code);
    return s;
}

/* An escape is never shorter than what it stands for, so reading stays ahead of writing. */
static struct json_slice unescape(char *text, const struct json_literal *literal)
{
    char *start = text + literal->start, *out = start;
    const char *s = start, *end = text + literal->end;
    if (!literal->escaped)
        return (struct json_slice){start, literal->end - literal->start};
    while (s < end) {
        const char *backslash = memchr(s, '\\', (size_t)(end - s));
        size_t run = (size_t)((backslash ? backslash : end) - s);
        memmove(out, s, run);
        out += run;
        s += run;
        if (backslash)
            s = take_escape(s, &out);
    }
    return (struct json_slice){start, (size_t)(out - start)};
}

/* -- what jansson is given: the text, with a stand-in for each lifted literal -- */

struct feed {
    const char *text;
    size_t len, at; /* at: next byte of the text */
    const struct json_scan *scan;
    const struct json_lift *lift;
    size_t next;      /* next literal */
    char standin[64]; /* what is left to give of a stand-in */
    size_t standin_at, standin_len;
};

static size_t give(char *out, size_t room, const char *from, size_t *at, size_t end)
{
    size_t n = end - *at < room ? end - *at : room;
    memcpy(out, from + *at, n);
    *at += n;
    return n;
}

static size_t feed_read(void *buffer, size_t room, void *data)
{
    struct feed *f = data;
    char *out = buffer;
    size_t n = 0;
    while (n < room) {
        if (f->standin_at < f->standin_len) {
            n += give(out + n, room - n, f->standin, &f->standin_at, f->standin_len);
            continue;
        }
        bool more = f->next < f->scan->nliterals;
        size_t stop = more ? f->scan->literals[f->next].start : f->len;
        if (f->at < stop) {
            n += give(out + n, room - n, f->text, &f->at, stop);
            continue;
        }
        if (!more)
            break;
        f->standin_at = 0;
        f->standin_len =
            (size_t)snprintf(f->standin, sizeof f->standin, "%s%zu", f->lift->nonce, f->next);
        f->at = f->scan->literals[f->next++].end;
    }
    return n;
}

static int draw_nonce(char nonce[static 33])
{
    unsigned char raw[16];
    if (getrandom(raw, sizeof raw, 0) != sizeof raw)
        return -1;
    for (size_t i = 0; i < sizeof raw; i++)
        snprintf(nonce + 2 * i, 3, "%02x", raw[i]);
    return 0;
}

/* -- parsing -- */

static int refuse(struct json_lift *lift, const char *fault, size_t chars)
{
    lift->fault = fault;
    lift->fault_chars = chars;
    return -1;
}

static int lift_literals(char *text, const struct json_scan *scan, struct json_lift *lift)
{
    lift->slices = calloc(scan->nliterals, sizeof *lift->slices);
    if (!lift->slices || draw_nonce(lift->nonce) < 0) {
        lift->out_of_memory = true;
        return refuse(lift, "Out of memory", 0);
    }
    for (size_t i = 0; i < scan->nliterals; i++)
        lift->slices[i] = unescape(text, &scan->literals[i]);
    lift->nslices = scan->nliterals;
    return 0;
}

/* json_scan has accepted the text, so what jansson finds is a duplicate name or a number out of
 * range; its words name it.  The place is in the shortened text, hence not told. */
static int refuse_tree(struct json_lift *lift, const json_error_t *error)
{
    if (error->text[0] == '\0' || json_error_code(error) == json_error_out_of_memory) {
        lift->out_of_memory = true;
        return refuse(lift, "Out of memory", 0);
    }
    snprintf(lift->fault_text, sizeof lift->fault_text, "%s", error->text);
    return refuse(lift, lift->fault_text, lift->nslices ? 0 : (size_t)error->position);
}

static int refuse_text(struct json_lift *lift, const struct json_scan *scan)
{
    lift->nul_in_name = scan->nul_in_name;
    lift->out_of_memory = scan->out_of_memory;
    memcpy(lift->fault_member, scan->fault_member, sizeof lift->fault_member);
    return refuse(lift, scan->fault, scan->fault_chars);
}

static json_t *load(const struct feed *from, size_t more_flags, json_error_t *error)
{
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY | more_flags;
    struct feed feed = *from;
    if (feed.scan->nliterals == 0)
        return json_loadb(feed.text, feed.len, flags, error);
    return json_load_callback(feed_read, &feed, flags, error);
}

int json_lift_parse(char *text, size_t len, size_t min_literal, struct json_lift *ret)
{
    __attribute__((cleanup(json_scan_finish))) struct json_scan scan;
    json_error_t error = {.text = ""}; /* jansson may fail without a word: for want of memory */

    *ret = (struct json_lift){0};
    if (json_scan(text, len, min_literal, &scan) < 0)
        return refuse_text(ret, &scan);
    if (scan.nliterals > 0 && lift_literals(text, &scan, ret) < 0)
        return -1;
    struct feed feed = {.text = text, .len = len, .scan = &scan, .lift = ret};
    ret->root = load(&feed, 0, &error);
    /* An integer beyond 64 bits is still a number, which the reader finds out of range. */
    if (!ret->root && json_error_code(&error) == json_error_numeric_overflow)
        ret->root = load(&feed, JSON_DECODE_INT_AS_REAL, &error);
    return ret->root ? 0 : refuse_tree(ret, &error);
}

void json_lift_finish(struct json_lift *lift)
{
    json_decref(lift->root);
    free(lift->slices);
    *lift = (struct json_lift){0};
}

/* The slice that a string stands for, or NULL for a string of its own. */
static const struct json_slice *find_slice(const struct json_lift *lift, const char *s, size_t len)
{
    const size_t prefix = sizeof lift->nonce - 1;
    if (lift->nslices == 0 || len <= prefix || len > prefix + 20 ||
        memcmp(s, lift->nonce, prefix) != 0)
        return NULL;
    size_t index = 0;
    for (size_t i = prefix; i < len; i++)
        index = index * 10 + (size_t)(s[i] - '0');
    return index < lift->nslices ? &lift->slices[index] : NULL;
}

struct json_slice json_lift_string(const struct json_lift *lift, const json_t *string,
                                   bool *ret_lifted)
{
    const char *s = json_string_value(string);
    size_t len = json_string_length(string);
    const struct json_slice *slice = find_slice(lift, s, len);
    if (ret_lifted)
        *ret_lifted = slice != NULL;
    return slice ? *slice : (struct json_slice){(char *)(uintptr_t)s, len};
}

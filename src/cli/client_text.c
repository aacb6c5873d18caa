/* client_text: makes texts of a server fit to be shown.
 *
 * Runs in dunlin-client, as whoever calls it.  The texts are hostile: build logs are written by
 * setup scripts, names and errors may come from anywhere.  Nothing of them may reach a terminal as
 * a control. */
#include "cli/client_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "base/clock.h"
#include "base/str.h"
#include "cli/words.h"

/* -- escapes ----------------------------------------------------------------------------------- */

/* What terminals obey, and what makes a line read as something else than it is: C0, C1, line and
 * paragraph separators, marks and overrides of direction, tags. */
static bool is_unsafe(int32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x061c || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
           (c >= 0xe0000 && c <= 0xe007f);
}

static int append_unsafe(struct buf *out, int32_t c)
{
    if (c < 0x80)
        return buf_printf(out, "\\x%02x", (unsigned)c);
    return buf_printf(out, c > 0xffff ? "\\U%08x" : "\\u%04x", (unsigned)c);
}

static int append_bytes(struct buf *out, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (buf_printf(out, "\\x%02x", (unsigned char)s[i]) < 0)
            return -1;
    }
    return 0;
}

int client_text_escape(struct buf *out, const char *s, size_t len, bool lines)
{
    for (size_t i = 0; i < len;) {
        int32_t code;
        size_t n = utf8_decode(s + i, len - i, &code);
        int r;

        if (code < 0)
            r = append_bytes(out, s + i, n);
        else if (is_unsafe(code) && !(lines && (code == '\n' || code == '\t')))
            r = append_unsafe(out, code);
        else
            r = buf_append(out, s + i, n);
        if (r < 0)
            return -1;
        i += n;
    }
    return 0;
}

int client_text_escape_piece(struct buf *out, struct client_text_tail *tail, const char *s,
                             size_t len)
{
    _cleanup_buf_ struct buf joined = {0};
    bool incomplete = false;
    size_t whole;

    if (buf_append(&joined, tail->bytes, tail->n) < 0 || buf_append(&joined, s, len) < 0)
        return -1;
    tail->n = 0;
    if (joined.len == 0)
        return 0;
    /* An unfinished character is at most three bytes long, and only the end can be unfinished. */
    for (whole = joined.len > 3 ? joined.len - 3 : 0; whole < joined.len; whole++) {
        utf8_valid_prefix(joined.data + whole, joined.len - whole, &incomplete);
        if (incomplete && ((unsigned char)joined.data[whole] & 0xc0) == 0xc0)
            break;
        incomplete = false;
    }
    if (incomplete && len > 0) {
        tail->n = joined.len - whole;
        memcpy(tail->bytes, joined.data + whole, tail->n);
    } else {
        whole = joined.len;
    }
    return client_text_escape(out, joined.data, whole, true);
}

static void print_escaped(const char *s, size_t len)
{
    _cleanup_buf_ struct buf out = {0};

    if (client_text_escape(&out, s, len, false) == 0 && out.len > 0)
        fwrite(out.data, 1, out.len, stdout);
}

void client_text_print(const char *s)
{
    if (s != NULL)
        print_escaped(s, strlen(s));
}

void client_text_print_block(const char *s, int indent)
{
    const char *end;

    for (; (end = strchr(s, '\n')) != NULL; s = end + 1) {
        print_escaped(s, (size_t)(end - s));
        if (end[1] == '\0')
            break;
        printf("\n%*s", indent, "");
    }
    if (end == NULL)
        client_text_print(s);
    putchar('\n');
}

size_t client_text_fit(const char *s, size_t columns, size_t *ret_columns)
{
    size_t len = strlen(s), used = 0, i = 0;

    while (i < len) {
        int32_t code;
        size_t n = utf8_decode(s + i, len - i, &code);
        int cells = code < 0 ? 1 : wcwidth((wchar_t)code);

        if (cells < 0)
            cells = 1;
        if (used + (size_t)cells > columns)
            break;
        used += (size_t)cells;
        i += n;
    }
    if (ret_columns != NULL)
        *ret_columns = used;
    return i;
}

/* -- times ------------------------------------------------------------------------------------- */

/* "Z", "+08:00", "-0330" as seconds east of Greenwich. */
static int parse_zone(const char *s, int *ret)
{
    int hours, minutes, used = 0;

    *ret = 0;
    if (strcmp(s, "Z") == 0 || strcmp(s, "z") == 0)
        return 0;
    if ((*s != '+' && *s != '-') ||
        (sscanf(s + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 &&
         sscanf(s + 1, "%2d%2d%n", &hours, &minutes, &used) != 2) ||
        s[1 + used] != '\0' || hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
        return -1;
    *ret = (hours * 60 + minutes) * (*s == '-' ? -60 : 60);
    return 0;
}

int client_time_parse(const char *s, int64_t *ret)
{
    struct tm tm = {0};
    const char *rest = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
    int zone;

    if (rest == NULL)
        return -1;
    if (*rest == '.') {
        size_t digits = strspn(rest + 1, "0123456789");

        if (digits == 0)
            return -1;
        rest += 1 + digits;
    }
    if (parse_zone(rest, &zone) < 0)
        return -1;
    *ret = (int64_t)timegm(&tm) - zone;
    return 0;
}

void client_time_age(int64_t seconds, char out[static CLIENT_AGE_MAX])
{
    static const struct {
        int64_t seconds;
        const char *one, *many, *chinese;
    } units[] = {{86400, "day", "days", "天"},
                 {3600, "hour", "hours", "小时"},
                 {60, "minute", "minutes", "分钟"}};

    out[0] = '\0';
    if (seconds < 0)
        return;
    snprintf(out, CLIENT_AGE_MAX, "%s", WORDS("just now", "刚刚"));
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        int64_t n = seconds / units[i].seconds;

        if (n == 0)
            continue;
        if (words_language == WORDS_CHINESE)
            snprintf(out, CLIENT_AGE_MAX, "%" PRId64 " %s前", n, units[i].chinese);
        else
            snprintf(out, CLIENT_AGE_MAX, "%" PRId64 " %s ago", n,
                     n == 1 ? units[i].one : units[i].many);
        return;
    }
}

void client_time_print(const char *s)
{
    char age[CLIENT_AGE_MAX], local[64];
    int64_t seconds;
    time_t when;
    struct tm tm;

    if (client_time_parse(s, &seconds) < 0) {
        client_text_print(s);
        return;
    }
    when = (time_t)seconds;
    if (words_language == WORDS_CHINESE || localtime_r(&when, &tm) == NULL ||
        strftime(local, sizeof local, "%Y-%m-%d %H:%M:%S", &tm) == 0)
        client_text_print(s);
    else
        fputs(local, stdout);
    client_time_age((int64_t)(clock_wall_us() / 1000000) - seconds, age);
    if (age[0] != '\0')
        printf(WORDS(" (%s)", "（%s）"), age);
}

void client_fact_print(const char *label, const char *text)
{
    if (text == NULL || *text == '\0')
        return;
    printf("%s: ", label);
    client_text_print(text);
    putchar('\n');
}

void client_fact_print_time(const char *label, const char *time)
{
    if (time == NULL || *time == '\0')
        return;
    printf("%s: ", label);
    client_time_print(time);
    putchar('\n');
}

/* -- sizes ------------------------------------------------------------------------------------- */

void client_size_format(uint64_t bytes, char out[static CLIENT_SIZE_MAX])
{
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    size_t unit = 0;

    if (bytes < 1000) {
        snprintf(out, CLIENT_SIZE_MAX, "%u B", (unsigned)bytes);
        return;
    }
    /* 999.5 would be shown as four digits. */
    for (value /= 1000; value >= 999.5; unit++)
        value /= 1000;
    snprintf(out, CLIENT_SIZE_MAX, value < 9.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

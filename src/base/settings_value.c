/* settings_value: text to value and back, one function for each type.  Runs at start on the
 * operator's text; a value that is not exactly right is refused, never guessed at. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/settings_internal.h"

/* Reads decimal digits; -1 when there are none or the number does not fit. */
static int parse_digits(const char **text, int64_t *ret)
{
    const char *p = *text;
    int64_t value = 0;
    if (*p < '0' || *p > '9')
        return -1;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *p - '0', &value))
            return -1;
    *text = p;
    *ret = value;
    return 0;
}

static int parse_int(const char *text, int64_t *ret)
{
    bool negative = *text == '-';
    const char *p = text + negative;
    int64_t value;
    if (parse_digits(&p, &value) < 0 || *p)
        return -1;
    *ret = negative ? -value : value;
    return 0;
}

static int parse_bytes(const char *text, int64_t *ret)
{
    static const char units[] = "kmgt";
    const char *p = text;
    int64_t value;
    if (parse_digits(&p, &value) < 0)
        return -1;
    const char *unit = *p ? strchr(units, *p | 0x20) : NULL;
    if (unit) {
        int64_t factor = INT64_C(1) << (10 * (unit - units + 1));
        if (__builtin_mul_overflow(value, factor, &value))
            return -1;
        p++;
        if (*p == 'i')
            p++;
    }
    if (*p == 'b' || *p == 'B')
        p++;
    if (*p)
        return -1;
    *ret = value;
    return 0;
}

static int parse_milli(const char *text, int64_t *ret)
{
    const char *p = text;
    int64_t whole = 0, milli = 0;
    if (*p != '.' && parse_digits(&p, &whole) < 0)
        return -1;
    if (*p == '.') {
        p++;
        int weight = 100;
        for (; *p >= '0' && *p <= '9' && weight > 0; p++, weight /= 10)
            milli += (*p - '0') * weight;
        if (weight == 100)
            return -1;
        p += strspn(p, "0");
    }
    if (*p || __builtin_mul_overflow(whole, 1000, &whole))
        return -1;
    return __builtin_add_overflow(whole, milli, ret) ? -1 : 0;
}

static int parse_bool(const char *text, bool *ret)
{
    static const char *const names[] = {"false", "true", "0", "1", "no", "yes", "off", "on"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcasecmp(text, names[i]) == 0) {
            *ret = i % 2 == 1;
            return 0;
        }
    }
    return -1;
}

/* Copies the choice that text names; NULL with errno 0 when it names none. */
static char *parse_choice(const char *choices, const char *text)
{
    errno = 0;
    for (const char *p = choices; *p;) {
        size_t n = strcspn(p, "|");
        if (n == strlen(text) && strncasecmp(p, text, n) == 0)
            return strndup(p, n);
        p += n + (p[n] == '|');
    }
    return NULL;
}

static int replace_string(const struct setting *row, struct settings *s, char *owned, struct err *e)
{
    if (!owned)
        return err_set(e, ERR_UNAVAILABLE, ENOMEM, "%s", row->name);
    char **field = (char **)((char *)s + row->offset);
    free(*field);
    *field = owned;
    return 0;
}

static int assign_string(const struct setting *row, struct settings *s, const char *text,
                         const char *source, struct err *e)
{
    size_t len = strlen(text);
    if ((int64_t)len < row->min)
        return err_set(e, ERR_INVALID, 0, "%s: must have at least %" PRId64 " characters", source,
                       row->min);
    if ((int64_t)len > row->max)
        return err_set(e, ERR_INVALID, 0, "%s: is longer than %" PRId64 " bytes", source, row->max);
    return replace_string(row, s, strdup(text), e);
}

static int assign_choice(const struct setting *row, struct settings *s, const char *text,
                         const char *source, struct err *e)
{
    char *choice = parse_choice(row->choices, text);
    if (!choice && errno == 0)
        return err_set(e, ERR_INVALID, 0, "%s: \"%.64s\" is none of %s", source, text,
                       row->choices);
    return replace_string(row, s, choice, e);
}

static int assign_number(const struct setting *row, struct settings *s, const char *text,
                         const char *source, struct err *e)
{
    static const struct {
        int (*parse)(const char *, int64_t *);
        const char *wanted;
    } kinds[] = {
        [SETTING_INT] = {parse_int, "a whole number"},
        [SETTING_BYTES] = {parse_bytes, "a size such as 512m, 64k or 1g"},
        [SETTING_MILLI] = {parse_milli, "a number with at most three decimals"},
    };
    int64_t value;
    if (kinds[row->type].parse(text, &value) < 0)
        return err_set(e, ERR_INVALID, 0, "%s: \"%.64s\" is not %s", source, text,
                       kinds[row->type].wanted);
    if (value < row->min || value > row->max) {
        char low[SETTINGS_VALUE_BYTES], high[SETTINGS_VALUE_BYTES];
        setting_format(row, row->min, low);
        setting_format(row, row->max, high);
        return err_set(e, ERR_INVALID, 0, "%s: %.64s is outside %s to %s", source, text, low, high);
    }
    *(int64_t *)((char *)s + row->offset) = value;
    return 0;
}

int setting_assign(const struct setting *row, struct settings *s, const char *text,
                   const char *source, struct err *e)
{
    switch (row->type) {
    case SETTING_STRING:
        return assign_string(row, s, text, source, e);
    case SETTING_CHOICE:
        return assign_choice(row, s, text, source, e);
    case SETTING_BOOL:
        if (parse_bool(text, (bool *)((char *)s + row->offset)) < 0)
            return err_set(e, ERR_INVALID, 0, "%s: \"%.64s\" is neither true nor false", source,
                           text);
        return 0;
    case SETTING_INT:
    case SETTING_BYTES:
    case SETTING_MILLI:
        break;
    }
    return assign_number(row, s, text, source, e);
}

static void format_bytes(int64_t value, char out[static SETTINGS_VALUE_BYTES])
{
    static const char *const units[] = {"", "k", "m", "g", "t"};
    size_t unit = 0;
    while (unit < 4 && value != 0 && value % 1024 == 0) {
        value /= 1024;
        unit++;
    }
    snprintf(out, SETTINGS_VALUE_BYTES, "%" PRId64 "%s", value, units[unit]);
}

static void format_milli(int64_t value, char out[static SETTINGS_VALUE_BYTES])
{
    int n =
        snprintf(out, SETTINGS_VALUE_BYTES, "%" PRId64 ".%03d", value / 1000, (int)(value % 1000));
    while (out[n - 1] == '0')
        out[--n] = '\0';
    if (out[n - 1] == '.')
        out[n - 1] = '\0';
}

void setting_format(const struct setting *row, int64_t value, char out[static SETTINGS_VALUE_BYTES])
{
    if (row->type == SETTING_BYTES)
        format_bytes(value, out);
    else if (row->type == SETTING_MILLI)
        format_milli(value, out);
    else
        snprintf(out, SETTINGS_VALUE_BYTES, "%" PRId64, value);
}

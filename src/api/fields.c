/* fields: pydantic's lenient reading of JSON values.
 *
 * Runs in the server, on the loop or on its thread pool.  Every number is hostile: nothing is
 * converted before its range is known. */
#include "api/fields.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

#define NUMBER_TEXT_MAX 4300 /* digits that Python reads as one integer */

int field_string(struct fields *f, struct place place, const json_t *value, struct json_slice *ret)
{
    if (json_is_string(value)) {
        *ret = json_lift_string(f->lift, value, NULL);
        return 0;
    }
    violation_add(&f->violations, "string_type", place, value, NULL,
                  "Input should be a valid string");
    return -1;
}

/* -- integers -- */

/* Cuts white space off both ends. */
static struct json_slice trim(struct json_slice s)
{
    while (s.len > 0 && memchr(" \t\n\v\f\r", s.data[0], 6)) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && memchr(" \t\n\v\f\r", s.data[s.len - 1], 6))
        s.len--;
    return s;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "12", "+12", "-1_000", "12.00".  Numbers out of range become the nearest end of it. */
static bool parse_int(struct json_slice s, int64_t *ret)
{
    s = trim(s);
    if (s.len == 0 || s.len > NUMBER_TEXT_MAX)
        return false;
    bool negative = s.data[0] == '-';
    size_t i = negative || s.data[0] == '+';
    int64_t value = 0;
    bool after_digit = false;
    for (; i < s.len && s.data[i] != '.'; i++) {
        if (s.data[i] == '_' && after_digit) {
            after_digit = false;
            continue;
        }
        if (!is_digit(s.data[i]))
            return false;
        after_digit = true;
        int digit = s.data[i] - '0';
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value))
            value = INT64_MAX;
    }
    if (!after_digit)
        return false;
    if (i < s.len && ++i == s.len)
        return false;
    for (; i < s.len; i++) {
        if (s.data[i] != '0')
            return false;
    }
    *ret = negative ? -value : value;
    return true;
}

static int64_t clamp_real(double real)
{
    if (real >= 9e18)
        return INT64_MAX;
    if (real <= -9e18)
        return INT64_MIN;
    return (int64_t)real;
}

int field_int(struct fields *f, struct place place, const json_t *value, int64_t *ret)
{
    if (json_is_integer(value)) {
        *ret = json_integer_value(value);
        return 0;
    }
    if (json_is_boolean(value)) {
        *ret = json_is_true(value);
        return 0;
    }
    if (json_is_real(value)) {
        double real = json_real_value(value);
        if (floor(real) == real) {
            *ret = clamp_real(real);
            return 0;
        }
        violation_add(&f->violations, "int_from_float", place, value, NULL,
                      "Input should be a valid integer, got a number with a fractional part");
        return -1;
    }
    if (json_is_string(value)) {
        if (parse_int(json_lift_string(f->lift, value, NULL), ret))
            return 0;
        violation_add(&f->violations, "int_parsing", place, value, NULL,
                      "Input should be a valid integer, unable to parse string as an integer");
        return -1;
    }
    violation_add(&f->violations, "int_type", place, value, NULL,
                  "Input should be a valid integer");
    return -1;
}

int field_int_in(struct fields *f, struct place place, const json_t *value, struct int_range range,
                 int64_t *ret)
{
    int64_t number;
    if (field_int(f, place, value, &number) < 0)
        return -1;
    if (number < range.min) {
        violation_add(&f->violations, "greater_than_equal", place, value,
                      json_pack("{s:I}", "ge", (json_int_t)range.min),
                      "Input should be greater than or equal to %lld", (long long)range.min);
        return -1;
    }
    if (number > range.max) {
        violation_add(&f->violations, "less_than_equal", place, value,
                      json_pack("{s:I}", "le", (json_int_t)range.max),
                      "Input should be less than or equal to %lld", (long long)range.max);
        return -1;
    }
    *ret = number;
    return 0;
}

/* -- reals -- */

/* A decimal number with an optional exponent, whatever the locale. */
static bool parse_real(struct json_slice s, double *ret)
{
    char text[64];
    s = trim(s);
    if (s.len == 0 || s.len >= sizeof text)
        return false;
    memcpy(text, s.data, s.len);
    text[s.len] = '\0';
    if (strspn(text, "+-.0123456789eE") != s.len)
        return false;
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", NULL);
    if (!c_locale)
        return false;
    char *end;
    double real = strtod_l(text, &end, c_locale);
    freelocale(c_locale);
    if (end != text + s.len || !isfinite(real))
        return false;
    *ret = real;
    return true;
}

int field_real(struct fields *f, struct place place, const json_t *value, double *ret)
{
    if (json_is_number(value)) {
        *ret = json_number_value(value);
        return 0;
    }
    if (json_is_boolean(value)) {
        *ret = json_is_true(value);
        return 0;
    }
    if (json_is_string(value)) {
        if (parse_real(json_lift_string(f->lift, value, NULL), ret))
            return 0;
        violation_add(&f->violations, "float_parsing", place, value, NULL,
                      "Input should be a valid number, unable to parse string as a number");
        return -1;
    }
    violation_add(&f->violations, "float_type", place, value, NULL,
                  "Input should be a valid number");
    return -1;
}

/* -- booleans -- */

static bool is_word(struct json_slice s, const char *const *words)
{
    for (; *words; words++) {
        if (strlen(*words) == s.len && strncasecmp(*words, s.data, s.len) == 0)
            return true;
    }
    return false;
}

/* 0, 1, or -1 for neither. */
static int truth_of(const struct fields *f, const json_t *value)
{
    static const char *const yes[] = {"1", "on", "t", "true", "y", "yes", NULL};
    static const char *const no[] = {"0", "off", "f", "false", "n", "no", NULL};
    if (json_is_boolean(value))
        return json_is_true(value);
    if (json_is_number(value)) {
        double number = json_number_value(value);
        if (number == 0 || number == 1)
            return number == 1;
        return -1;
    }
    struct json_slice s = json_lift_string(f->lift, value, NULL);
    if (is_word(s, yes))
        return 1;
    return is_word(s, no) ? 0 : -1;
}

int field_bool(struct fields *f, struct place place, const json_t *value, bool *ret)
{
    if (!json_is_boolean(value) && !json_is_number(value) && !json_is_string(value)) {
        violation_add(&f->violations, "bool_type", place, value, NULL,
                      "Input should be a valid boolean");
        return -1;
    }
    int truth = truth_of(f, value);
    if (truth < 0) {
        violation_add(&f->violations, "bool_parsing", place, value, NULL,
                      "Input should be a valid boolean, unable to interpret input");
        return -1;
    }
    *ret = truth;
    return 0;
}

/* -- choices -- */

/* "'a', 'b' or 'c'" */
static void append_choices(struct buf *out, const char *const *choices)
{
    for (size_t i = 0; choices[i]; i++) {
        const char *between = i == 0 ? "" : choices[i + 1] ? ", " : " or ";
        buf_printf(out, "%s'%s'", between, choices[i]);
    }
    buf_append(out, "", 1);
}

int field_choice(struct fields *f, struct place place, const json_t *value,
                 const char *const *choices, size_t *ret)
{
    struct json_slice s = {NULL, 0};
    if (json_is_string(value))
        s = json_lift_string(f->lift, value, NULL);
    for (size_t i = 0; s.data && choices[i]; i++) {
        if (strlen(choices[i]) == s.len && memcmp(choices[i], s.data, s.len) == 0) {
            *ret = i;
            return 0;
        }
    }
    _cleanup_buf_ struct buf expected = {.max = 512};
    append_choices(&expected, choices);
    const char *text = expected.data ? expected.data : "";
    violation_add(&f->violations, "literal_error", place, value,
                  json_pack("{s:s}", "expected", text), "Input should be %s", text);
    return -1;
}

json_t *field_optional(const json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}

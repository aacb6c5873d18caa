/* session_size: reads sizes.  Runs in the server; the text is hostile and nothing of it is ever
 * handed on. */
#include "api/session_size.h"

static int shift_of(char unit)
{
    switch (unit) {
    case 'k':
    case 'K':
        return 10;
    case 'm':
    case 'M':
        return 20;
    case 'g':
    case 'G':
        return 30;
    default:
        return -1;
    }
}

/* number * 2^shift, or for '%' that part of `whole`. */
static int apply_unit(uint64_t number, char unit, uint64_t whole, uint64_t *ret)
{
    if (unit == '%') {
        if (number > 100)
            return -1;
        *ret = whole / 100 * number + whole % 100 * number / 100;
        return *ret > 0 ? 0 : -1;
    }
    int shift = shift_of(unit);
    if (shift < 0 || number > UINT64_MAX >> shift)
        return -1;
    *ret = number << shift;
    return 0;
}

int session_size_parse(const char *text, size_t len, uint64_t whole, uint64_t *ret)
{
    uint64_t number = 0;
    size_t i = 0;
    for (; i < len && text[i] >= '0' && text[i] <= '9'; i++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(text[i] - '0'), &number))
            return -1;
    }
    if (i == 0 || number == 0 || len - i > 1)
        return -1;
    if (i < len)
        return apply_unit(number, text[i], whole, ret);
    *ret = number;
    return 0;
}

/* range: reads Range and If-Range.  Runs in the server; both are hostile. */
#include "http/range.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "http/date.h"
#include "http/etag.h"

/* Reads digits; a number that is too large becomes UINT64_MAX.  False without any. */
static bool read_number(const char **at, uint64_t *ret_number)
{
    const char *start = *at;
    uint64_t n = 0;

    for (; **at >= '0' && **at <= '9'; ++*at) {
        uint64_t digit = (uint64_t)(**at - '0');

        n = n > (UINT64_MAX - digit) / 10 ? UINT64_MAX : n * 10 + digit;
    }
    *ret_number = n;
    return *at > start;
}

static enum range_kind clip(uint64_t first, uint64_t last, uint64_t size, struct range *ret_range)
{
    if (first >= size)
        return RANGE_UNSATISFIABLE;
    if (last > size - 1)
        last = size - 1;
    *ret_range = (struct range){first, last - first + 1};
    return RANGE_PART;
}

enum range_kind range_parse(const char *header, uint64_t size, struct range *ret_range)
{
    uint64_t first = 0, last = UINT64_MAX;
    bool has_first, has_last;

    if (header == NULL || strncasecmp(header, "bytes=", 6) != 0)
        return RANGE_ALL;
    header += 6;
    header += strspn(header, " \t");
    has_first = read_number(&header, &first);
    if (*header++ != '-')
        return RANGE_ALL;
    has_last = read_number(&header, &last);
    if (header[strspn(header, " \t")] != '\0' || (!has_first && !has_last))
        return RANGE_ALL;
    if (!has_first) /* the last so many bytes */
        return last == 0 ? RANGE_UNSATISFIABLE
                         : clip(last < size ? size - last : 0, UINT64_MAX, size, ret_range);
    if (!has_last)
        last = UINT64_MAX;
    return last < first ? RANGE_ALL : clip(first, last, size, ret_range);
}

bool range_is_current(const char *if_range, const char *etag, time_t modified)
{
    time_t when;

    if (if_range == NULL)
        return true;
    if (if_range[0] == '"' || strncmp(if_range, "W/", 2) == 0)
        return etag_list_has(if_range, etag, false);
    return http_date_parse(if_range, &when) == 0 && when == modified;
}

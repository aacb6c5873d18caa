/* file_headers: validators, ranges and names of downloads.  Runs in the server's loop thread.
 * Header values are hostile, and so are names of files: no byte of a name reaches a header but as a
 * plain character or in hexadecimal (R39). */
#include "api/file_headers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define BLANK " \t"

/* -- validators -- */

void file_etag(const struct file_info *info, char ret[static FILE_ETAG_SIZE])
{
    snprintf(ret, FILE_ETAG_SIZE, "\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 "\"", info->inode,
             (uint64_t)info->modified_ns, info->size);
}

void file_date(const struct file_info *info, char ret[static FILE_DATE_SIZE])
{
    time_t seconds = (time_t)(info->modified_ns / 1000000000);
    struct tm utc;
    if (!gmtime_r(&seconds, &utc) ||
        strftime(ret, FILE_DATE_SIZE, "%a, %d %b %Y %H:%M:%S GMT", &utc) == 0)
        strcpy(ret, "Thu, 01 Jan 1970 00:00:00 GMT");
}

bool file_etag_is_among(const char *etag, const char *list)
{
    size_t want = strlen(etag);
    while (*list) {
        list += strspn(list, BLANK ",");
        if (*list == '*')
            return true;
        if (strncmp(list, "W/", 2) == 0)
            list += 2;
        if (*list != '"')
            return false;
        size_t len = 1 + strcspn(list + 1, "\"");
        len += list[len] == '"';
        if (len == want && memcmp(list, etag, len) == 0)
            return true;
        list += len;
    }
    return false;
}

bool file_is_unchanged(const struct file_info *info, const char *if_range)
{
    char etag[FILE_ETAG_SIZE], date[FILE_DATE_SIZE];
    if (!if_range)
        return true;
    file_etag(info, etag);
    file_date(info, date);
    return strcmp(if_range, etag) == 0 || strcmp(if_range, date) == 0;
}

/* -- ranges -- */

/* Reads digits; numbers too large become the largest.  False when there are none. */
static bool take_number(const char **at, uint64_t *ret)
{
    const char *start = *at;
    *ret = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        if (__builtin_mul_overflow(*ret, 10, ret) ||
            __builtin_add_overflow(*ret, (uint64_t)(**at - '0'), ret))
            *ret = UINT64_MAX;
    }
    return *at > start;
}

/* "first-last", "first-" or "-last n".  False: it is no single range. */
static bool parse_bounds(const char *at, uint64_t size, uint64_t *first, uint64_t *last)
{
    bool has_first = take_number(&at, first);
    if (*at++ != '-')
        return false;
    bool has_last = take_number(&at, last);
    if (*at || (!has_first && !has_last) || (has_first && has_last && *first > *last))
        return false;
    if (!has_first) {
        *first = *last == 0 ? size : *last < size ? size - *last : 0;
        *last = UINT64_MAX;
    } else if (!has_last) {
        *last = UINT64_MAX;
    }
    return true;
}

struct byte_range byte_range_parse(const char *range, uint64_t size)
{
    static const char unit[] = "bytes=";
    struct byte_range whole = {RANGE_WHOLE, 0, size};
    uint64_t first, last;
    if (!range || strncasecmp(range, unit, sizeof unit - 1) != 0 ||
        !parse_bounds(range + sizeof unit - 1, size, &first, &last))
        return whole;
    if (first >= size)
        return (struct byte_range){RANGE_OUTSIDE, 0, 0};
    if (last >= size)
        last = size - 1;
    return (struct byte_range){RANGE_PART, first, last - first + 1};
}

/* -- names -- */

/* Characters that stand for themselves in a quoted string and in RFC 8187's encoding alike. */
static bool is_plain(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$&+-.^_`|~", c));
}

/* What may be written between quotes without a second thought, for readers of the older form. */
static bool is_quotable(unsigned char c)
{
    return is_plain(c) || (c && strchr(" ()[]{},;=@'", c));
}

int disposition_append(struct buf *out, const char *name)
{
    bool is_simple = true;
    if (buf_append_str(out, "attachment; filename=\"") < 0)
        return -1;
    for (const char *c = name; *c; c++) {
        bool fits = is_quotable((unsigned char)*c);
        is_simple &= fits;
        if (buf_append(out, fits ? c : "_", 1) < 0)
            return -1;
    }
    if (buf_append_str(out, is_simple ? "\"" : "\"; filename*=UTF-8''") < 0)
        return -1;
    for (const char *c = name; *c && !is_simple; c++) {
        int result = is_plain((unsigned char)*c) ? buf_append(out, c, 1)
                                                 : buf_printf(out, "%%%02X", (unsigned char)*c);
        if (result < 0)
            return -1;
    }
    return 0;
}

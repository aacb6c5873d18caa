/* sources: src/http/range.c src/http/etag.c src/http/date.c */
/* Fuzzes Range, If-Range, lists of tags and dates: a part lies within the file, and a date that is
 * understood is written so that it is understood again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/date.h"
#include "http/etag.h"
#include "http/range.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_range(const char *text, uint64_t size)
{
    struct range r = {0};

    if (range_parse(text, size, &r) == RANGE_PART)
        CHECK(r.length > 0 && r.first < size && r.length <= size - r.first);
}

static void check_date(const char *text)
{
    char again[HTTP_DATE_SIZE];
    time_t when, same;

    if (http_date_parse(text, &when) < 0)
        return;
    http_date_format(when, again);
    CHECK(http_date_parse(again, &same) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    CHECK(text);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    check_range(text, 0);
    check_range(text, 10);
    check_range(text, UINT64_MAX);
    check_date(text);
    (void)range_is_current(text, "\"a\"", 0);
    CHECK(!etag_list_has(text, "\"a\"", false) || etag_list_has(text, "\"a\"", true));
    free(text);
    return 0;
}

/* date: reads and writes HTTP's dates.  Runs in the server; the text is hostile.  Must never depend
 * on a locale or a time zone. */
#include "http/date.h"

#include <stdio.h>
#include <string.h>

#define FUTURE_S (50LL * 365 * 24 * 3600)

static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void http_date_format(time_t when, char out[static HTTP_DATE_SIZE])
{
    struct tm t;

    if (gmtime_r(&when, &t) == NULL || t.tm_year < -1900 || t.tm_year > 9999 - 1900) {
        when = 0;
        gmtime_r(&when, &t);
    }
    snprintf(out, HTTP_DATE_SIZE, "%s, %02u %s %04u %02u:%02u:%02u GMT", days[t.tm_wday],
             (unsigned)t.tm_mday % 100, months[t.tm_mon], (unsigned)(t.tm_year + 1900) % 10000,
             (unsigned)t.tm_hour % 100, (unsigned)t.tm_min % 100, (unsigned)t.tm_sec % 100);
}

static int month_number(const char *name)
{
    for (int i = 0; i < 12; i++)
        if (strcmp(months[i], name) == 0)
            return i;
    return -1;
}

/* Takes the fields if they are those of a day that exists. */
static int make_time(struct tm *t, const char *month, time_t *ret_when)
{
    struct tm made;
    time_t when;

    t->tm_mon = month_number(month);
    if (t->tm_mon < 0 || t->tm_hour > 23 || t->tm_min > 59 || t->tm_sec > 60)
        return -1;
    made = *t;
    when = timegm(&made);
    if (t->tm_sec < 60 && (made.tm_mday != t->tm_mday || made.tm_mon != t->tm_mon))
        return -1;
    *ret_when = when;
    return 0;
}

int http_date_parse(const char *text, time_t *ret_when)
{
    struct tm t = {0};
    char month[4];
    int end = 0;

    if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &t.tm_mday, month,
               &t.tm_year, &t.tm_hour, &t.tm_min, &t.tm_sec, &end) == 6 &&
        end == HTTP_DATE_SIZE - 1 && text[end] == '\0') {
        t.tm_year -= 1900;
        return make_time(&t, month, ret_when);
    }
    end = 0;
    if (sscanf(text, "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n", &t.tm_mday, month,
               &t.tm_year, &t.tm_hour, &t.tm_min, &t.tm_sec, &end) == 6 &&
        end > 0 && text[end] == '\0') {
        t.tm_year += 100; /* and not more than 50 years ahead */
        if (make_time(&t, month, ret_when) < 0)
            return -1;
        if (*ret_when - time(NULL) > FUTURE_S) {
            t.tm_year -= 100;
            return make_time(&t, month, ret_when);
        }
        return 0;
    }
    end = 0;
    if (sscanf(text, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", month, &t.tm_mday, &t.tm_hour,
               &t.tm_min, &t.tm_sec, &t.tm_year, &end) == 6 &&
        end == 24 && text[end] == '\0') {
        t.tm_year -= 1900;
        return make_time(&t, month, ret_when);
    }
    return -1;
}

/* log_request: reads the query of GET /environments/{name}/logs.  Runs in the server's loop thread;
 * everything is hostile, and nothing is more than numbers and words. */
#include "api/log_request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Digits only, nothing above INT64_MAX. */
static int parse_number(const char *text, uint64_t *ret)
{
    char *end;
    if (*text < '0' || *text > '9')
        return -1;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (*end || errno || number > INT64_MAX)
        return -1;
    *ret = number;
    return 0;
}

static int parse_format(const char *text, enum log_format *ret)
{
    if (strcmp(text, "text") == 0)
        *ret = LOG_REQUEST_TEXT;
    else if (strcmp(text, "json") == 0)
        *ret = LOG_REQUEST_JSON;
    else
        return -1;
    return 0;
}

/* Whether to follow: 1, 0, or -1. */
static int parse_follow(const char *text)
{
    if (strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0 || strcasecmp(text, "yes") == 0)
        return 1;
    if (strcasecmp(text, "false") == 0 || strcmp(text, "0") == 0 || strcasecmp(text, "no") == 0)
        return 0;
    return -1;
}

int log_request_parse(const struct log_query *q, struct log_request *ret, const char **ret_fault)
{
    *ret = (struct log_request){.tail = UINT64_MAX};
    int follow = q->follow ? parse_follow(q->follow) : q->wants_events;
    *ret_fault = NULL;
    if (follow < 0)
        *ret_fault = "follow";
    else if (q->tail && parse_number(q->tail, &ret->tail) < 0)
        *ret_fault = "tail";
    else if (q->offset && parse_number(q->offset, &ret->offset) < 0)
        *ret_fault = "offset";
    else if (q->format && parse_format(q->format, &ret->format) < 0)
        *ret_fault = "format";
    if (*ret_fault)
        return -1;
    if (follow > 0)
        ret->format = LOG_REQUEST_EVENTS;
    /* A browser that reconnects says how far it has come. */
    if (follow > 0 && q->last_event_id && parse_number(q->last_event_id, &ret->offset) == 0)
        ret->tail = UINT64_MAX;
    return 0;
}

size_t log_find_tail(const char *text, size_t len, int is_end, uint64_t *lines)
{
    size_t at = len;
    if (*lines == 0)
        return len;
    if (is_end && at > 0 && text[at - 1] == '\n')
        at--;
    while (at > 0) {
        const char *feed = memrchr(text, '\n', at);
        if (!feed)
            return 0;
        if (--*lines == 0)
            return (size_t)(feed + 1 - text);
        at = (size_t)(feed - text);
    }
    return 0;
}

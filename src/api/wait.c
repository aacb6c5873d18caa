/* wait: reads ?wait= and Prefer.  Runs in the server's loop thread; both are hostile.  As RFC 7240
 * wants it, a preference that cannot be read is as good as none. */
#include "api/wait.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define BLANK " \t"

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++) {
        if (strcasecmp(text, *words) == 0)
            return true;
    }
    return false;
}

/* Seconds of "wait=N" or wait="N"; -1 for any other preference. */
static int64_t wait_seconds(const char *preference, size_t len)
{
    static const char name[] = "wait";
    size_t at = sizeof name - 1;
    if (len < at || strncasecmp(preference, name, at) != 0)
        return -1;
    at += strspn(preference + at, BLANK);
    if (at >= len || preference[at++] != '=')
        return -1;
    at += strspn(preference + at, BLANK);
    at += at < len && preference[at] == '"';
    int64_t seconds = -1;
    for (; at < len && preference[at] >= '0' && preference[at] <= '9'; at++) {
        seconds = (seconds < 0 ? 0 : seconds) * 10 + (preference[at] - '0');
        if (seconds > WAIT_LONG_MS / 1000)
            seconds = WAIT_LONG_MS / 1000;
    }
    at += at < len && preference[at] == '"';
    at += strspn(preference + at, BLANK);
    return at >= len || preference[at] == ';' ? seconds : -1;
}

static bool is_respond_async(const char *preference, size_t len)
{
    static const char name[] = "respond-async";
    size_t n = sizeof name - 1;
    return len >= n && strncasecmp(preference, name, n) == 0 &&
           (len == n || strchr(BLANK ";", preference[n]));
}

static void follow_preferences(const char *prefer, struct wait_wish *wish)
{
    while (prefer && *prefer) {
        prefer += strspn(prefer, BLANK ",");
        size_t len = strcspn(prefer, ",");
        int64_t seconds = wait_seconds(prefer, len);
        if (seconds >= 0) {
            wish->ms = (uint64_t)seconds * 1000;
            snprintf(wish->applied, sizeof wish->applied, "wait=%lld", (long long)seconds);
            return; /* it says more than respond-async */
        }
        if (is_respond_async(prefer, len)) {
            wish->ms = 0;
            strcpy(wish->applied, "respond-async");
        }
        prefer += len;
    }
}

int wait_parse(const char *query, const char *prefer, struct wait_wish *ret)
{
    static const char *const yes[] = {"1", "on", "t", "true", "y", "yes", NULL};
    static const char *const no[] = {"0", "off", "f", "false", "n", "no", NULL};
    *ret = (struct wait_wish){.ms = WAIT_USUAL_MS};
    if (!query) {
        follow_preferences(prefer, ret);
        return 0;
    }
    ret->ms = WAIT_LONG_MS;
    if (is_one_of(query, yes))
        return 0;
    ret->ms = 0;
    return is_one_of(query, no) ? 0 : -1;
}

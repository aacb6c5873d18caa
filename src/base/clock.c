/* clock: time in microseconds.  Used by every process; reads the kernel's clocks and nothing else.
 */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

#define US_PER_S 1000000u

static uint64_t read_us(clockid_t id)
{
    struct timespec ts;
    /* Cannot fail: these clocks exist on every Linux and ts is ours. */
    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * US_PER_S + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t clock_now_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

uint64_t clock_boot_us(void)
{
    return read_us(CLOCK_BOOTTIME);
}

uint64_t clock_wall_us(void)
{
    return read_us(CLOCK_REALTIME);
}

void clock_format_utc(uint64_t wall_us, char out[static 32])
{
    time_t seconds = (time_t)(wall_us / US_PER_S);
    struct tm tm = {0};
    gmtime_r(&seconds, &tm);
    /* The moduli change nothing; they show the compiler that the text fits. */
    snprintf(out, 32, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ",
             ((unsigned)tm.tm_year + 1900) % 1000000, ((unsigned)tm.tm_mon + 1) % 100,
             (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
             (unsigned)tm.tm_sec % 100, (unsigned)(wall_us % US_PER_S));
}

/* session_clock: the time of day by which sessions are kept, and what happens when it is set.
 *
 * Runs in the server, on the loop.  A session's times are times of day, so that they outlive a
 * restart; but how long it has been unused is a span.  When the machine's clock is set while the
 * server runs, the times move with it, and no session is any nearer to its end than before.  A
 * clock that is set while no server runs cannot be told from time that has passed. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "service/session_internal.h"

#define STEP_MS 2000 /* less is a clock that is being slewed */

static int64_t wall_ms(void)
{
    return (int64_t)(clock_wall_us() / 1000);
}

static int64_t offset_ms(int64_t wall)
{
    return wall - (int64_t)(clock_boot_us() / 1000);
}

void session_clock_start(struct session_service *s)
{
    s->clock_offset_ms = offset_ms(wall_ms());
}

static void follow(struct session_service *s, int64_t step)
{
    log_event(LOG_WARNING, "clock.set", LOG_INT("seconds", step / 1000));
    for (struct session *one = s->first; one != NULL; one = one->next) {
        one->record.created_ms += step;
        one->record.used_ms += step;
        session_touch(one);
    }
}

int64_t session_now_ms(struct session_service *s)
{
    int64_t wall = wall_ms(), offset = offset_ms(wall);
    int64_t step = offset - s->clock_offset_ms;

    s->clock_offset_ms = offset;
    if (llabs(step) >= STEP_MS)
        follow(s, step);
    return wall;
}

void session_clock_bound(struct session_service *s, struct session_record *r)
{
    int64_t now = session_now_ms(s);

    r->created_ms = r->created_ms < now ? r->created_ms : now;
    r->used_ms = r->used_ms < now ? r->used_ms : now;
}

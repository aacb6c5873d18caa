/* linger: a clock that ticks while foreign descriptors are closed.
 *
 * Runs in the spawner, as root.  Reads nothing. */
#include "spawner/linger.h"

#include <signal.h>
#include <sys/time.h>

#define TICK_US 1000

static void tick(int signum)
{
}

void linger_begin(void)
{
    const struct timeval time = {.tv_usec = TICK_US};
    const struct itimerval timer = {.it_interval = time, .it_value = time};

    sigaction(SIGALRM, &(const struct sigaction){.sa_handler = tick}, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

void linger_end(void)
{
    setitimer(ITIMER_REAL, &(const struct itimerval){0}, NULL);
}

/* test_processes: a worker, nests and a network without processes.  For the tests of src/spawner;
 * the test says what comes of what they are told. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "spawner/descent.h"
#include "spawner/nest_birth.h"
#include "spawner/network.h"
#include "spawner/worker.h"

static struct work test_works[LANES];          /* what was begun last */
static struct work_result test_results[LANES]; /* what worker_finish() will say */
#define test_work   test_works[LANE_LAYERS]
#define test_result test_results[LANE_LAYERS]
static bool test_worker_fails, test_birth_fails;
static bool test_is_foreign; /* what nests pass off as sandboxes */
static bool test_network_works;
static uint32_t test_attached; /* slots that wait for a link, by bit */
static int test_link_error;    /* the next network_read() is about the lowest of them */

int worker_start(struct spawner *s, enum lane lane, const struct work *w, struct err *e)
{
    if (test_worker_fails) {
        test_worker_fails = false;
        return err_set(e, ERR_INTERNAL, EAGAIN, "as the test wants it");
    }
    test_works[lane] = *w;
    test_results[lane] = (struct work_result){0};
    s->lanes[lane].pid = 1;
    return 0;
}

void worker_finish(struct spawner *s, enum lane lane, struct work_result *ret)
{
    *ret = test_results[lane];
    s->lanes[lane].pid = 0;
}

void worker_stop(struct spawner *s)
{
    for (size_t i = 0; i < LANES; i++)
        s->lanes[i].pid = 0;
}

static int test_socks[LIMIT_NESTS]; /* the other ends of those that were born, 0: none */

/* The nest's process is a descriptor that never becomes readable. */
int nest_birth(struct spawner *s, uint32_t n, int sock, struct err *e)
{
    if (test_birth_fails) {
        test_birth_fails = false;
        return err_set(e, ERR_INTERNAL, EAGAIN, "as the test wants it");
    }
    if (test_socks[n] > 0)
        close(test_socks[n]);
    test_socks[n] = fcntl(sock, F_DUPFD_CLOEXEC, 1);
    fcntl(test_socks[n], F_SETFL, O_NONBLOCK);
    s->nests[n].pid = 1;
    s->nests[n].pidfd = eventfd(0, EFD_CLOEXEC);
    return 0;
}

bool descent_is_sandbox(int pidfd, int nest)
{
    return !test_is_foreign;
}

int network_open(const struct spawn_config *config, const char *base_name, struct err *e)
{
    return test_network_works ? 0 : err_set(e, ERR_UNAVAILABLE, 0, "no network in tests");
}

int network_fd(void)
{
    return test_network_works ? 0 : -1;
}

int network_attach(uint32_t slot, int netns_fd, struct err *e)
{
    if (!test_network_works)
        return err_set(e, ERR_UNAVAILABLE, 0, "no network in tests");
    test_attached |= 1u << slot;
    return 0;
}

int network_read(uint32_t *ret_slot, int *ret_error, char text[static NETWORK_TEXT])
{
    for (uint32_t i = 0; i < 32; i++) {
        if ((test_attached & 1u << i) == 0)
            continue;
        test_attached &= ~(1u << i);
        *ret_slot = i;
        *ret_error = test_link_error;
        snprintf(text, NETWORK_TEXT, "%s", test_link_error != 0 ? "no link" : "");
        return 1;
    }
    return 0;
}

void network_detach(uint32_t slot)
{
    test_attached &= ~(1u << slot);
}

void network_close(void)
{
}

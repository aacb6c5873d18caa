/* test_worker: a worker and nests without processes.  For the tests of src/spawner; the test says
 * what comes of what they are told. */
#pragma once

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "spawner/nest_birth.h"
#include "spawner/worker.h"

static struct work test_work;          /* what was begun last */
static struct work_result test_result; /* what worker_finish() will say */
static bool test_worker_fails, test_birth_fails;

int worker_start(struct spawner *s, const struct work *w, struct err *e)
{
    if (test_worker_fails) {
        test_worker_fails = false;
        return err_set(e, ERR_INTERNAL, EAGAIN, "as the test wants it");
    }
    test_work = *w;
    test_result = (struct work_result){0};
    s->worker.pid = 1;
    return 0;
}

void worker_finish(struct spawner *s, struct work_result *ret)
{
    *ret = test_result;
    s->worker.pid = 0;
}

void worker_stop(struct spawner *s)
{
    s->worker.pid = 0;
}

/* The nest's process is a descriptor that never becomes readable. */
int nest_birth(struct spawner *s, uint32_t n, int sock, struct err *e)
{
    if (test_birth_fails) {
        test_birth_fails = false;
        return err_set(e, ERR_INTERNAL, EAGAIN, "as the test wants it");
    }
    s->nests[n].pid = 1;
    s->nests[n].pidfd = eventfd(0, EFD_CLOEXEC);
    return 0;
}

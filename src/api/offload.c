/* offload: slow pure work off the loop, so that it never blocks for longer than 10 ms.  Runs in the
 * server; `work` runs on libuv's thread pool and must touch nothing but its data. */
#include <stdlib.h>

#include "api/internal.h"
#include "base/limits.h"

struct job {
    uv_work_t request;
    void (*work)(void *data);
    void (*done)(void *data);
    void *data;
};

static void on_work(uv_work_t *request)
{
    struct job *job = request->data;
    job->work(job->data);
}

static void on_after_work(uv_work_t *request, int status)
{
    struct job *job = request->data;
    job->done(job->data);
    free(job);
}

int offload(uv_loop_t *loop, size_t size, void (*work)(void *data), void (*done)(void *data),
            void *data)
{
    if (size <= LIMIT_INLINE_JSON) {
        work(data);
        done(data);
        return 0;
    }
    struct job *job = malloc(sizeof *job);
    if (!job)
        return -1;
    *job = (struct job){.work = work, .done = done, .data = data};
    job->request.data = job;
    if (uv_queue_work(loop, &job->request, on_work, on_after_work) < 0) {
        free(job);
        return -1;
    }
    return 0;
}

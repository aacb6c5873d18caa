/* work: the queues of what the workers shall do, and what follows from it.
 *
 * Runs in the spawner, as root.  Requests are hostile (see ops.c).  A nest keeps its number and its
 * layers from the request that opens it to the reply of the one that closes it, and their queue is
 * worked off in order: that is all the locking there is.  Workspaces: workspace_orders.c. */
#include "spawner/work.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "spawner/layer.h"
#include "spawner/nest_process.h"
#include "spawner/ops.h"
#include "spawner/policy.h"
#include "spawner/worker.h"
#include "spawner/workspace_orders.h"
#include "spawner/world.h"

static struct work *first_of(struct worker *w)
{
    return &w->queue[w->first];
}

struct work work_for(const struct spawner *s, uint32_t op, uint32_t nest, uint64_t number)
{
    return (struct work){.reply = {.op = op,
                                   .slot = SLOT_NONE,
                                   .cgroup = s->cgroups->version,
                                   .nest = nest,
                                   .layer = number}};
}

void work_fail(struct spawn_reply *reply, int error, const char *text)
{
    size_t len = strnlen(text, sizeof reply->text - 1);

    if (text[len] != '\0') {
        while (len > 0 && (text[len - 1] & 0x80) != 0)
            len--;
    }
    reply->error = error;
    memcpy(reply->text, text, len);
    reply->text[len] = '\0';
}

int work_errno(const struct err *e)
{
    if (e->errnum == 0 || (e->errnum == ENOENT && e->code != ERR_NOT_FOUND) ||
        (e->errnum == EEXIST && e->code != ERR_EXISTS))
        return EIO;
    return e->errnum;
}

static void fail_with(struct spawn_reply *reply, const struct err *e)
{
    work_fail(reply, work_errno(e), e->text);
}

/* -- when the worker has reported -------------------------------------------------------------- */

static int open_target(const struct spawner *s, uint32_t n, struct err *e)
{
    char path[NEST_DIR + WORLD_NAME], name[WORLD_NAME];
    int fd;

    world_target_dir(n, name);
    snprintf(path, sizeof path, "%s/%s", s->stage, name);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? err_set(e, ERR_INTERNAL, errno, "open %s", path) : fd;
}

/* The tree of nest n is there: somebody moves in. */
static int inhabit(struct spawner *s, uint32_t n, struct err *e)
{
    struct nest_process *nest = &s->nests[n];

    if (nest->make.target != 0 && (nest->target = open_target(s, n, e)) < 0)
        return -1;
    if (nest->modules < 0 && (nest->modules = nest_process_list("", e)) < 0)
        return -1;
    if (nest_process_make_group(s, n, e) < 0)
        return -1;
    nest->state = NEST_UP;
    nest->failures = 0;
    if (nest_process_start(s, n, e) == 0)
        return 0;
    nest->state = NEST_MAKING;
    nest->retry_us = UINT64_MAX;
    return -1;
}

static void vacate(struct spawner *s, uint32_t n)
{
    struct nest_process *nest = &s->nests[n];
    struct cgroup group = nest->group;

    fd_close(&nest->modules);
    fd_close(&nest->target);
    *nest = NEST_UNUSED;
    nest->group = group;
}

static bool is_about_nest(const struct work *w)
{
    return w->reply.op == SPAWN_NEST_OPEN || w->reply.op == SPAWN_NEST_CLOSE;
}

static bool is_about_workspace(const struct work *w)
{
    return w->reply.op >= SPAWN_WORKSPACE_MAKE;
}

/* What the worker says goes into the reply.  False when the same work goes on: a nest that could
 * not be made, or not be taken down in good order, is taken down without regard; so is what may be
 * left of work on a workspace that was cut off. */
static bool take_result(struct spawner *s, struct work *w, const struct work_result *r)
{
    struct err e = {0};

    if (w->undo)
        return true;
    if (r->error != 0)
        work_fail(&w->reply, r->error, r->text);
    else if (w->reply.op == SPAWN_LAYER_NEXT)
        w->reply.layer = r->value;
    else
        w->reply.bytes = r->value;
    if (w->reply.error == 0 && w->reply.op == SPAWN_NEST_OPEN && inhabit(s, w->reply.nest, &e) < 0)
        fail_with(&w->reply, &e);
    if (is_about_workspace(w))
        return !(w->undo = workspace_needs_undo(s, w, r));
    if (w->reply.error == 0 || !is_about_nest(w))
        return true;
    fd_close(&s->nests[w->reply.nest].target);
    w->made_target = w->reply.op == SPAWN_NEST_OPEN && r->made_target != 0;
    w->undo = true;
    return false;
}

static const char *subject(const struct work *w)
{
    return is_about_workspace(w) ? "workspace" : is_about_nest(w) ? "nest" : "layer";
}

/* Not worth a line in the log: the server asks again. */
static bool is_expected(const struct work *w)
{
    return is_about_workspace(w) && (w->reply.error == EAGAIN || w->reply.error == EBUSY);
}

/* The first of the queue is finished. */
static int reply_to_first(struct spawner *s, enum lane lane)
{
    struct worker *w = &s->lanes[lane];
    struct work done = *first_of(w);

    w->count--;
    /* From the beginning again when it is empty, or the whole ring would be touched in time. */
    w->first = w->count == 0 ? 0 : (w->first + 1) % WORKS_MAX;
    if (is_about_workspace(&done))
        workspace_settled(s, &done);
    else if (done.undo || done.reply.op == SPAWN_NEST_CLOSE)
        vacate(s, done.reply.nest);
    if (done.reply.error != 0 && !is_expected(&done))
        spawner_say("%s: %.150s", subject(&done), done.reply.text);
    return ops_answer(s, &done.reply);
}

/* Has the first of the queue done; one that cannot even be begun is answered as failed. */
static int begin(struct spawner *s, enum lane lane)
{
    struct worker *w = &s->lanes[lane];

    while (w->pid == 0 && w->count > 0) {
        struct work *first = first_of(w);
        struct work_result r = {0};
        struct err e = {0};

        if (worker_start(s, lane, first, &e) == 0) {
            if (first->reply.op == SPAWN_NEST_CLOSE)
                fd_close(&s->nests[first->reply.nest].target); /* the worker has its own copy */
            return 0;
        }
        r.error = work_errno(&e);
        memcpy(r.text, e.text, sizeof r.text);
        if (take_result(s, first, &r) && reply_to_first(s, lane) < 0)
            return -1;
    }
    return 0;
}

int work_done(struct spawner *s, enum lane lane)
{
    struct work_result r;

    worker_finish(s, lane, &r);
    if (take_result(s, first_of(&s->lanes[lane]), &r) && reply_to_first(s, lane) < 0)
        return -1;
    return begin(s, lane);
}

/* -- requests ---------------------------------------------------------------------------------- */

int work_push(struct spawner *s, enum lane lane, const struct work *work)
{
    struct worker *w = &s->lanes[lane];

    w->queue[(w->first + w->count) % WORKS_MAX] = *work;
    w->count++;
    return begin(s, lane);
}

bool work_permits_open(const struct spawner *s, const struct spawn_request *req)
{
    return req->nest > 0 && req->nest < LIMIT_NESTS && s->nests[req->nest].state == NEST_FREE &&
           policy_check_nest(&s->config, &req->make) == 0;
}

int work_open_nest(struct spawner *s, const struct spawn_request *req, int fd)
{
    struct work work = work_for(s, req->op, req->nest, req->make.target);
    struct nest_process *nest = &s->nests[req->nest];

    nest->state = NEST_MAKING;
    nest->make = req->make;
    nest->modules = fd;
    return work_push(s, LANE_LAYERS, &work);
}

bool work_permits_close(const struct spawner *s, const struct spawn_request *req)
{
    return req->nest > 0 && req->nest < LIMIT_NESTS && s->nests[req->nest].state == NEST_UP;
}

int work_close_nest(struct spawner *s, const struct spawn_request *req, int fd)
{
    struct nest_process *nest = &s->nests[req->nest];

    nest->state = NEST_CLOSING;
    nest->retry_us = UINT64_MAX;
    if (nest->pid == 0)
        work_nest_gone(s, req->nest);
    else
        nest_process_kill(s, req->nest);
    return 0;
}

void work_nest_gone(struct spawner *s, uint32_t n)
{
    struct work work = work_for(s, SPAWN_NEST_CLOSE, n, s->nests[n].make.target);

    work_push(s, LANE_LAYERS, &work); /* a server that is gone is noticed at its socket */
}

bool work_permits_layer(const struct spawner *s, const struct spawn_request *req)
{
    if (req->op == SPAWN_LAYER_HOST && req->kind > SPAWN_HOST_TOOLS)
        return false;
    return req->layer < SPAWN_NUMBER && (req->layer != 0 || req->op == SPAWN_LAYER_NEXT);
}

int work_on_layer(struct spawner *s, const struct spawn_request *req, int fd)
{
    struct work work = work_for(s, req->op, 0, req->layer);

    work.kind = req->kind;
    if ((req->op == SPAWN_LAYER_REMOVE || req->op == SPAWN_LAYER_HOST) &&
        world_uses_layer(s, req->layer, 0))
        work_fail(&work.reply, EBUSY, "the layer is in use");
    else if (s->lanes[LANE_LAYERS].count >= WORKS_MAX - LIMIT_NESTS)
        work_fail(&work.reply, EAGAIN, "too much is waiting for the disk");
    return work.reply.error != 0 ? ops_answer(s, &work.reply) : work_push(s, LANE_LAYERS, &work);
}

/* workspace_orders: which workspaces are open, and who may do what with them now.
 *
 * Runs in the spawner, as root.  Requests are hostile (see ops.c).  Orders on one workspace are
 * worked off one after the other: those of one lane by its order, those of two by refusing the
 * later one (EAGAIN).  What was decided stays true until the worker is done, therefore; whether a
 * workspace is open is decided when its worker is started. */
#include "spawner/workspace_orders.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "spawner/idmap.h"
#include "spawner/ops.h"
#include "spawner/pidfd.h"
#include "spawner/policy.h"
#include "spawner/work.h"
#include "spawner/workspace.h"

static uint32_t find(const struct workspaces *all, uint64_t number)
{
    uint32_t i = 0;

    while (i < all->count && all->open[i] != number)
        i++;
    return i;
}

bool workspace_is_open(const struct spawner *s, uint64_t number)
{
    return find(&s->workspaces, number) < s->workspaces.count;
}

static enum lane lane_of(uint32_t op)
{
    switch ((enum spawn_op)op) {
    case SPAWN_WORKSPACE_COPY:
        return LANE_COPIES;
    case SPAWN_WORKSPACE_CLOSE:
    case SPAWN_WORKSPACE_REMOVE:
        return LANE_SLEEP;
    default:
        return LANE_WAKE;
    }
}

static bool names(const struct work *w, uint64_t number)
{
    return w->reply.layer == number || w->other == number;
}

/* Whether something is being done, or will be, with this workspace in a lane. */
static bool is_in_lane(const struct spawner *s, enum lane lane, uint64_t number)
{
    const struct worker *w = &s->lanes[lane];

    for (uint32_t i = 0; i < w->count; i++) {
        if (names(&w->queue[(w->first + i) % WORKS_MAX], number))
            return true;
    }
    return false;
}

/* The same for all lanes but one. */
static bool is_busy(const struct spawner *s, uint64_t number, enum lane except)
{
    for (uint32_t lane = LANE_WAKE; lane < LANES; lane++) {
        if (lane != except && is_in_lane(s, lane, number))
            return true;
    }
    return false;
}

/* -- orders ------------------------------------------------------------------------------------ */

static bool is_number(uint64_t number)
{
    return number != 0 && number < SPAWN_NUMBER;
}

bool workspace_permits(const struct spawner *s, const struct spawn_request *req)
{
    if (req->op == SPAWN_WORKSPACE_COPY && (!is_number(req->other) || req->other == req->layer))
        return false;
    return is_number(req->layer);
}

static bool has_size(uint32_t op)
{
    return op == SPAWN_WORKSPACE_MAKE || op == SPAWN_WORKSPACE_OPEN || op == SPAWN_WORKSPACE_GROW;
}

/* Every order that is waiting may open one more. */
static bool is_full(const struct spawner *s, uint32_t op)
{
    return (op == SPAWN_WORKSPACE_MAKE || op == SPAWN_WORKSPACE_OPEN) &&
           s->workspaces.count + s->lanes[LANE_WAKE].count >= LIMIT_SLOTS;
}

int workspace_order(struct spawner *s, const struct spawn_request *req, int fd)
{
    struct work work = work_for(s, req->op, 0, req->layer);
    enum lane lane = lane_of(req->op);

    work.bytes = req->bytes;
    if (req->op == SPAWN_WORKSPACE_COPY)
        work.other = req->other;
    if (has_size(req->op) && !policy_check_workspace(&s->config, req->bytes))
        work_fail(&work.reply, ERANGE, "no workspace may have this size");
    else if (is_busy(s, req->layer, lane) || (work.other != 0 && is_busy(s, work.other, lane)))
        work_fail(&work.reply, EAGAIN, "something else is being done with the workspace");
    else if (s->lanes[lane].count >= WORKS_MAX || is_full(s, req->op))
        work_fail(&work.reply, EAGAIN, "too much is waiting for the disk");
    return work.reply.error != 0 ? ops_answer(s, &work.reply) : work_push(s, lane, &work);
}

bool workspace_needs_undo(const struct spawner *s, const struct work *w,
                          const struct work_result *r)
{
    switch ((enum spawn_op)w->reply.op) {
    case SPAWN_WORKSPACE_MAKE:
    case SPAWN_WORKSPACE_OPEN:
        return r->lost != 0 && !workspace_is_open(s, w->reply.layer);
    case SPAWN_WORKSPACE_CLOSE: /* not even unmounted, perhaps */
        return r->error != 0;
    case SPAWN_WORKSPACE_COPY:
        return r->lost != 0;
    default:
        return false;
    }
}

void workspace_settled(struct spawner *s, const struct work *w)
{
    struct workspaces *all = &s->workspaces;
    uint32_t i = find(all, w->reply.layer);

    switch ((enum spawn_op)w->reply.op) {
    case SPAWN_WORKSPACE_MAKE:
    case SPAWN_WORKSPACE_OPEN:
        if (w->reply.error == 0 && i == all->count)
            all->open[all->count++] = w->reply.layer;
        break;
    case SPAWN_WORKSPACE_CLOSE: /* unmounted, even when it could not be written down */
        if (i < all->count)
            all->open[i] = all->open[--all->count];
        break;
    default:
        break;
    }
}

/* -- attach ------------------------------------------------------------------------------------ */

bool workspace_permits_attach(const struct spawner *s, const struct spawn_request *req)
{
    const struct slot *slot = req->slot < s->nslots ? &s->slots[req->slot] : NULL;

    return slot != NULL && slot->state != SLOT_FREE && slot->state != SLOT_DRAINING &&
           !slot->closing && slot->nest_kind == SPAWN_NEST_RUN && is_number(req->layer);
}

/* A detached mount of the tree with the ids of the slot's sandbox.  Safe because: its user
 * namespace is found by its pidfd, and has two ids that no other sandbox has (R15). */
static int clone_tree(const struct spawner *s, const struct spawn_request *req, struct err *e)
{
    const struct slot *slot = &s->slots[req->slot];
    char dir[sizeof s->stage + WORKSPACE_NAME], name[WORKSPACE_NAME];
    _cleanup_fd_ int userns = -1;

    if (!workspace_is_open(s, req->layer))
        return err_set(e, ERR_NOT_FOUND, ENOENT, "the workspace is not open");
    if (is_in_lane(s, LANE_SLEEP, req->layer))
        return err_set(e, ERR_UNAVAILABLE, EAGAIN, "the workspace is being closed");
    if (slot->state != SLOT_OPEN)
        return err_set(e, ERR_CLOSED, slot->state == SLOT_OPENING ? EAGAIN : ESRCH,
                       "the sandbox is not there");
    workspace_dir(req->layer, name);
    snprintf(dir, sizeof dir, "%s/%s", s->stage, name);
    userns = pidfd_open_namespace(slot->pidfd, "user", e);
    return userns < 0 ? -1 : idmap_clone(userns, dir, e);
}

int workspace_attach(struct spawner *s, const struct spawn_request *req, int fd)
{
    struct work work = work_for(s, req->op, 0, req->layer);
    struct err e = {0};
    _cleanup_fd_ int tree = clone_tree(s, req, &e);

    work.reply.slot = req->slot;
    if (tree < 0)
        work_fail(&work.reply, work_errno(&e), e.text);
    return fd_send(s->server, &work.reply, sizeof work.reply, &tree, tree >= 0, NULL);
}

/* worker: makes and removes file systems and trees, one order of each lane at a time.
 *
 * worker_perform() and below run in a child of the spawner: root, the spawner's mount namespace, a
 * pid namespace of its own, so that no program it executes outlives it.  It has no descriptor of
 * the server's that it uses, and reads nothing of a sandbox's.  It reports one fixed-size message.
 * The rest runs in the spawner, which goes on serving meanwhile. */
#include "spawner/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/child.h"
#include "base/fd.h"
#include "spawner/layer.h"
#include "spawner/loop.h"
#include "spawner/policy.h"
#include "spawner/work.h"
#include "spawner/workspace.h"
#include "spawner/workspace_orders.h"
#include "spawner/world.h"

/* -- in the worker ----------------------------------------------------------------------------- */

static int open_nest(const struct spawner *s, const struct work *w, struct work_result *r,
                     struct err *e)
{
    bool made = false;
    int ret = world_make(s, w->reply.nest, &made, e);

    r->made_target = made;
    return ret;
}

static int undo_nest(const struct spawner *s, const struct work *w, struct err *e)
{
    uint32_t n = w->reply.nest;
    char target[WORLD_NAME];

    world_remove(s, n);
    world_target_dir(n, target);
    loop_unmount(target);
    return w->made_target ? layer_remove(&s->config, s->nests[n].make.target, e) : 0;
}

static int close_nest(const struct spawner *s, const struct work *w, struct work_result *r,
                      struct err *e)
{
    const struct nest_process *nest = &s->nests[w->reply.nest];
    char target[WORLD_NAME];
    int ret = 0;

    world_remove(s, w->reply.nest);
    if (nest->make.target == 0)
        return 0;
    world_target_dir(w->reply.nest, target);
    ret = layer_seal(&s->config, nest->make.target, target, nest->target, &r->value, e);
    close(nest->target);
    loop_unmount(target);
    return ret;
}

static int perform_on_workspace(const struct spawner *s, const struct work *w,
                                struct work_result *r, struct err *e)
{
    uint64_t number = w->reply.layer;
    bool is_open = workspace_is_open(s, number);

    switch ((enum spawn_op)w->reply.op) {
    case SPAWN_WORKSPACE_MAKE:
        return is_open ? err_set(e, ERR_EXISTS, EEXIST, "the workspace is open")
                       : workspace_make(&s->config, number, w->bytes, e);
    case SPAWN_WORKSPACE_OPEN:
        return is_open ? workspace_grow(number, w->bytes, e)
                       : workspace_open(&s->config, number, w->bytes, e);
    case SPAWN_WORKSPACE_GROW:
        return is_open ? workspace_grow(number, w->bytes, e)
                       : err_set(e, ERR_NOT_FOUND, ENOENT, "the workspace is not open");
    case SPAWN_WORKSPACE_CLOSE:
        return is_open ? workspace_close(&s->config, number, &r->value, e) : 0;
    case SPAWN_WORKSPACE_COPY:
        return workspace_copy(&s->config, number, w->other, is_open, &r->value, e);
    case SPAWN_WORKSPACE_REMOVE:
        return is_open ? err_set(e, ERR_UNAVAILABLE, EBUSY, "the workspace is open")
                       : workspace_remove(&s->config, number, e);
    default:
        return err_set(e, ERR_INTERNAL, EINVAL, "no work for the worker");
    }
}

static int undo(const struct spawner *s, const struct work *w, struct err *e)
{
    uint64_t number = w->reply.op == SPAWN_WORKSPACE_COPY ? w->other : w->reply.layer;

    if (w->reply.op < SPAWN_WORKSPACE_MAKE)
        return undo_nest(s, w, e);
    /* What was open before stays so, unless that was to end. */
    if (w->reply.op == SPAWN_WORKSPACE_CLOSE || !workspace_is_open(s, number))
        workspace_unmount(number);
    workspace_remove_parts(&s->config, number);
    return 0;
}

static int perform(const struct spawner *s, const struct work *w, struct work_result *r,
                   struct err *e)
{
    uint64_t layer = w->reply.layer;

    if (w->undo)
        return undo(s, w, e);
    switch ((enum spawn_op)w->reply.op) {
    case SPAWN_NEST_OPEN:
        return open_nest(s, w, r, e);
    case SPAWN_NEST_CLOSE:
        return close_nest(s, w, r, e);
    case SPAWN_LAYER_HOST:
        return layer_make_host(&s->config, layer, w->kind, &r->value, e);
    case SPAWN_LAYER_REMOVE:
        return layer_remove(&s->config, layer, e);
    case SPAWN_LAYER_NEXT:
        return layer_next(&s->config, layer, &r->value, e);
    case SPAWN_INPUT_REMOVE:
        return layer_remove_input(&s->config, layer, e);
    default:
        return perform_on_workspace(s, w, r, e);
    }
}

/* What takes long shares the CPU as a build does.  What a session waits for stays where it is: to
 * move a process into a group of version 1 can take 8 ms. */
static void enter_group(const struct spawner *s, enum lane lane)
{
    if (lane != LANE_LAYERS && lane != LANE_COPIES)
        return;
    for (uint32_t i = 0; i < s->worker_group.nprocs; i++) {
        if (write(s->worker_group.procs[i], "0", 1) != 1)
            _exit(1);
    }
}

static _Noreturn void become_worker(const struct spawner *s, enum lane lane, const struct work *w,
                                    int result)
{
    struct work_result r = {0};
    struct err e = {0};

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        _exit(1);
    enter_group(s, lane);
    if (chdir(s->stage) < 0)
        err_set(&e, ERR_INTERNAL, errno, "chdir %s", s->stage);
    else if (perform(s, w, &r, &e) == 0)
        e = (struct err){0};
    if (e.code != 0) {
        r.error = work_errno(&e);
        memcpy(r.text, e.text, sizeof r.text);
    }
    _exit(write(result, &r, sizeof r) == sizeof r ? 0 : 1);
}

/* -- in the spawner ---------------------------------------------------------------------------- */

int worker_prepare(struct spawner *s, struct err *e)
{
    if (s->cgroups->create(&s->worker_group, "worker", e) < 0)
        return -1;
    return s->cgroups->weight(&s->worker_group, policy_build_weight(&s->config), e);
}

/* Somebody who thaws, if this is going to freeze. */
static int start_guard(struct spawner *s, struct worker *worker, const struct work *w,
                       struct err *e)
{
    char dir[sizeof s->stage + WORKSPACE_NAME], name[WORKSPACE_NAME];

    worker->guard.pid = 0;
    if (w->undo || w->reply.op != SPAWN_WORKSPACE_COPY || !workspace_is_open(s, w->reply.layer))
        return 0;
    workspace_dir(w->reply.layer, name);
    snprintf(dir, sizeof dir, "%s/%s", s->stage, name);
    return freeze_guard_start(&worker->guard, dir, e);
}

static pid_t clone_worker(struct spawner *s, enum lane lane, const struct work *w, int result)
{
    struct clone_args args = {.flags = CLONE_NEWPID, .exit_signal = SIGCHLD};
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);

    if (pid == 0)
        become_worker(s, lane, w, result);
    return pid;
}

int worker_start(struct spawner *s, enum lane lane, const struct work *w, struct err *e)
{
    struct worker *worker = &s->lanes[lane];
    int pipefd[2];
    pid_t pid;

    if (pipe2(pipefd, O_CLOEXEC) < 0)
        return err_set(e, ERR_INTERNAL, errno, "worker: pipe");
    if (start_guard(s, worker, w, e) < 0 ||
        spawner_watch(s, pipefd[0], EVENT_WORKER, (uint32_t)lane, e) < 0) {
        freeze_guard_release(&worker->guard);
        freeze_guard_finish(&worker->guard);
        close(pipefd[0]);
        close(pipefd[1]);
        return -1;
    }
    pid = clone_worker(s, lane, w, pipefd[1]);
    if (pid < 0)
        err_set(e, ERR_INTERNAL, errno, "worker: clone3");
    freeze_guard_release(&worker->guard);
    close(pipefd[1]);
    worker->result = pipefd[0];
    worker->pid = pid > 0 ? pid : 0;
    if (pid > 0)
        return 0;
    freeze_guard_finish(&worker->guard);
    spawner_unwatch(s, pipefd[0]);
    fd_close(&worker->result);
    return -1;
}

void worker_finish(struct spawner *s, enum lane lane, struct work_result *ret)
{
    struct worker *worker = &s->lanes[lane];
    ssize_t n = read(worker->result, ret, sizeof *ret);

    if (n != sizeof *ret) {
        *ret = (struct work_result){.error = EIO, .lost = 1};
        snprintf(ret->text, sizeof ret->text, "the spawner's worker was ended by somebody");
    }
    ret->text[sizeof ret->text - 1] = '\0';
    spawner_unwatch(s, worker->result);
    fd_close(&worker->result);
    child_reap(worker->pid); /* it has nothing left to do */
    worker->pid = 0;
    freeze_guard_finish(&worker->guard);
}

void worker_stop(struct spawner *s)
{
    for (size_t i = 0; i < LANES; i++) {
        struct worker *worker = &s->lanes[i];

        if (worker->pid == 0)
            continue;
        /* Safe because: our own child, not reaped yet. */
        kill(worker->pid, SIGKILL);
        child_reap(worker->pid);
        worker->pid = 0;
        freeze_guard_finish(&worker->guard);
    }
}

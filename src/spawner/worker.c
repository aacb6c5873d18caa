/* worker: makes and removes file systems and trees, one order at a time.
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
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "spawner/layer.h"
#include "spawner/policy.h"
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
    layer_unmount(target);
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
    layer_unmount(target);
    return ret;
}

static int perform(const struct spawner *s, const struct work *w, struct work_result *r,
                   struct err *e)
{
    uint64_t layer = w->reply.layer;

    if (w->undo)
        return undo_nest(s, w, e);
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
        return err_set(e, ERR_INTERNAL, EINVAL, "no work for the worker");
    }
}

static _Noreturn void become_worker(const struct spawner *s, const struct work *w, int result)
{
    struct work_result r = {0};
    struct err e = {0};

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        _exit(1);
    for (uint32_t i = 0; i < s->worker.group.nprocs; i++) {
        if (write(s->worker.group.procs[i], "0", 1) != 1)
            _exit(1);
    }
    if (chdir(s->stage) < 0)
        err_set(&e, ERR_INTERNAL, errno, "chdir %s", s->stage);
    else if (perform(s, w, &r, &e) == 0)
        e = (struct err){0};
    if (e.code != 0) {
        r.error = e.errnum != 0 ? e.errnum : EIO;
        memcpy(r.text, e.text, sizeof r.text);
    }
    _exit(write(result, &r, sizeof r) == sizeof r ? 0 : 1);
}

/* -- in the spawner ---------------------------------------------------------------------------- */

int worker_prepare(struct spawner *s, struct err *e)
{
    if (s->cgroups->create(&s->worker.group, "worker", e) < 0)
        return -1;
    return s->cgroups->weight(&s->worker.group, policy_build_weight(&s->config), e);
}

int worker_start(struct spawner *s, const struct work *w, struct err *e)
{
    struct clone_args args = {.flags = CLONE_NEWPID, .exit_signal = SIGCHLD};
    int pipefd[2];
    pid_t pid;

    if (pipe2(pipefd, O_CLOEXEC) < 0)
        return err_set(e, ERR_INTERNAL, errno, "worker: pipe");
    if (spawner_watch(s, pipefd[0], EVENT_WORKER, 0, e) < 0) {
        close(pipefd[0]);
        close(pipefd[1]);
        return -1;
    }
    pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0)
        become_worker(s, w, pipefd[1]);
    close(pipefd[1]);
    s->worker.result = pipefd[0];
    s->worker.pid = pid;
    if (pid > 0)
        return 0;
    s->worker.pid = 0;
    spawner_unwatch(s, pipefd[0]);
    fd_close(&s->worker.result);
    return err_set(e, ERR_INTERNAL, errno, "worker: clone3");
}

void worker_finish(struct spawner *s, struct work_result *ret)
{
    ssize_t n = read(s->worker.result, ret, sizeof *ret);

    if (n != sizeof *ret) {
        *ret = (struct work_result){.error = EIO};
        snprintf(ret->text, sizeof ret->text, "the spawner's worker was ended by somebody");
    }
    ret->text[sizeof ret->text - 1] = '\0';
    spawner_unwatch(s, s->worker.result);
    fd_close(&s->worker.result);
    waitpid(s->worker.pid, NULL, 0); /* it has nothing left to do */
    s->worker.pid = 0;
}

void worker_stop(struct spawner *s)
{
    if (s->worker.pid == 0)
        return;
    /* Safe because: our own child, not reaped yet. */
    kill(s->worker.pid, SIGKILL);
    waitpid(s->worker.pid, NULL, 0);
    s->worker.pid = 0;
}

/* slot: life cycle of the places that sandboxes live in.
 *
 *   FREE -> OPENING -> OPEN -> (init dies) DEAD or DRAINING -> FREE
 *
 * Runs in the spawner, as root.  A slot is free again only when its group is empty, so a group, and
 * the pair of ids that goes with it, never serves two sandboxes at once (R15, R40).  A warm child
 * enters the group by itself, through descriptors that its zygote was handed and, being hostile,
 * may keep: so whoever lingers there is ended, and a nest never gets a group that another one's
 * zygote was handed. */
#include "spawner/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "spawner/attach.h"
#include "spawner/nest_process.h"
#include "wire/nest.h"

#define DRAIN_US 1000000 /* the kernel takes milliseconds to end a sandbox */

static void push_free(struct spawner *s, uint32_t number)
{
    s->slots[number].state = SLOT_FREE;
    s->slots[number].closing = false;
    s->slots[number].next_free = SLOT_NONE;
    if (s->first_free == SLOT_NONE)
        s->first_free = number;
    else
        s->slots[s->last_free].next_free = number;
    s->last_free = number;
}

/* What a sandbox has until it starts. */
static int limit_waiting(struct spawner *s, struct cgroup *group, struct err *e)
{
    if (s->cgroups->limit(group, &s->config.defaults, e) < 0)
        return -1;
    return s->cgroups->weight(group, CGROUP_WEIGHT_WAITING, e);
}

static uint32_t make_slot(struct spawner *s, struct err *e)
{
    uint32_t number = s->nslots;
    struct slot *slot = &s->slots[number];
    char name[32];

    snprintf(name, sizeof name, "s%u", number);
    slot->pidfd = -1;
    if (s->cgroups->create(&slot->group, name, e) < 0 || limit_waiting(s, &slot->group, e) < 0) {
        cgroup_finish(&slot->group);
        return SLOT_NONE;
    }
    s->nslots++;
    return number;
}

/* The first in the queue whose group this nest's zygote can enter already; else the first that no
 * zygote can; else, if `any`, the first.  In this order because a nest that took from those that
 * any may have would leave none for the others, and each nest that is opened would need new ones.
 */
static uint32_t pop_free(struct spawner *s, uint32_t nest, bool any)
{
    uint32_t before = SLOT_NONE, number = SLOT_NONE, last = SLOT_NONE;

    for (uint32_t i = s->first_free; i != SLOT_NONE; last = i, i = s->slots[i].next_free) {
        const struct slot *slot = &s->slots[i];
        bool is_own = slot->lent && slot->nest == nest;

        if (is_own || (number == SLOT_NONE && (any || !slot->lent))) {
            number = i;
            before = last;
        }
        if (is_own)
            break;
    }
    if (number == SLOT_NONE)
        return SLOT_NONE;
    if (before == SLOT_NONE)
        s->first_free = s->slots[number].next_free;
    else
        s->slots[before].next_free = s->slots[number].next_free;
    if (s->last_free == number)
        s->last_free = before;
    return number;
}

static void start_draining(struct spawner *s, struct slot *slot)
{
    slot->state = SLOT_DRAINING;
    slot->overdue_us = clock_now_us() + DRAIN_US;
    s->ndraining++;
}

/* Takes a group away from the zygote that it was lent to.  One that sits in it is ended, and the
 * slot drains once more. */
static int reclaim(struct spawner *s, struct slot *slot)
{
    struct err e = {0};

    if (s->cgroups->replace(&slot->group, &e) == 0 && limit_waiting(s, &slot->group, &e) == 0) {
        slot->lent = false;
        return 0;
    }
    spawner_say("a slot of nest %u: %s", slot->nest, e.text);
    s->cgroups->end(&slot->group);
    start_draining(s, slot);
    return -1;
}

uint32_t slot_take(struct spawner *s, uint32_t nest, struct err *e)
{
    uint32_t number = pop_free(s, nest, false);

    if (number == SLOT_NONE && s->nslots < s->config.slots)
        return make_slot(s, e);
    while (number == SLOT_NONE) {
        number = pop_free(s, nest, true);
        if (number == SLOT_NONE) {
            err_set(e, ERR_LIMIT, EAGAIN, "all %u slots are in use", s->nslots);
            return SLOT_NONE;
        }
        if (reclaim(s, &s->slots[number]) < 0)
            number = SLOT_NONE;
    }
    return number;
}

bool slot_is_in(const struct spawner *s, uint32_t nest)
{
    for (uint32_t i = 0; i < s->nslots; i++) {
        if (s->slots[i].nest == nest && s->slots[i].state != SLOT_FREE)
            return true;
    }
    return false;
}

/* A pipe whose writing end can be opened again by its name, as "echo x > /dev/stderr" does: it is
 * root's, and the run is somebody else.  Safe because: only who has it already finds it in /proc,
 * and nobody may open it for reading. */
static int make_pipe(int *ret_read, int *ret_write, struct err *e)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_set(e, ERR_INTERNAL, errno, "pipe");
    *ret_read = fds[0];
    *ret_write = fds[1];
    return fchmod(fds[1], 0222) < 0 ? err_set(e, ERR_INTERNAL, errno, "mode of a pipe") : 0;
}

/* The server takes no descriptors there: a zygote has some that it must not have (procs of struct
 * cgroup, which move any process that their user sees), and closing can take long (linger.h). */
static int make_pair(int type, int *ret_ours, int *ret_theirs, struct err *e)
{
    int pair[2];

    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0)
        return err_set(e, ERR_INTERNAL, errno, "socketpair");
    fd_take_no_descriptors(pair[0]);
    *ret_ours = pair[0];
    *ret_theirs = pair[1];
    return 0;
}

/* ours[0..2] stay with the server, theirs[0..2] go into the sandbox. */
static int make_channels(int *ours, int *theirs, struct err *e)
{
    if (make_pair(SOCK_STREAM, &ours[0], &theirs[0], e) < 0)
        return -1;
    if (make_pipe(&ours[1], &theirs[1], e) < 0)
        return -1;
    return make_pipe(&ours[2], &theirs[2], e);
}

/* A message to a nest about a slot, with `fds` and then those of its group. */
static int send_to_nest(struct spawner *s, uint32_t nest, struct nest_request *req, int *fds,
                        size_t nfds, struct err *e)
{
    const struct cgroup *group = &s->slots[req->slot].group;

    req->groups = group->nprocs;
    memcpy(fds + nfds, group->procs, group->nprocs * sizeof(int));
    return fd_send(s->nests[nest].sock, req, sizeof *req, fds, nfds + group->nprocs, e);
}

int slot_build(struct spawner *s, uint32_t number, const struct spawn_request *req, int *ret_fds,
               struct err *e)
{
    struct slot *slot = &s->slots[number];
    struct nest_request build = {.op = NEST_BUILD,
                                 .slot = number,
                                 .kind = req->kind,
                                 .workspace_mb = s->config.defaults.workspace_mb,
                                 .host_network =
                                     s->nests[req->nest].make.network == SPAWN_NETWORK_HOST};
    int fds[NEST_BUILD_FDS(NEST_GROUPS_MAX)] = {-1, -1, -1};
    int r;

    memset(ret_fds, -1, SPAWN_OPEN_FDS * sizeof(int));
    r = make_channels(ret_fds, fds, e);
    if (r == 0)
        r = send_to_nest(s, req->nest, &build, fds, NEST_BUILD_FDS(0), e);
    for (int i = 0; i < 3; i++) {
        fd_close(&fds[i]);
        if (r < 0)
            fd_close(&ret_fds[i]);
    }
    if (r < 0) {
        push_free(s, number);
        return err_prefix(e, "slot %u", number);
    }
    slot->state = SLOT_OPENING;
    slot->overdue_us = nest_process_await(&s->nests[req->nest]);
    slot->nest = req->nest;
    slot->lent |= req->kind == SPAWN_WARM;
    slot->nest_kind = s->nests[req->nest].make.kind;
    slot->network = s->nests[req->nest].make.network;
    return 0;
}

/* ours[0..3] stay with the server; theirs[0..3] go to the zygote's child: as NEST_JOIN has them,
 * without the pidfd. */
static int make_join_channels(int *ours, int *theirs, struct err *e)
{
    int pair[2];

    if (make_pipe(&ours[0], &theirs[0], e) < 0 || make_pipe(&ours[1], &theirs[1], e) < 0 ||
        make_pair(SOCK_SEQPACKET, &ours[2], &theirs[2], e) < 0)
        return -1;
    if (pipe2(pair, O_CLOEXEC) < 0)
        return err_set(e, ERR_INTERNAL, errno, "pipe");
    ours[3] = pair[0];
    theirs[3] = pair[1];
    return 0;
}

int slot_join(struct spawner *s, uint32_t number, int *ret_fds, struct err *e)
{
    struct slot *slot = &s->slots[number];
    struct nest_request join = {.op = NEST_JOIN, .slot = number};
    int fds[NEST_JOIN_FDS(NEST_GROUPS_MAX)] = {slot->pidfd, -1, -1, -1, -1};
    int r;

    memset(ret_fds, -1, SPAWN_JOIN_FDS * sizeof(int));
    if (s->nests[slot->nest].pid == 0)
        return err_set(e, ERR_UNAVAILABLE, EAGAIN, "slot %u: its nest is gone", number);
    slot->lent = true; /* before the zygote can have it */
    r = make_join_channels(ret_fds, fds + 1, e);
    if (r == 0)
        r = send_to_nest(s, slot->nest, &join, fds, NEST_JOIN_FDS(0), e);
    for (int i = 0; i < SPAWN_JOIN_FDS; i++) {
        fd_close(&fds[1 + i]);
        if (r < 0)
            fd_close(&ret_fds[i]);
    }
    return r < 0 ? err_prefix(e, "slot %u: join", number) : 0;
}

/* Safe because: a pidfd names one process for ever; pid 1 of a pid namespace takes all of it along
 * (pid_namespaces(7)). */
static void kill_sandbox(const struct slot *slot)
{
    if (slot->pidfd >= 0)
        syscall(SYS_pidfd_send_signal, slot->pidfd, SIGKILL, NULL, 0);
}

int slot_built(struct spawner *s, uint32_t nest, const struct nest_reply *reply, int pidfd)
{
    struct slot *slot = reply->slot < s->nslots ? &s->slots[reply->slot] : NULL;
    struct err e = {0};

    if (slot == NULL || slot->nest != nest || slot->state != SLOT_OPENING ||
        (reply->error == 0) != (pidfd >= 0)) {
        fd_close(&pidfd);
        return -1;
    }
    if (reply->error != 0) {
        spawner_say("nest %u: slot %u: %s", nest, reply->slot, strerror(reply->error));
        slot_died(s, reply->slot);
        return 0;
    }
    slot->pidfd = pidfd;
    slot->state = SLOT_OPEN;
    if (spawner_watch(s, pidfd, EVENT_SLOT, reply->slot, &e) < 0) {
        spawner_say("%s", e.text);
        kill_sandbox(slot);
        slot_died(s, reply->slot); /* its group tells when it really is */
        return -1;
    }
    if (slot->closing)
        kill_sandbox(slot);
    else
        attach_built(s, reply->slot);
    return 0;
}

void slot_died(struct spawner *s, uint32_t number)
{
    struct slot *slot = &s->slots[number];

    if (slot->pidfd >= 0)
        spawner_unwatch(s, slot->pidfd);
    fd_close(&slot->pidfd);
    attach_end(s, number);
    if (slot->closing)
        start_draining(s, slot);
    else
        slot->state = SLOT_DEAD;
}

void slot_close(struct spawner *s, uint32_t number)
{
    struct slot *slot = &s->slots[number];

    slot->closing = true;
    attach_end(s, number);
    if (slot->state == SLOT_OPEN)
        kill_sandbox(slot);
    else if (slot->state == SLOT_DEAD)
        start_draining(s, slot);
}

void slot_nest_died(struct spawner *s, uint32_t nest)
{
    for (uint32_t i = 0; i < s->nslots; i++) {
        if (s->slots[i].nest != nest)
            continue;
        s->slots[i].lent = false;
        if (s->slots[i].state == SLOT_OPENING)
            slot_died(s, i);
    }
}

static int make_as_new(struct spawner *s, struct slot *slot, struct err *e)
{
    return s->cgroups->renew(&slot->group, e) < 0 ? -1 : limit_waiting(s, &slot->group, e);
}

/* One that could not be made anew has no files to count in, and is tried again.  That tells as
 * much: the kernel removes no group that somebody is in. */
static bool is_empty(struct spawner *s, struct slot *slot)
{
    int n = s->cgroups->count(&slot->group);

    return n == 0 || (n < 0 && s->cgroups->replace(&slot->group, NULL) == 0);
}

/* Safe because: the group is this slot's, whose sandbox is dead. */
static void end_lingerers(struct spawner *s, struct slot *slot)
{
    uint64_t now = clock_now_us();

    if (now < slot->overdue_us)
        return;
    s->cgroups->end(&slot->group);
    slot->overdue_us = now + DRAIN_US;
}

/* Once a second, and not at all about what heals within one: it is tried every few milliseconds. */
static void say_overdue(struct slot *slot, uint32_t number, const struct err *e)
{
    uint64_t now = clock_now_us();

    if (now < slot->overdue_us)
        return;
    spawner_say("slot %u: %s", number, e->text);
    slot->overdue_us = now + DRAIN_US;
}

void slot_drain(struct spawner *s)
{
    for (uint32_t i = 0; i < s->nslots && s->ndraining > 0; i++) {
        struct slot *slot = &s->slots[i];
        struct err e = {0};

        if (slot->state != SLOT_DRAINING)
            continue;
        if (!is_empty(s, slot)) {
            end_lingerers(s, slot);
            continue;
        }
        if (make_as_new(s, slot, &e) < 0) {
            say_overdue(slot, i, &e);
            continue; /* stays draining: tried again, never used half-made */
        }
        s->ndraining--;
        push_free(s, i);
    }
}

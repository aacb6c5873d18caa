/* ops: one request of the server at a time.
 *
 * Runs in the spawner, as root.  The server parses hostile bytes and may have been taken over, so
 * its requests are hostile: a size, an operation, a slot or a state that does not fit ends
 * everything (the server broke), and a number beyond its ceiling is refused (policy_clamp). */
#include "spawner/ops.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/fd.h"
#include "spawner/attach.h"
#include "spawner/linger.h"
#include "spawner/nest_process.h"
#include "spawner/policy.h"
#include "spawner/slot.h"
#include "spawner/spawner.h"
#include "spawner/work.h"
#include "spawner/workspace_orders.h"

#define SEND_TRIES    50 /* while the kernel has no memory for a message; then the service ends */
#define SEND_PAUSE_US 2000

/* Sends the reply.  -1 when the server is gone, or cannot be told what it would wait for without an
 * end: then the connection ends too, which the next look at it tells whoever does not ask here. */
static int answer(struct spawner *s, const struct spawn_reply *reply, const int *fds, size_t nfds)
{
    struct err e = {0};
    int r;

    for (int i = 0; i < SEND_TRIES; i++) {
        r = fd_send(s->server, reply, sizeof *reply, fds, nfds, &e);
        if (r == 0)
            return 0;
        if (e.errnum != ENOBUFS && e.errnum != ENOMEM)
            break;
        usleep(SEND_PAUSE_US);
    }
    spawner_say("the server cannot be answered: %s", e.text);
    shutdown(s->server, SHUT_RDWR);
    return -1;
}

int ops_answer(struct spawner *s, const struct spawn_reply *reply)
{
    return answer(s, reply, NULL, 0);
}

/* A nest that is being killed has hung up before its pidfd tells so: there will be another. */
static int errno_of(const struct err *e)
{
    if (e->errnum == EPIPE)
        return EAGAIN;
    return e->errnum != 0 ? e->errnum : EIO;
}

static int do_open(struct spawner *s, const struct spawn_request *req, int fd)
{
    struct spawn_reply reply = {
        .op = req->op, .slot = SLOT_NONE, .cgroup = s->cgroups->version, .nest = req->nest};
    int fds[SPAWN_OPEN_FDS];
    struct err e = {0};
    uint32_t number = SLOT_NONE;
    int r = -1;

    if (s->nests[req->nest].pid == 0)
        reply.error = nest_process_is_lost(s, req->nest) ? ESHUTDOWN : EAGAIN;
    else if (s->nests[req->nest].make.kind != SPAWN_NEST_RUN && slot_is_in(s, req->nest))
        reply.error = EAGAIN; /* two would have the same ids */
    else if ((number = slot_take(s, req->nest, &e)) == SLOT_NONE ||
             slot_build(s, number, req, fds, &e) < 0)
        reply.error = errno_of(&e);
    if (e.code != 0)
        spawner_say("open: %s", e.text);
    if (reply.error != 0)
        return ops_answer(s, &reply);
    reply.slot = number;
    r = answer(s, &reply, fds, SPAWN_OPEN_FDS);
    for (int i = 0; i < SPAWN_OPEN_FDS; i++)
        fd_close(&fds[i]);
    return r;
}

static struct spawn_reply about_slot(const struct spawner *s, const struct spawn_request *req)
{
    return (struct spawn_reply){.op = req->op,
                                .slot = req->slot,
                                .cgroup = s->cgroups->version,
                                .nest = s->slots[req->slot].nest};
}

static int do_start(struct spawner *s, const struct spawn_request *req, int fd)
{
    struct spawn_reply reply = about_slot(s, req);
    struct slot *slot = &s->slots[req->slot];
    struct cgroup *group = &slot->group;
    uint32_t weight =
        slot->nest_kind == SPAWN_NEST_RUN ? CGROUP_WEIGHT_RUN : policy_build_weight(&s->config);
    struct spawn_limits limits = req->limits;
    struct err e = {0};

    if (req->network > slot->network || policy_clamp(&s->config, slot->nest_kind, &limits) < 0)
        reply.error = ERANGE;
    else if (s->cgroups->weight(group, weight, &e) < 0 ||
             s->cgroups->limit(group, &limits, &e) < 0 || s->cgroups->reset(group, &e) < 0)
        reply.error = errno_of(&e);
    if (e.code != 0)
        spawner_say("start: slot %u: %s", req->slot, e.text);
    /* Who is in the host's network is there whatever is asked for. */
    if (reply.error == 0 &&
        (req->network != SPAWN_NETWORK_NONE || slot->network == SPAWN_NETWORK_HOST))
        return attach_begin(s, req->slot);
    return ops_answer(s, &reply);
}

static int do_usage(struct spawner *s, const struct spawn_request *req, int fd)
{
    struct spawn_reply reply = about_slot(s, req);
    struct cgroup_usage usage = {0};
    struct err e = {0};

    if (s->cgroups->usage(&s->slots[req->slot].group, &usage, &e) < 0) {
        reply.error = errno_of(&e);
        spawner_say("usage: slot %u: %s", req->slot, e.text);
    }
    reply.cpu_us = usage.cpu_us;
    reply.memory_peak = usage.memory_peak;
    reply.oom_kills = usage.oom_kills;
    reply.pids_hits = usage.pids_hits;
    return ops_answer(s, &reply);
}

/* What may just have happened to a slot that the server knows as open. */
static int why_not_open(const struct slot *slot)
{
    return slot->state == SLOT_OPENING ? EAGAIN : slot->state == SLOT_OPEN ? 0 : ESRCH;
}

static int do_join(struct spawner *s, const struct spawn_request *req, int fd)
{
    struct spawn_reply reply = about_slot(s, req);
    int fds[SPAWN_JOIN_FDS];
    struct err e = {0};
    int r;

    reply.error = why_not_open(&s->slots[req->slot]);
    if (reply.error == 0 && slot_join(s, req->slot, fds, &e) < 0) {
        reply.error = errno_of(&e);
        spawner_say("join: %s", e.text);
    }
    if (reply.error != 0)
        return ops_answer(s, &reply);
    r = answer(s, &reply, fds, SPAWN_JOIN_FDS);
    for (int i = 0; i < SPAWN_JOIN_FDS; i++)
        fd_close(&fds[i]);
    return r;
}

static int do_close(struct spawner *s, const struct spawn_request *req, int fd)
{
    slot_close(s, req->slot);
    return 0;
}

void ops_pong(struct spawner *s, uint32_t nest, int error)
{
    struct spawn_reply reply = {
        .op = SPAWN_PING, .error = error, .cgroup = s->cgroups->version, .nest = nest};

    ops_answer(s, &reply);
}

static int do_ping(struct spawner *s, const struct spawn_request *req, int fd)
{
    if (nest_process_ping(s, req->nest) < 0)
        ops_pong(s, req->nest, EAGAIN);
    return 0;
}

#define STATE(x) (1u << (x))
#define LIVING   (STATE(SLOT_OPENING) | STATE(SLOT_OPEN) | STATE(SLOT_DEAD))

static bool names_nest(const struct spawner *s, const struct spawn_request *req)
{
    if (req->nest >= LIMIT_NESTS || s->nests[req->nest].state != NEST_UP)
        return false;
    return req->kind == SPAWN_COLD ||
           (req->kind == SPAWN_WARM && s->nests[req->nest].make.kind == SPAWN_NEST_RUN);
}

static bool names_slot(const struct spawner *s, const struct spawn_request *req)
{
    const struct slot *slot = req->slot < s->nslots ? &s->slots[req->slot] : NULL;

    return slot != NULL && (LIVING & STATE(slot->state)) != 0 && !slot->closing;
}

static bool may_start(const struct spawner *s, const struct spawn_request *req)
{
    return names_slot(s, req) && !s->slots[req->slot].starting;
}

/* Only where there is a zygote: a group is lent to nobody else. */
static bool may_join(const struct spawner *s, const struct spawn_request *req)
{
    return names_slot(s, req) && s->slots[req->slot].nest_kind == SPAWN_NEST_RUN &&
           s->nests[s->slots[req->slot].nest].make.warm == 1;
}

/* What may be asked, and when. */
static const struct {
    int (*handler)(struct spawner *s, const struct spawn_request *req, int fd);
    bool (*is_permitted)(const struct spawner *s, const struct spawn_request *req);
} operations[] = {
    [SPAWN_OPEN] = {do_open, names_nest},
    [SPAWN_START] = {do_start, may_start},
    [SPAWN_USAGE] = {do_usage, names_slot},
    [SPAWN_CLOSE] = {do_close, names_slot},
    [SPAWN_PING] = {do_ping, names_nest},
    [SPAWN_NEST_OPEN] = {work_open_nest, work_permits_open},
    [SPAWN_NEST_CLOSE] = {work_close_nest, work_permits_close},
    [SPAWN_LAYER_HOST] = {work_on_layer, work_permits_layer},
    [SPAWN_LAYER_REMOVE] = {work_on_layer, work_permits_layer},
    [SPAWN_LAYER_NEXT] = {work_on_layer, work_permits_layer},
    [SPAWN_INPUT_REMOVE] = {work_on_layer, work_permits_layer},
    [SPAWN_JOIN] = {do_join, may_join},
    [SPAWN_WORKSPACE_MAKE] = {workspace_order, workspace_permits},
    [SPAWN_WORKSPACE_OPEN] = {workspace_order, workspace_permits},
    [SPAWN_WORKSPACE_ATTACH] = {workspace_attach, workspace_permits_attach},
    [SPAWN_WORKSPACE_CLOSE] = {workspace_order, workspace_permits},
    [SPAWN_WORKSPACE_GROW] = {workspace_order, workspace_permits},
    [SPAWN_WORKSPACE_COPY] = {workspace_order, workspace_permits},
    [SPAWN_WORKSPACE_REMOVE] = {workspace_order, workspace_permits},
};

/* The list of modules for a zygote; a plain file, so that whoever reads it never waits. */
static bool is_list(const struct spawn_request *req, int fd)
{
    struct stat st;

    return req->op == SPAWN_NEST_OPEN && req->make.warm == 1 && fstat(fd, &st) == 0 &&
           S_ISREG(st.st_mode);
}

static bool is_permitted(const struct spawner *s, const struct spawn_request *req, int fd)
{
    return (fd < 0 || is_list(req, fd)) && req->op < sizeof operations / sizeof operations[0] &&
           operations[req->op].handler != NULL && operations[req->op].is_permitted(s, req);
}

int ops_serve(struct spawner *s)
{
    struct spawn_request req;
    _cleanup_fd_ int fd = -1;
    size_t nfds = 0;
    struct err e = {0};
    ssize_t n;

    bool good;

    linger_begin();
    n = fd_recv(s->server, &req, sizeof req, &fd, 1, &nfds, &e);
    good = n == sizeof req && is_permitted(s, &req, fd);
    if (!good)
        fd_close(&fd);
    linger_end();
    if (n == 0)
        return -1;
    if (!good) {
        spawner_say("the server broke the protocol: %s", n < 0 ? e.text : "request not permitted");
        return -1;
    }
    return operations[req.op].handler(s, &req, fd_steal(&fd));
}

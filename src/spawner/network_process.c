/* network_process: makes the links of sandboxes.
 *
 * A child of the spawner; root in the host's network namespace with two capabilities: CAP_NET_ADMIN
 * for links, addresses, routes and rules, CAP_SYS_ADMIN for entering a sandbox's namespace.  It
 * reads fixed-size numbers and one descriptor at a time from the spawner, and the kernel's answers.
 * It must never run or open anything of a sandbox: it enters its network namespace for one call,
 * to get a socket there.  When the spawner is gone, killed or not, it takes everything down; it
 * keeps the instance's lock until then, so that the next start does not meet it. */
#include "spawner/network_process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "spawner/network_filter.h"
#include "spawner/spawner.h"

#define OWN_SOCKET 3 /* in place of the spawner's to the server */
#define TEARDOWN_S 20
#define CAPS       (1u << CAP_NET_ADMIN | 1u << CAP_SYS_ADMIN)

_Static_assert(LIMIT_SLOTS <= 0x1000, "the name of a link has three digits for the slot");
_Static_assert(LIMIT_SLOTS < NETWORK_POOL_LAST, "each slot has an address");

static struct {
    struct network_plan *plan;
    bool has_rights;
    bool is_ready;
    int host;  /* the host's network namespace */
    int links; /* a socket in it */
    int lock;
    uint32_t next;                   /* address to try */
    uint32_t addresses[LIMIT_SLOTS]; /* of the latest sandbox in each slot */
} net = {.host = -1, .links = -1, .lock = -1};

/* -- becoming */

/* Safe because: it only gives up. */
static int drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[2] = {{.effective = CAPS, .permitted = CAPS}};

    for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++) {
        if (cap != CAP_NET_ADMIN && cap != CAP_SYS_ADMIN && prctl(PR_CAPBSET_DROP, cap) < 0)
            return -1;
    }
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return -1;
    return (int)syscall(SYS_capset, &header, caps);
}

/* Keeps stderr, its socket and the lock. */
static int arrange_descriptors(int sock)
{
    if (dup3(sock, OWN_SOCKET, O_CLOEXEC) < 0)
        return -1;
    return (int)syscall(SYS_close_range, SPAWNER_LOCK_FD + 1, ~0u, 0);
}

/* -- starting */

static struct link_route reservation(bool is_ipv6)
{
    return (struct link_route){.to =
                                   is_ipv6 ? network_ipv6(net.plan, 0) : network_ipv4(net.plan, 0),
                               .prefix = is_ipv6 ? 64 : NETWORK_POOL_PREFIX,
                               .metric = net.plan->tag};
}

/* What a predecessor has reserved, wherever that was. */
static void remove_reservation(const struct link_seen *seen, void *data)
{
    struct link_route route = {.to = seen->to, .prefix = seen->prefix, .metric = seen->metric};

    (void)data;
    if (seen->protocol == LINK_ROUTE_PROTOCOL && seen->metric == net.plan->tag)
        link_delete_route(net.links, &route);
}

static void remove_reservations(void)
{
    _cleanup_fd_ int dump = link_socket();

    if (dump < 0)
        return;
    link_each_route(dump, AF_INET, remove_reservation, NULL);
    link_each_route(dump, AF_INET6, remove_reservation, NULL);
}

/* The reservation is made first and removed last: it tells the next start that there is something
 * to sweep. */
static enum network_step prepare(void)
{
    struct network_plan *plan = net.plan;
    struct link_route ipv4, ipv6;
    enum network_step step;

    if (!net.has_rights)
        return NETWORK_STEP_RIGHTS;
    if (net.host < 0 || net.links < 0)
        return NETWORK_STEP_NETLINK;
    if (link_delete_group(net.links, plan->tag) < 0)
        return errno == EPERM ? NETWORK_STEP_RIGHTS : NETWORK_STEP_SWEEP;
    remove_reservations();
    if (network_plan_settle(plan, net.links) < 0)
        return NETWORK_STEP_ROUTES;
    errno = 0;
    if (!plan->has_pool)
        return NETWORK_STEP_POOL;
    ipv4 = reservation(false);
    if (link_add_route(net.links, &ipv4) < 0)
        return NETWORK_STEP_RESERVE;
    ipv6 = reservation(true);
    if (plan->has_ipv6 && link_add_route(net.links, &ipv6) < 0)
        return NETWORK_STEP_RESERVE;
    step = network_filter_load(plan, &net.lock);
    if (step != NETWORK_STEP_NONE)
        return step;
    /* Somewhere in the range, so that answers to a predecessor's sandboxes rarely find one. */
    if (getrandom(&net.next, sizeof net.next, 0) < 0)
        net.next = 0;
    return NETWORK_STEP_NONE;
}

static void take_down(void)
{
    if (net.links >= 0)
        link_delete_group(net.links, net.plan->tag);
    network_filter_unload(net.plan, &net.lock);
    remove_reservations();
}

/* Once; an operator who then installs what was missing need not start anything again. */
static enum network_step be_ready(void)
{
    enum network_step step = net.is_ready ? NETWORK_STEP_NONE : prepare();
    int kept = errno;

    net.is_ready = step == NETWORK_STEP_NONE;
    if (!net.is_ready && net.has_rights)
        take_down();
    errno = kept;
    return step;
}

/* -- attaching */

static bool is_address_taken(uint32_t number)
{
    for (uint32_t i = 0; i < LIMIT_SLOTS; i++)
        if (net.addresses[i] == number)
            return true;
    return false;
}

/* The address that was free for longest: what is still under way to its last owner must not reach
 * the next one. */
static uint32_t take_address(uint32_t slot)
{
    const uint32_t count = NETWORK_POOL_LAST - NETWORK_POOL_FIRST + 1;

    net.addresses[slot] = 0;
    do {
        net.next = (net.next + 1) % count;
    } while (is_address_taken(NETWORK_POOL_FIRST + net.next));
    net.addresses[slot] = NETWORK_POOL_FIRST + net.next;
    return net.addresses[slot];
}

/* A socket in the sandbox's namespace, and the index of eth0 there (0: none).  Safe because: for
 * these calls only, which look at nothing but the namespace's list of links; a process that cannot
 * return ends. */
static int enter_socket(int netns, int *ret_index)
{
    int sock = -1, kept;

    if (setns(netns, CLONE_NEWNET) < 0)
        return -1;
    sock = link_socket();
    kept = errno;
    *ret_index = sock < 0 ? 0 : (int)if_nametoindex(LINK_INSIDE);
    if (setns(net.host, CLONE_NEWNET) < 0) {
        spawner_say("networks: could not leave a sandbox's namespace");
        raise(SIGKILL); /* the spawner has another one take down what is out there */
    }
    errno = kept;
    return sock;
}

/* A slot's last link may still be there: the kernel removes namespaces in its own time. */
static int make_pair(const char *name, int netns)
{
    const struct network_plan *plan = net.plan;

    if (link_create_pair(net.links, name, netns, plan->tag, plan->mtu) == 0)
        return 0;
    if (errno != EEXIST)
        return -1;
    if (link_delete(net.links, name) < 0) {
        errno = EEXIST; /* then it was eth0, over there */
        return -1;
    }
    return link_create_pair(net.links, name, netns, plan->tag, plan->mtu);
}

static void name_link(uint32_t slot, char name[static IFNAMSIZ])
{
    snprintf(name, IFNAMSIZ, "%.12s%03x", net.plan->links, slot & 0xfff);
}

static int set_up_outside(int index, uint32_t number, bool is_ipv6)
{
    struct link_address gateway =
        is_ipv6 ? network_ipv6(net.plan, NETWORK_GATEWAY) : network_ipv4(net.plan, NETWORK_GATEWAY);
    struct link_route route = {.to = is_ipv6 ? network_ipv6(net.plan, number)
                                             : network_ipv4(net.plan, number),
                               .prefix = is_ipv6 ? 128 : 32,
                               .from = &gateway,
                               .index = index};

    if (link_add_address(net.links, index, &gateway) < 0)
        return -1;
    return link_add_route(net.links, &route);
}

static int set_up_inside(int sock, int index, uint32_t number, bool is_ipv6)
{
    struct link_address own =
        is_ipv6 ? network_ipv6(net.plan, number) : network_ipv4(net.plan, number);
    struct link_address gateway =
        is_ipv6 ? network_ipv6(net.plan, NETWORK_GATEWAY) : network_ipv4(net.plan, NETWORK_GATEWAY);
    struct link_route near = {.to = gateway, .prefix = is_ipv6 ? 128 : 32, .index = index};
    struct link_route out = {.to.family = own.family, .via = &gateway, .index = index};

    if (link_add_address(sock, index, &own) < 0 || link_add_route(sock, &near) < 0)
        return -1;
    return link_add_route(sock, &out);
}

static enum network_step attach(uint32_t slot, int netns)
{
    const bool has_ipv6 = net.plan->has_ipv6;
    char name[IFNAMSIZ];
    int outside, inside = 0;
    _cleanup_fd_ int sock = -1;
    uint32_t number = take_address(slot);

    name_link(slot, name);
    if (make_pair(name, netns) < 0)
        return NETWORK_STEP_VETH;
    if ((sock = enter_socket(netns, &inside)) < 0)
        return NETWORK_STEP_ENTER;
    outside = (int)if_nametoindex(name);
    if (outside == 0 || link_set_up(net.links, outside) < 0 ||
        set_up_outside(outside, number, false) < 0 ||
        (has_ipv6 && set_up_outside(outside, number, true) < 0))
        return NETWORK_STEP_OUTSIDE;
    if (inside == 0 || link_set_up(sock, inside) < 0 ||
        set_up_inside(sock, inside, number, false) < 0 ||
        (has_ipv6 && set_up_inside(sock, inside, number, true) < 0))
        return NETWORK_STEP_INSIDE;
    return NETWORK_STEP_NONE;
}

static struct network_answer do_attach(const struct network_request *req, int netns)
{
    struct network_answer answer = {.slot = req->slot, .serial = req->serial};
    char name[IFNAMSIZ];

    answer.step = be_ready();
    if (answer.step == NETWORK_STEP_NONE)
        answer.step = attach(req->slot, netns);
    if (answer.step == NETWORK_STEP_NONE)
        return answer;
    answer.error = errno != 0 ? errno : EIO;
    if (net.is_ready) {
        name_link(req->slot, name);
        link_delete(net.links, name);
    }
    return answer;
}

static void serve(int sock)
{
    for (;;) {
        struct network_request req;
        struct network_answer answer;
        _cleanup_fd_ int netns = -1;
        size_t nfds = 0;
        ssize_t n = fd_recv(sock, &req, sizeof req, &netns, 1, &nfds, NULL);

        if (n != sizeof req || nfds != 1 || req.slot >= LIMIT_SLOTS)
            return; /* the spawner is gone */
        answer = do_attach(&req, netns);
        if (fd_send(sock, &answer, sizeof answer, NULL, 0, NULL) < 0)
            return;
    }
}

static void become(struct network_plan *plan)
{
    prctl(PR_SET_NAME, "dunlin-network");
    net.plan = plan;
    net.has_rights = drop_capabilities() == 0;
    net.host = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    net.links = link_socket();
}

static _Noreturn void end(void)
{
    alarm(TEARDOWN_S); /* whoever waits for the lock shall not wait for ever */
    take_down();
    _exit(0);
}

_Noreturn void network_process_run(struct network_plan *plan, int sock)
{
    if (arrange_descriptors(sock) < 0)
        _exit(1);
    become(plan);
    serve(OWN_SOCKET);
    end();
}

_Noreturn void network_process_sweep(struct network_plan *plan)
{
    become(plan);
    end();
}

static void find_reservation(const struct link_seen *seen, void *data)
{
    struct network_plan *found = data;

    if (seen->protocol == LINK_ROUTE_PROTOCOL && seen->metric == found->tag)
        found->has_pool = true;
}

bool network_process_left_something(const struct network_plan *plan)
{
    struct network_plan found = {.tag = plan->tag};
    _cleanup_fd_ int sock = link_socket();

    return sock >= 0 && link_each_route(sock, AF_INET, find_reservation, &found) == 0 &&
           found.has_pool;
}

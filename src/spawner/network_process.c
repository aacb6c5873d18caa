/* network_process: has the host ready for the links of sandboxes, and cleans up behind them.
 *
 * A child of the spawner; root in the host's network namespace with two capabilities: CAP_NET_ADMIN
 * for links, addresses, routes and rules, CAP_SYS_ADMIN for entering a sandbox's namespace.  It
 * reads fixed-size numbers and one descriptor at a time from the spawner, and the kernel's answers.
 * When the spawner is gone, killed or not, it takes everything down; it keeps the instance's lock
 * until then, so that the next start does not meet it. */
#include "spawner/network_process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "spawner/network_attach.h"
#include "spawner/network_filter.h"
#include "spawner/spawner.h"

#define OWN_SOCKET 3 /* in place of the spawner's to the server */
#define TEARDOWN_S 20
#define CAPS       (1u << CAP_NET_ADMIN | 1u << CAP_SYS_ADMIN)

static struct {
    struct network_plan *plan;
    bool has_rights;
    bool is_reserved, is_ready;
    bool is_guarded; /* our API, from tools in the host's network */
    int host;        /* the host's network namespace */
    int links;       /* a socket in it */
    int lock;
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

/* Takes a range of addresses.  Done before anything else and undone last: it tells the next start
 * that there is something to sweep. */
static enum network_step reserve(void)
{
    struct network_plan *plan = net.plan;
    struct link_route ipv4, ipv6;

    if (net.is_reserved)
        return NETWORK_STEP_NONE;
    remove_reservations();
    if (network_plan_settle(plan, net.links) < 0)
        return NETWORK_STEP_ROUTES;
    errno = 0;
    if (!plan->has_pool)
        return NETWORK_STEP_POOL;
    ipv4 = reservation(false);
    if (link_add_route(net.links, &ipv4) < 0)
        return NETWORK_STEP_RESERVE;
    net.is_reserved = true;
    ipv6 = reservation(true);
    if (plan->has_ipv6 && link_add_route(net.links, &ipv6) < 0)
        return NETWORK_STEP_RESERVE;
    return NETWORK_STEP_NONE;
}

static enum network_step prepare(void)
{
    enum network_step step;

    if (!net.has_rights)
        return NETWORK_STEP_RIGHTS;
    if (net.host < 0 || net.links < 0)
        return NETWORK_STEP_NETLINK;
    if (link_delete_group(net.links, net.plan->tag) < 0)
        return errno == EPERM ? NETWORK_STEP_RIGHTS : NETWORK_STEP_SWEEP;
    step = reserve();
    if (step == NETWORK_STEP_NONE)
        step = network_filter_load(net.plan, &net.lock);
    if (step == NETWORK_STEP_NONE)
        network_attach_begin();
    return step;
}

static void release(void)
{
    remove_reservations();
    net.is_reserved = false;
}

/* The links, and what they needed. */
static void take_links_down(void)
{
    link_delete_group(net.links, net.plan->tag);
    network_filter_unload(net.plan, &net.lock);
    net.is_ready = false;
}

static void take_down(void)
{
    if (!net.has_rights || net.links < 0)
        return;
    take_links_down();
    if (net.is_guarded)
        network_filter_unload_api(net.plan);
    release();
}

/* Once; an operator who then installs what was missing need not start anything again. */
static enum network_step be_ready(void)
{
    enum network_step step = net.is_ready ? NETWORK_STEP_NONE : prepare();
    int kept = errno;

    net.is_ready = step == NETWORK_STEP_NONE;
    if (!net.is_ready && net.has_rights && net.links >= 0) {
        take_links_down();
        if (!net.is_guarded)
            release();
    }
    errno = kept;
    return step;
}

/* -- serving */

/* Keeps a tool that works in the host's own network from our API. */
static enum network_step guard(void)
{
    enum network_step step;
    int kept;

    if (net.is_guarded)
        return NETWORK_STEP_NONE;
    if (!net.has_rights)
        return NETWORK_STEP_RIGHTS;
    if (net.links < 0)
        return NETWORK_STEP_NETLINK;
    step = reserve();
    if (step == NETWORK_STEP_NONE)
        step = network_filter_load_api(net.plan);
    kept = errno;
    net.is_guarded = step == NETWORK_STEP_NONE;
    if (!net.is_guarded && !net.is_ready)
        release();
    errno = kept;
    return step;
}

static bool is_host(int netns)
{
    struct stat own, other;

    return fstat(net.host, &own) == 0 && fstat(netns, &other) == 0 && own.st_ino == other.st_ino &&
           own.st_dev == other.st_dev;
}

static struct network_answer do_attach(const struct network_request *req, int netns)
{
    struct network_answer answer = {.slot = req->slot, .serial = req->serial};
    const struct network_place at = {.plan = net.plan, .host = net.host, .links = net.links};

    if (is_host(netns))
        answer.step = guard();
    else if ((answer.step = be_ready()) == NETWORK_STEP_NONE)
        answer.step = network_attach_link(&at, req->slot, netns);
    if (answer.step != NETWORK_STEP_NONE)
        answer.error = errno != 0 ? errno : EIO;
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
    net.is_guarded = true; /* perhaps it was */
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

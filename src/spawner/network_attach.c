/* network_attach: makes the link of one sandbox.
 *
 * Runs in the network process, with CAP_NET_ADMIN and CAP_SYS_ADMIN.  The namespace is a sandbox's
 * and may be hostile; what is read from it are the kernel's answers.  It must never run or open
 * anything there: it enters for one call, to get a socket. */
#include "spawner/network_attach.h"

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "spawner/spawner.h"

_Static_assert(LIMIT_SLOTS <= 0x1000, "the name of a link has three digits for the slot");
_Static_assert(LIMIT_SLOTS < NETWORK_POOL_LAST, "each slot has an address");

static struct {
    uint32_t next;                   /* to try */
    uint32_t addresses[LIMIT_SLOTS]; /* of the latest sandbox in each slot */
} given;

void network_attach_begin(void)
{
    if (getrandom(&given.next, sizeof given.next, 0) < 0)
        given.next = 0;
}

static bool is_address_taken(uint32_t number)
{
    for (uint32_t i = 0; i < LIMIT_SLOTS; i++)
        if (given.addresses[i] == number)
            return true;
    return false;
}

/* The address that was free for longest: what is still under way to its last owner must not reach
 * the next one. */
static uint32_t take_address(uint32_t slot)
{
    const uint32_t count = NETWORK_POOL_LAST - NETWORK_POOL_FIRST + 1;

    given.addresses[slot] = 0;
    do {
        given.next = (given.next + 1) % count;
    } while (is_address_taken(NETWORK_POOL_FIRST + given.next));
    given.addresses[slot] = NETWORK_POOL_FIRST + given.next;
    return given.addresses[slot];
}

/* A socket in the sandbox's namespace, and the index of eth0 there (0: none).  Safe because: for
 * these calls only, which look at nothing but the namespace's list of links; a process that cannot
 * return ends. */
static int enter_socket(const struct network_place *at, int netns, int *ret_index)
{
    int sock = -1, kept;

    if (setns(netns, CLONE_NEWNET) < 0)
        return -1;
    sock = link_socket();
    kept = errno;
    *ret_index = sock < 0 ? 0 : (int)if_nametoindex(LINK_INSIDE);
    if (setns(at->host, CLONE_NEWNET) < 0) {
        spawner_say("networks: could not leave a sandbox's namespace");
        raise(SIGKILL); /* the spawner has another one take down what is out there */
    }
    errno = kept;
    return sock;
}

/* A slot's last link may still be there: the kernel removes namespaces in its own time. */
static int make_pair(const struct network_place *at, const char *name, int netns)
{
    const struct network_plan *plan = at->plan;

    if (link_create_pair(at->links, name, netns, plan->tag, plan->mtu) == 0)
        return 0;
    if (errno != EEXIST)
        return -1;
    if (link_delete(at->links, name) < 0) {
        errno = EEXIST; /* then it was eth0, over there */
        return -1;
    }
    return link_create_pair(at->links, name, netns, plan->tag, plan->mtu);
}

static void name_link(const struct network_place *at, uint32_t slot, char name[static IFNAMSIZ])
{
    snprintf(name, IFNAMSIZ, "%.12s%03x", at->plan->links, slot & 0xfff);
}

static int set_up_outside(const struct network_place *at, int index, uint32_t number, bool is_ipv6)
{
    struct link_address gateway =
        is_ipv6 ? network_ipv6(at->plan, NETWORK_GATEWAY) : network_ipv4(at->plan, NETWORK_GATEWAY);
    struct link_route route = {.to = is_ipv6 ? network_ipv6(at->plan, number)
                                             : network_ipv4(at->plan, number),
                               .prefix = is_ipv6 ? 128 : 32,
                               .from = &gateway,
                               .index = index};

    if (link_add_address(at->links, index, &gateway) < 0)
        return -1;
    return link_add_route(at->links, &route);
}

static int set_up_inside(const struct network_plan *plan, int sock, int index, uint32_t number,
                         bool is_ipv6)
{
    struct link_address own = is_ipv6 ? network_ipv6(plan, number) : network_ipv4(plan, number);
    struct link_address gateway =
        is_ipv6 ? network_ipv6(plan, NETWORK_GATEWAY) : network_ipv4(plan, NETWORK_GATEWAY);
    struct link_route near = {.to = gateway, .prefix = is_ipv6 ? 128 : 32, .index = index};
    struct link_route out = {.to.family = own.family, .via = &gateway, .index = index};

    if (link_add_address(sock, index, &own) < 0 || link_add_route(sock, &near) < 0)
        return -1;
    return link_add_route(sock, &out);
}

static enum network_step attach(const struct network_place *at, const char *name, uint32_t number,
                                int netns)
{
    const bool has_ipv6 = at->plan->has_ipv6;
    int outside, inside = 0;
    _cleanup_fd_ int sock = -1;

    if (make_pair(at, name, netns) < 0)
        return NETWORK_STEP_VETH;
    if ((sock = enter_socket(at, netns, &inside)) < 0)
        return NETWORK_STEP_ENTER;
    outside = (int)if_nametoindex(name);
    if (outside == 0 || link_set_up(at->links, outside) < 0 ||
        set_up_outside(at, outside, number, false) < 0 ||
        (has_ipv6 && set_up_outside(at, outside, number, true) < 0))
        return NETWORK_STEP_OUTSIDE;
    if (inside == 0 || link_set_up(sock, inside) < 0 ||
        set_up_inside(at->plan, sock, inside, number, false) < 0 ||
        (has_ipv6 && set_up_inside(at->plan, sock, inside, number, true) < 0))
        return NETWORK_STEP_INSIDE;
    return NETWORK_STEP_NONE;
}

enum network_step network_attach_link(const struct network_place *at, uint32_t slot, int netns)
{
    char name[IFNAMSIZ];
    enum network_step step;
    int kept;

    name_link(at, slot, name);
    step = attach(at, name, take_address(slot), netns);
    kept = errno;
    if (step != NETWORK_STEP_NONE)
        link_delete(at->links, name);
    errno = kept;
    return step;
}

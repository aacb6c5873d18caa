/* network_link: a thin layer over rtnetlink(7).
 *
 * Runs in the network process, with CAP_NET_ADMIN.  What it reads comes from the kernel only: the
 * sockets are not bound to any group, and a message from another sender is dropped.  It must never
 * send what it was not asked to, nor name a link by anything but the caller's words. */
#include "spawner/network_link.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define REQUEST_BYTES 512
#define ANSWER_BYTES  32768 /* the kernel's own measure for one part of a dump */
#define ANSWER_WAIT_S 10    /* the kernel answers in milliseconds unless it is stuck */

struct request {
    struct nlmsghdr head;
    char body[REQUEST_BYTES];
};

int link_socket(void)
{
    struct sockaddr_nl self = {.nl_family = AF_NETLINK};
    struct timeval wait = {.tv_sec = ANSWER_WAIT_S};
    int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (sock < 0)
        return -1;
    if (setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) < 0 ||
        bind(sock, (struct sockaddr *)&self, sizeof self) < 0) {
        int kept = errno;

        close(sock);
        errno = kept;
        return -1;
    }
    return sock;
}

/* -- requests: their size is ours alone, so a body that does not fit is our bug */

static void *request_add(struct request *r, size_t len)
{
    void *at = (char *)r + NLMSG_ALIGN(r->head.nlmsg_len);

    if (NLMSG_ALIGN(r->head.nlmsg_len) + NLMSG_ALIGN(len) > sizeof *r)
        __builtin_trap();
    memset(at, 0, NLMSG_ALIGN(len));
    r->head.nlmsg_len = (uint32_t)(NLMSG_ALIGN(r->head.nlmsg_len) + len);
    return at;
}

static void request_init(struct request *r, int type, int flags, const void *fixed, size_t len)
{
    r->head = (struct nlmsghdr){.nlmsg_len = sizeof r->head,
                                .nlmsg_type = (uint16_t)type,
                                .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags)};
    memcpy(request_add(r, len), fixed, len);
}

static struct rtattr *request_put(struct request *r, int type, const void *data, size_t len)
{
    struct rtattr *attr = request_add(r, RTA_LENGTH(len));

    attr->rta_type = (unsigned short)type;
    attr->rta_len = (unsigned short)RTA_LENGTH(len);
    if (len > 0)
        memcpy(RTA_DATA(attr), data, len);
    return attr;
}

static void request_put_u32(struct request *r, int type, uint32_t value)
{
    request_put(r, type, &value, sizeof value);
}

static void request_put_text(struct request *r, int type, const char *text)
{
    request_put(r, type, text, strlen(text) + 1);
}

static void request_put_address(struct request *r, int type, const struct link_address *a)
{
    request_put(r, type, a->bytes, a->family == AF_INET ? 4 : 16);
}

static void request_end(struct request *r, struct rtattr *nest)
{
    nest->rta_len = (unsigned short)((char *)r + r->head.nlmsg_len - (char *)nest);
}

/* Reads one datagram of the kernel's. */
static ssize_t receive(int sock, void *data, size_t cap)
{
    struct sockaddr_nl from;
    ssize_t n;

    do {
        socklen_t len = sizeof from;

        n = recvfrom(sock, data, cap, MSG_TRUNC, (struct sockaddr *)&from, &len);
    } while ((n < 0 && errno == EINTR) || (n >= 0 && from.nl_pid != 0));
    if (n > (ssize_t)cap) {
        errno = EMSGSIZE;
        return -1;
    }
    return n;
}

/* Sends a request and waits for its acknowledgement.  The number tells it from a late one of a
 * request that was given up. */
static int transact(int sock, struct request *r)
{
    static uint32_t sequence;
    union {
        struct nlmsghdr head;
        char bytes[4096];
    } answer;
    const struct nlmsgerr *verdict = NLMSG_DATA(&answer.head);
    ssize_t n;

    r->head.nlmsg_flags |= NLM_F_ACK;
    r->head.nlmsg_seq = ++sequence;
    if (send(sock, r, r->head.nlmsg_len, 0) < 0)
        return -1;
    do {
        n = receive(sock, &answer, sizeof answer);
        if (n < 0)
            return -1;
    } while (n < (ssize_t)NLMSG_LENGTH(sizeof *verdict) || answer.head.nlmsg_type != NLMSG_ERROR ||
             answer.head.nlmsg_seq != sequence);
    errno = -verdict->error;
    return verdict->error == 0 ? 0 : -1;
}

/* -- links */

int link_create_pair(int sock, const char *name, int netns, uint32_t group, uint32_t mtu)
{
    /* Locally administered.  One address for both ends: what a link that does not resolve sends
     * carries its own address, and so arrives. */
    static const unsigned char hardware[6] = {0x02, 'd', 'n', 'l', 'i', 'n'};
    const struct ifinfomsg info = {
        .ifi_family = AF_UNSPEC, .ifi_flags = IFF_NOARP, .ifi_change = IFF_NOARP};
    struct rtattr *link, *data, *peer;
    struct request r;

    request_init(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof info);
    request_put_text(&r, IFLA_IFNAME, name);
    request_put(&r, IFLA_ADDRESS, hardware, sizeof hardware);
    request_put_u32(&r, IFLA_GROUP, group);
    request_put_u32(&r, IFLA_MTU, mtu);
    link = request_put(&r, IFLA_LINKINFO, NULL, 0);
    request_put(&r, IFLA_INFO_KIND, "veth", 4);
    data = request_put(&r, IFLA_INFO_DATA, NULL, 0);
    peer = request_put(&r, VETH_INFO_PEER, &info, sizeof info);
    request_put_text(&r, IFLA_IFNAME, LINK_INSIDE);
    request_put(&r, IFLA_ADDRESS, hardware, sizeof hardware);
    request_put_u32(&r, IFLA_MTU, mtu);
    request_put_u32(&r, IFLA_NET_NS_FD, (uint32_t)netns);
    request_end(&r, peer);
    request_end(&r, data);
    request_end(&r, link);
    return transact(sock, &r);
}

/* The kernel gives an IPv6 link a link-local address when it comes up, unless told before. */
static int silence_ipv6(int sock, int index)
{
    const struct ifinfomsg info = {.ifi_family = AF_UNSPEC, .ifi_index = index};
    const unsigned char mode = IN6_ADDR_GEN_MODE_NONE;
    struct rtattr *spec, *ipv6;
    struct request r;

    request_init(&r, RTM_SETLINK, 0, &info, sizeof info);
    spec = request_put(&r, IFLA_AF_SPEC, NULL, 0);
    ipv6 = request_put(&r, AF_INET6, NULL, 0);
    request_put(&r, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof mode);
    request_end(&r, ipv6);
    request_end(&r, spec);
    if (transact(sock, &r) == 0)
        return 0;
    return errno == EAFNOSUPPORT || errno == EOPNOTSUPP ? 0 : -1; /* a kernel without IPv6 */
}

int link_set_up(int sock, int index)
{
    const struct ifinfomsg info = {
        .ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    struct request r;

    if (silence_ipv6(sock, index) < 0)
        return -1;
    request_init(&r, RTM_SETLINK, 0, &info, sizeof info);
    return transact(sock, &r);
}

int link_delete(int sock, const char *name)
{
    const struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
    struct request r;

    request_init(&r, RTM_DELLINK, 0, &info, sizeof info);
    request_put_text(&r, IFLA_IFNAME, name);
    return transact(sock, &r);
}

int link_delete_group(int sock, uint32_t group)
{
    const struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
    struct request r;

    request_init(&r, RTM_DELLINK, 0, &info, sizeof info);
    request_put_u32(&r, IFLA_GROUP, group);
    return transact(sock, &r) == 0 || errno == ENODEV ? 0 : -1;
}

/* -- addresses and routes */

int link_add_address(int sock, int index, const struct link_address *address)
{
    const struct ifaddrmsg info = {.ifa_family = (unsigned char)address->family,
                                   .ifa_prefixlen = address->family == AF_INET ? 32 : 128,
                                   .ifa_flags = address->family == AF_INET6 ? IFA_F_NODAD : 0,
                                   .ifa_scope = RT_SCOPE_UNIVERSE,
                                   .ifa_index = (uint32_t)index};
    struct request r;

    request_init(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof info);
    request_put_address(&r, IFA_LOCAL, address);
    request_put_address(&r, IFA_ADDRESS, address);
    return transact(sock, &r);
}

static void describe_route(struct request *r, int type, int flags, const struct link_route *route)
{
    const struct rtmsg info = {
        .rtm_family = (unsigned char)route->to.family,
        .rtm_dst_len = route->prefix,
        .rtm_table = RT_TABLE_MAIN,
        .rtm_protocol = route->index == 0 ? LINK_ROUTE_PROTOCOL : RTPROT_STATIC,
        .rtm_scope = route->index == 0 || route->via != NULL ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
        .rtm_type = route->index == 0 ? RTN_UNREACHABLE : RTN_UNICAST,
        .rtm_flags = route->via != NULL ? RTNH_F_ONLINK : 0};

    request_init(r, type, flags, &info, sizeof info);
    if (route->prefix > 0)
        request_put_address(r, RTA_DST, &route->to);
    if (route->via != NULL)
        request_put_address(r, RTA_GATEWAY, route->via);
    if (route->from != NULL)
        request_put_address(r, RTA_PREFSRC, route->from);
    if (route->index != 0)
        request_put_u32(r, RTA_OIF, (uint32_t)route->index);
    if (route->metric != 0)
        request_put_u32(r, RTA_PRIORITY, route->metric);
}

int link_add_route(int sock, const struct link_route *route)
{
    struct request r;

    describe_route(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route);
    return transact(sock, &r);
}

int link_delete_route(int sock, const struct link_route *route)
{
    struct request r;

    describe_route(&r, RTM_DELROUTE, 0, route);
    return transact(sock, &r);
}

static void see_route(const struct nlmsghdr *message,
                      void (*each)(const struct link_seen *, void *), void *data)
{
    const struct rtmsg *info = NLMSG_DATA(message);
    struct link_seen seen = {.to.family = info->rtm_family,
                             .prefix = info->rtm_dst_len,
                             .type = info->rtm_type,
                             .protocol = info->rtm_protocol};
    size_t left = RTM_PAYLOAD(message);

    for (const struct rtattr *a = RTM_RTA(info); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        size_t len = RTA_PAYLOAD(a);

        if (a->rta_type == RTA_DST && len <= sizeof seen.to.bytes)
            memcpy(seen.to.bytes, RTA_DATA(a), len);
        else if (a->rta_type == RTA_PRIORITY && len == sizeof seen.metric)
            memcpy(&seen.metric, RTA_DATA(a), len);
        else if (a->rta_type == RTA_OIF && len == sizeof seen.index)
            memcpy(&seen.index, RTA_DATA(a), len);
    }
    each(&seen, data);
}

int link_each_route(int sock, int family, void (*each)(const struct link_seen *route, void *data),
                    void *data)
{
    static union {
        struct nlmsghdr head;
        char bytes[ANSWER_BYTES];
    } part;
    const struct rtmsg info = {.rtm_family = (unsigned char)family};
    struct request r;

    request_init(&r, RTM_GETROUTE, NLM_F_DUMP, &info, sizeof info);
    if (send(sock, &r, r.head.nlmsg_len, 0) < 0)
        return -1;
    for (;;) {
        ssize_t n = receive(sock, &part, sizeof part);

        if (n < 0)
            return -1;
        for (const struct nlmsghdr *m = &part.head; NLMSG_OK(m, n); m = NLMSG_NEXT(m, n)) {
            if (m->nlmsg_type == NLMSG_DONE)
                return 0;
            if (m->nlmsg_type == NLMSG_ERROR) {
                errno = -((const struct nlmsgerr *)NLMSG_DATA(m))->error;
                return -1;
            }
            if (m->nlmsg_type == RTM_NEWROUTE && m->nlmsg_len >= NLMSG_LENGTH(sizeof info))
                see_route(m, each, data);
        }
    }
}

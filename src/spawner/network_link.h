/* network_link: links, addresses and routes of sandboxes, asked of the kernel over rtnetlink. */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nlmsghdr;

#define LINK_INSIDE "eth0" /* what a sandbox calls its end */

/* An IPv4 (family AF_INET, 4 bytes) or IPv6 (AF_INET6, 16 bytes) address in network order. */
struct link_address {
    int family;
    unsigned char bytes[16];
};

struct link_route {
    struct link_address to;
    unsigned char prefix;            /* bits of `to` that count; 0: the default route */
    const struct link_address *via;  /* gateway on the link, NULL: none */
    const struct link_address *from; /* preferred source, NULL: the kernel's choice */
    int index;                       /* of the link, 0 for an unreachable route */
    uint32_t metric;
};

/* Routes that only reserve: nothing is reached through them, and the protocol says that they are
 * ours (a number that iproute2 gives to nobody). */
#define LINK_ROUTE_PROTOCOL 209

/* A socket for requests in the network namespace that the caller is in, or -1 with errno. */
int link_socket(void);

/* All of these wait for the kernel's answer and return 0 or -1 with errno. */

/* Makes a pair: the host end `name` in group `group`, and eth0 in the other namespace.  Neither is
 * up.  They need no address resolution: both have the same hardware address and do not ask. */
int link_create_pair(int sock, const char *name, int netns, uint32_t group, uint32_t mtu);
/* Switches a link on.  It makes no IPv6 address up by itself. */
int link_set_up(int sock, int index);
int link_add_address(int sock, int index, const struct link_address *address);
int link_add_route(int sock, const struct link_route *route);
int link_delete_route(int sock, const struct link_route *route);
int link_delete(int sock, const char *name);
/* Deletes all links of a group and with them their other ends; no link is no error. */
int link_delete_group(int sock, uint32_t group);

/* One route that exists. */
struct link_seen {
    struct link_address to;
    unsigned char prefix;
    unsigned char type;     /* RTN_UNICAST and so on */
    unsigned char protocol; /* LINK_ROUTE_PROTOCOL: ours */
    uint32_t metric;
    int index;
};
/* Calls each() for every route of a family, in all tables. */
int link_each_route(int sock, int family, void (*each)(const struct link_seen *route, void *data),
                    void *data);

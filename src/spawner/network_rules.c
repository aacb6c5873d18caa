/* network_rules: what a sandbox with a network may reach, and how much.
 *
 * Runs in the network process; a pure function.  Fixed text, numbers, and addresses that came out
 * of inet_pton(3); no other string may ever become part of it.
 *
 * Theory of operation.  Every packet of a sandbox enters the host through a link of ours and passes
 *
 *   prerouting   the source is the sandbox's own; a new connection goes where it may (before
 *                anybody else rewrites the destination)
 *   input        nothing on the host but a name server that the operator has named
 *   forward      not to another sandbox; again, where it may, after rewriting; rates and counts
 *   postrouting  gets the host's address
 *
 * and what comes back passes forward or output, where only answers get through.  Our `accept` ends
 * our chain only: a firewall of the host that drops still drops.  What cannot be counted (a full
 * set) is refused: each limit accepts what is within, and the next rule refuses the rest. */
#include "spawner/network_rules.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"

/* New connections of one sandbox: a page with its pictures at once, a package installation for
 * long, no scan of a network. */
#define OPENED_PER_S 40
#define OPENED_BURST 200
/* Of all sandboxes together.  The kernel remembers a closed connection for two minutes, and half of
 * its usual table of 262144 is the host's. */
#define TOTAL_PER_S 1000
#define TOTAL_BURST 4000
#define RESERVE_KB  128    /* beyond a second's worth; the kernel hands packets over by up to 64 */
#define LINKS_MOST  131072 /* that came and went within a minute, and have a meter each */

/* Everything that is not the Internet, and what carries an IPv4 address of that kind inside: mapped
 * and compatible addresses, NAT64, 6to4, Teredo.  168.63.129.16 is a host's door to its cloud. */
static const char refused_ipv4[] =
    "0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 168.63.129.16, 169.254.0.0/16, "
    "172.16.0.0/12, 192.0.0.0/24, 192.88.99.0/24, 192.168.0.0/16, 198.18.0.0/15, 224.0.0.0/3";
static const char refused_ipv6[] = "::/96, ::ffff:0:0/96, ::ffff:0:0:0/96, 64:ff9b::/96, "
                                   "64:ff9b:1::/48, 100::/64, 2001::/32, 2002::/16, fc00::/7, "
                                   "fe80::/9, ff00::/8";

const char network_rules_guard[] = "add table " NETWORK_GUARD "\n"
                                   "delete table " NETWORK_GUARD "\n"
                                   "table " NETWORK_GUARD " {\n"
                                   "  chain forward {\n"
                                   "    type filter hook forward priority filter; policy drop;\n"
                                   "    iifname \"" NETWORK_PREFIX "*\" accept\n"
                                   "    oifname \"" NETWORK_PREFIX "*\" accept\n"
                                   "  }\n"
                                   "}\n";

struct text {
    char *bytes;
    size_t len;
    bool is_full;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *t, const char *format, ...)
{
    size_t room = NETWORK_RULES_BYTES - t->len;
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(t->bytes + t->len, room, format, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= room)
        t->is_full = true;
    else
        t->len += (size_t)n;
}

static void add_range(struct text *t, const struct network_range *range)
{
    char address[INET6_ADDRSTRLEN];

    if (inet_ntop(range->base.family, range->base.bytes, address, sizeof address) == NULL)
        t->is_full = true;
    else
        add(t, "%s/%u, ", address, range->prefix);
}

/* An empty set has no line of elements. */
static void add_set(struct text *t, const char *name, int family, const struct network_range *all,
                    uint32_t count)
{
    bool is_open = false;

    add(t, "  set %s { type %s; flags interval; auto-merge;", name,
        family == AF_INET ? "ipv4_addr" : "ipv6_addr");
    for (uint32_t i = 0; i < count; i++) {
        if (all[i].base.family != family)
            continue;
        add(t, "%s", is_open ? "" : " elements = { ");
        is_open = true;
        add_range(t, &all[i]);
    }
    add(t, "%s }\n", is_open ? "}" : "");
}

static void add_sets(struct text *t, const struct network_plan *plan)
{
    add_set(t, "dns4", AF_INET, plan->dns, plan->ndns);
    add_set(t, "dns6", AF_INET6, plan->dns, plan->ndns);
    add_set(t, "allowed4", AF_INET, plan->allowed, plan->nallowed);
    add_set(t, "allowed6", AF_INET6, plan->allowed, plan->nallowed);
    add(t, "  set refused4 { type ipv4_addr; flags interval; elements = { %s } }\n", refused_ipv4);
    add(t, "  set refused6 { type ipv6_addr; flags interval; elements = { %s } }\n", refused_ipv6);
    /* The kernel gives no number of a link twice, so a meter never counts two sandboxes. */
    for (int i = 0; i < 3; i++)
        add(t, "  set %s { type iface_index; size %u; flags dynamic,timeout; timeout 1m; }\n",
            (const char *const[]){"sent", "received", "opened"}[i], LINKS_MOST);
    add(t, "  set connections { type iface_index; size %u; flags dynamic; }\n", LINKS_MOST);
}

/* Chains that others go to.  None of them falls off its end into the policy of its base chain,
 * except `destination`, which returns for what may be reached. */
static void add_decisions(struct text *t, const struct network_plan *plan)
{
    add(t, "  chain refuse {\n"
           "    meta l4proto tcp reject with tcp reset\n"
           "    reject with icmpx type admin-prohibited\n"
           "    drop\n"
           "  }\n"
           "  chain destination {\n"
           "    meta l4proto { tcp, udp } th dport 53 ip daddr @dns4 return\n"
           "    meta l4proto { tcp, udp } th dport 53 ip6 daddr @dns6 return\n"
           "    fib daddr type != unicast goto refuse\n"
           "    meta l4proto != { tcp, udp, icmp, ipv6-icmp } goto refuse\n"
           "    ip daddr @allowed4 return\n"
           "    ip6 daddr @allowed6 return\n"
           "    ip daddr @refused4 goto refuse\n"
           "    ip6 daddr @refused6 goto refuse\n"
           "    tcp dport 25 goto refuse\n"
           "  }\n");
    if (plan->connections > 0)
        add(t,
            "  chain opening {\n"
            "    add @connections { iif ct count %u } accept\n"
            "    goto refuse\n"
            "  }\n",
            plan->connections);
    else
        add(t, "  chain opening { accept; }\n");
    add(t,
        "  chain sending {\n"
        "    ct state established accept\n"
        "    ct state related meta l4proto { icmp, ipv6-icmp } accept\n"
        "    ct state != new drop\n"
        "    jump destination\n"
        "    limit rate over %u/second burst %u packets goto refuse\n"
        "    update @opened { iif limit rate %u/second burst %u packets } goto opening\n"
        "    goto refuse\n"
        "  }\n",
        TOTAL_PER_S, TOTAL_BURST, OPENED_PER_S, OPENED_BURST);
}

/* A link's rate, as the condition of a rule; nothing when there is none. */
static void add_metered(struct text *t, const struct network_plan *plan, const char *set,
                        const char *key, const char *verdict)
{
    if (plan->rate_kb > 0)
        add(t, "    update @%s { %s limit rate %u kbytes/second burst %u kbytes } %s\n    drop\n",
            set, key, plan->rate_kb, RESERVE_KB, verdict);
    else
        add(t, "    %s\n", verdict);
}

static void add_own_source(struct text *t, const struct network_plan *plan)
{
    char ipv4[INET_ADDRSTRLEN], ipv6[INET6_ADDRSTRLEN];
    struct link_address base4 = network_ipv4(plan, 0), base6 = network_ipv6(plan, 0);

    if (inet_ntop(AF_INET, base4.bytes, ipv4, sizeof ipv4) == NULL ||
        inet_ntop(AF_INET6, base6.bytes, ipv6, sizeof ipv6) == NULL) {
        t->is_full = true;
        return;
    }
    add(t, "    ip saddr != %s/%u drop\n", ipv4, NETWORK_POOL_PREFIX);
    if (plan->has_ipv6)
        add(t, "    ip6 saddr != %s/64 drop\n", ipv6);
    else
        add(t, "    meta nfproto ipv6 drop\n");
}

static void add_ways_out(struct text *t, const struct network_plan *plan)
{
    add(t,
        "  chain entering {\n"
        "    fib saddr . iif oif missing drop\n"
        "    ct state established,related accept\n"
        "    jump destination\n"
        "    accept\n"
        "  }\n"
        "  chain prerouting {\n"
        "    type filter hook prerouting priority mangle; policy accept;\n"
        "    iifname \"%s*\" goto entering\n"
        "  }\n",
        plan->links);
    add(t, "  chain metered {\n");
    add_metered(t, plan, "sent", "iif", "goto sending");
    add(t, "  }\n"
           "  chain asking {\n");
    add_own_source(t, plan);
    add(t,
        "    meta l4proto { tcp, udp } th dport 53 ip daddr @dns4 goto metered\n"
        "    meta l4proto { tcp, udp } th dport 53 ip6 daddr @dns6 goto metered\n"
        "    goto refuse\n"
        "  }\n"
        "  chain input {\n"
        "    type filter hook input priority filter; policy accept;\n"
        "    iifname \"%s*\" goto asking\n"
        "  }\n"
        "  chain outgoing {\n"
        "    oifname \"" NETWORK_PREFIX "*\" goto refuse\n",
        plan->links);
    add_own_source(t, plan);
    add(t, "    tcp flags syn / syn,rst tcp option maxseg size set rt mtu\n"
           "    goto metered\n"
           "  }\n");
}

static void add_ways_in(struct text *t, const struct network_plan *plan)
{
    add(t, "  chain incoming {\n"
           "    ct state != { established, related } drop\n"
           "    ct state related meta l4proto != { icmp, ipv6-icmp } drop\n");
    add_metered(t, plan, "received", "oif", "accept");
    add(t,
        "  }\n"
        "  chain forward {\n"
        "    type filter hook forward priority filter; policy accept;\n"
        "    iifname \"%s*\" goto outgoing\n"
        "    oifname \"%s*\" goto incoming\n"
        "  }\n"
        "  chain answering {\n"
        "    ct state established,related accept\n"
        "    icmp type { destination-unreachable, time-exceeded, parameter-problem } accept\n"
        "    icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, "
        "parameter-problem } accept\n"
        "    drop\n"
        "  }\n"
        "  chain output {\n"
        "    type filter hook output priority filter; policy accept;\n"
        "    oifname \"%s*\" goto answering\n"
        "  }\n",
        plan->links, plan->links, plan->links);
}

static void add_translation(struct text *t, const struct network_plan *plan)
{
    char ipv4[INET_ADDRSTRLEN], ipv6[INET6_ADDRSTRLEN];
    struct link_address base4 = network_ipv4(plan, 0), base6 = network_ipv6(plan, 0);

    if (inet_ntop(AF_INET, base4.bytes, ipv4, sizeof ipv4) == NULL ||
        inet_ntop(AF_INET6, base6.bytes, ipv6, sizeof ipv6) == NULL) {
        t->is_full = true;
        return;
    }
    add(t,
        "  chain postrouting {\n"
        "    type nat hook postrouting priority srcnat; policy accept;\n"
        "    ip saddr %s/%u oifname != \"" NETWORK_PREFIX "*\" masquerade\n"
        "    ip6 saddr %s/64 oifname != \"" NETWORK_PREFIX "*\" masquerade\n"
        "  }\n",
        ipv4, NETWORK_POOL_PREFIX, ipv6);
}

int network_rules_write(const struct network_plan *plan, char out[static NETWORK_RULES_BYTES])
{
    struct text t = {.bytes = out};

    add(&t, "add table inet %s\ndelete table inet %s\ntable inet %s {\n", plan->table, plan->table,
        plan->table);
    add_sets(&t, plan);
    add_decisions(&t, plan);
    add_ways_out(&t, plan);
    add_ways_in(&t, plan);
    add_translation(&t, plan);
    add(&t, "}\n");
    return t.is_full ? -1 : 0;
}

int network_rules_write_api(const struct network_plan *plan, char out[static NETWORK_RULES_BYTES])
{
    struct text t = {.bytes = out};

    add(&t, "add table inet %s_api\ndelete table inet %s_api\ntable inet %s_api {\n", plan->table,
        plan->table, plan->table);
    add(&t, "  chain output {\n"
            "    type filter hook output priority filter; policy accept;\n");
    for (uint32_t i = 0; i < plan->nports; i++)
        add(&t, "    meta skuid %u-%u fib daddr type local tcp dport %u reject with tcp reset\n",
            SPAWN_UID_NEST, SPAWN_UID_NEST + LIMIT_NESTS * SPAWN_UID_COUNT - 1, plan->ports[i]);
    add(&t, "  }\n}\n");
    return t.is_full ? -1 : 0;
}

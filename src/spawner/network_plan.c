/* network_plan: what an instance calls and where it puts its network.
 *
 * Runs in the spawner (the configuration) and in the network process (the routes).  It trusts the
 * kernel, and the configuration only as far as inet_pton(3) does: strings go no further than here.
 * Everything follows from the instance's name, so that the next start finds what this one left. */
#include "spawner/network_plan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

#define INSTANCE     "dunlin-"
#define HASH_DIGITS  16
#define ROUTE_WIDE   8 /* bits; a route to more than that is a way out, not a network */
#define MTU_DEFAULT  1500
#define MTU_LEAST    1280 /* what IPv6 demands */
#define FORWARDING_6 "/proc/sys/net/ipv6/conf/all/forwarding"

/* Ranges that nobody has on the Internet, in the order in which we like them: 198.18.0.0/15 is for
 * measuring networks and hardly ever in use; in 100.64.0.0/11 are providers that translate; some
 * containers have parts of 10.88.0.0/14. */
static const struct {
    uint32_t base;
    uint32_t count; /* of NETWORK_POOL_PREFIX */
} ranges[] = {{0xc6120000, 8}, {0x64400000, 128}, {0x0a580000, 16}};
#define RANGES (8 + 128 + 16)

int network_range_parse(const char *text, struct network_range *ret)
{
    char address[SPAWN_CIDR];
    const char *slash = strchr(text, '/');
    size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
    unsigned long most, bits;
    char *end;

    if (len >= sizeof address)
        return -1;
    memcpy(address, text, len);
    address[len] = '\0';
    *ret = (struct network_range){.base.family = strchr(address, ':') ? AF_INET6 : AF_INET};
    if (inet_pton(ret->base.family, address, ret->base.bytes) != 1)
        return -1;
    most = ret->base.family == AF_INET ? 32 : 128;
    bits = most;
    if (slash != NULL) {
        if (slash[1] < '0' || slash[1] > '9')
            return -1;
        bits = strtoul(slash + 1, &end, 10);
        if (*end != '\0' || bits > most)
            return -1;
    }
    ret->prefix = (unsigned char)bits;
    return 0;
}

static int read_addresses(struct network_plan *plan, const struct spawn_config *c, struct err *e)
{
    if (c->ndns > SPAWN_DNS || c->nallowed > SPAWN_ALLOWED)
        return err_set(e, ERR_INVALID, 0, "network: more addresses than there is room for");
    for (uint32_t i = 0; i < c->ndns; i++) {
        struct network_range *dns = &plan->dns[plan->ndns];

        if (memchr(c->dns[i], 0, SPAWN_ADDRESS) == NULL || strchr(c->dns[i], '/') != NULL ||
            network_range_parse(c->dns[i], dns) < 0)
            return err_set(e, ERR_INVALID, 0, "network: %.*s is not the address of a name server",
                           SPAWN_ADDRESS - 1, c->dns[i]);
        plan->ndns++;
    }
    for (uint32_t i = 0; i < c->nallowed; i++) {
        struct network_range *allowed = &plan->allowed[plan->nallowed];

        if (memchr(c->allowed[i], 0, SPAWN_CIDR) == NULL ||
            network_range_parse(c->allowed[i], allowed) < 0)
            return err_set(e, ERR_INVALID, 0, "network: %.*s is not a network like 10.1.0.0/16",
                           SPAWN_CIDR - 1, c->allowed[i]);
        plan->nallowed++;
    }
    for (uint32_t i = 0; i < SPAWN_PORTS; i++)
        if (c->ports[i] > 0 && c->ports[i] <= UINT16_MAX)
            plan->ports[plan->nports++] = c->ports[i];
    return 0;
}

int network_plan_init(struct network_plan *plan, const struct spawn_config *config,
                      const char *instance, struct err *e)
{
    uint64_t hash;
    char *end = NULL;

    *plan = (struct network_plan){.connections = config->connections, .rate_kb = config->rate_kb};
    if (strncmp(instance, INSTANCE, strlen(INSTANCE)) != 0 ||
        strspn(instance + strlen(INSTANCE), "0123456789abcdef") != HASH_DIGITS)
        return err_set(e, ERR_INVALID, 0, "network: %.40s names no instance", instance);
    hash = strtoull(instance + strlen(INSTANCE), &end, 16);
    if (*end != '\0')
        return err_set(e, ERR_INVALID, 0, "network: %.40s names no instance", instance);
    snprintf(plan->table, sizeof plan->table, "dunlin_%016llx", (unsigned long long)hash);
    snprintf(plan->links, sizeof plan->links, NETWORK_PREFIX "%06x",
             (unsigned)(hash >> 40) & 0xffffffu);
    plan->tag = (uint32_t)hash | 0x80000000u; /* apart from the small numbers that people choose */
    plan->pool_ula = 0xfd00000000000000u | (hash & 0xffffffffffu) << 16; /* RFC 4193: 40 bits */
    return read_addresses(plan, config, e);
}

struct link_address network_ipv4(const struct network_plan *plan, uint32_t number)
{
    struct link_address a = {.family = AF_INET};
    uint32_t address = htonl(plan->pool | number);

    memcpy(a.bytes, &address, sizeof address);
    return a;
}

struct link_address network_ipv6(const struct network_plan *plan, uint32_t number)
{
    struct link_address a = {.family = AF_INET6};

    for (int i = 0; i < 8; i++)
        a.bytes[i] = (unsigned char)(plan->pool_ula >> (56 - 8 * i));
    number = htonl(number);
    memcpy(a.bytes + 12, &number, sizeof number);
    return a;
}

/* -- the host's routes */

struct survey {
    uint32_t tag;
    bool used[RANGES];
    bool has_default_ipv6;
    int way_out; /* index of the link of the IPv4 default route, 0: none */
    uint32_t way_out_metric;
};

static uint32_t range_base(uint32_t number)
{
    size_t i = 0;

    for (; number >= ranges[i].count; i++)
        number -= ranges[i].count;
    return ranges[i].base + (number << (32 - NETWORK_POOL_PREFIX));
}

static void mark_used(struct survey *survey, const struct link_address *to, unsigned prefix)
{
    uint32_t first, mask;

    if (prefix < ROUTE_WIDE)
        return;
    if (prefix > NETWORK_POOL_PREFIX)
        prefix = NETWORK_POOL_PREFIX;
    mask = ~0u << (32 - prefix);
    memcpy(&first, to->bytes, sizeof first);
    first = ntohl(first) & mask;
    for (uint32_t i = 0; i < RANGES; i++)
        if ((range_base(i) & mask) == first)
            survey->used[i] = true;
}

static void see_ipv4(const struct link_seen *route, void *data)
{
    struct survey *survey = data;

    if (route->protocol == LINK_ROUTE_PROTOCOL && route->metric == survey->tag)
        return;
    if (route->prefix > 0)
        mark_used(survey, &route->to, route->prefix);
    else if (route->type == RTN_UNICAST &&
             (survey->way_out == 0 || route->metric < survey->way_out_metric)) {
        survey->way_out = route->index;
        survey->way_out_metric = route->metric;
    }
}

static void see_ipv6(const struct link_seen *route, void *data)
{
    struct survey *survey = data;

    if (route->prefix == 0 && route->type == RTN_UNICAST)
        survey->has_default_ipv6 = true;
}

static uint32_t mtu_of(int index)
{
    _cleanup_fd_ int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq r = {.ifr_ifindex = index};

    if (sock < 0 || index == 0 || ioctl(sock, SIOCGIFNAME, &r) < 0 ||
        ioctl(sock, SIOCGIFMTU, &r) < 0)
        return MTU_DEFAULT;
    if (r.ifr_mtu > MTU_DEFAULT)
        return MTU_DEFAULT;
    return r.ifr_mtu < MTU_LEAST ? MTU_LEAST : (uint32_t)r.ifr_mtu;
}

static bool is_on(const char *path)
{
    _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    char digit = '0';

    return fd >= 0 && read(fd, &digit, 1) == 1 && digit != '0';
}

int network_plan_settle(struct network_plan *plan, int sock)
{
    struct survey survey = {.tag = plan->tag};

    if (link_each_route(sock, AF_INET, see_ipv4, &survey) < 0)
        return -1;
    for (uint32_t i = 0; i < plan->ndns; i++)
        if (plan->dns[i].base.family == AF_INET)
            mark_used(&survey, &plan->dns[i].base, plan->dns[i].prefix);
    for (uint32_t i = 0; i < plan->nallowed; i++)
        if (plan->allowed[i].base.family == AF_INET)
            mark_used(&survey, &plan->allowed[i].base, plan->allowed[i].prefix);
    /* The instance's own place in the list of favourites, else the next ones: two instances that
     * start at the same moment rarely want the same. */
    plan->has_pool = false;
    for (uint32_t i = 0; i < RANGES && !plan->has_pool; i++) {
        uint32_t number = i < ranges[0].count ? (plan->tag + i) % ranges[0].count : i;

        plan->has_pool = !survey.used[number];
        plan->pool = range_base(number);
    }
    /* A kernel without IPv6 answers with what it has, or not at all. */
    if (link_each_route(sock, AF_INET6, see_ipv6, &survey) < 0 && errno != EOPNOTSUPP &&
        errno != EAFNOSUPPORT)
        return -1;
    plan->has_ipv6 = survey.has_default_ipv6 && is_on(FORWARDING_6);
    plan->mtu = mtu_of(survey.way_out);
    return 0;
}

/* launch_config: settings as the numbers and addresses that the spawner works with.
 *
 * Runs as root, in the operator's process, before any client exists.  Trusts the settings, which
 * have been checked, and the host's resolv.conf. */
#include "engine/launch_config.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/settings.h"
#include "engine/launch.h"

#define SPARE_SLOTS 32 /* sandboxes that are being taken apart */
#define NEST_SLOTS  4  /* of each environment in use, beside those that run */
/* Descriptors of the server: of connections at most half of all (http/server.c), its own, of each
 * run, and of each live session: two of its sandbox, two of an interpreter kept ready, and of what
 * runs in it. */
#define HTTP_FDS        (2 * LIMIT_HTTP_CONNECTIONS)
#define SERVER_FDS      256
#define RUN_FDS         4
#define SESSION_FDS     8
#define RESOLV_CONF_MAX 8192 /* bytes of it that are read: its meaningful lines are few */

static uint32_t megabytes(int64_t bytes)
{
    return (uint32_t)((bytes + (1 << 20) - 1) >> 20);
}

uint32_t launch_slots(const struct settings *s)
{
    int64_t slots = s->concurrent_limit + 3 * s->pool_max + SPARE_SLOTS +
                    NEST_SLOTS * s->environments_warm + s->build_concurrency +
                    s->session_live_limit;

    return slots < LIMIT_SLOTS ? (uint32_t)slots : LIMIT_SLOTS;
}

/* What is left for sessions, `each` of them. */
static uint64_t room(uint64_t files, uint64_t others, uint64_t each)
{
    return files > others ? (files - others) / each : 0;
}

uint32_t launch_live_sessions(const struct settings *s, uint64_t files)
{
    uint64_t wanted = (uint64_t)s->session_live_limit;
    uint64_t slots = launch_slots(s), runs = slots > wanted ? slots - wanted : 0;
    uint64_t http = files / 2 < HTTP_FDS ? files / 2 : HTTP_FDS;
    uint64_t in_spawner = room(files, SPAWN_OWN_FDS + runs * SPAWN_SLOT_FDS, SPAWN_SLOT_FDS);
    uint64_t in_server = room(files, http + SERVER_FDS + runs * RUN_FDS, SESSION_FDS);
    uint64_t fit = in_spawner < in_server ? in_spawner : in_server;

    fit = fit < wanted ? fit : wanted;
    return fit > 0 ? (uint32_t)fit : 1;
}

static void fill_limits(const struct settings *s, struct spawn_config *c)
{
    uint32_t all_cpus = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN) * 1000;

    c->defaults = (struct spawn_limits){megabytes(s->memory_limit), (uint32_t)s->cpu_milli,
                                        (uint32_t)s->process_limit, megabytes(s->workspace_limit)};
    c->ceilings = (struct spawn_limits){
        megabytes(s->max_memory), s->max_cpu_milli > 0 ? (uint32_t)s->max_cpu_milli : all_cpus,
        (uint32_t)s->max_processes, megabytes(s->max_workspace)};
    c->build_ceilings =
        (struct spawn_limits){megabytes(s->build_memory),
                              s->build_cpu_milli > 0 ? (uint32_t)s->build_cpu_milli : all_cpus,
                              (uint32_t)s->build_processes, megabytes(s->build_disk)};
    c->build_weight = (uint32_t)s->build_weight;
    c->workspace_bytes_max = (uint64_t)s->session_max_size;
}

/* -- networks ---------------------------------------------------------------------------------- */

/* Whether a sandbox, in a network namespace of its own, can reach this resolver. */
static bool is_reachable(const char *address)
{
    unsigned char bytes[sizeof(struct in6_addr)];

    if (inet_pton(AF_INET, address, bytes) == 1)
        return bytes[0] != 127 && bytes[0] != 0;
    return inet_pton(AF_INET6, address, bytes) == 1 &&
           !IN6_IS_ADDR_LOOPBACK((const struct in6_addr *)bytes) &&
           !IN6_IS_ADDR_LINKLOCAL((const struct in6_addr *)bytes);
}

size_t launch_resolvers(const char *text, char (*out)[SPAWN_ADDRESS])
{
    size_t n = 0;

    for (const char *line = text; *line != '\0' && n < SPAWN_DNS;) {
        char address[SPAWN_ADDRESS];

        if (sscanf(line, "nameserver%*[ \t]%45[^ \t\r\n]", address) == 1 && is_reachable(address))
            memcpy(out[n++], address, sizeof address);
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    return n;
}

static size_t read_resolvers(const char *path, char (*out)[SPAWN_ADDRESS])
{
    char text[RESOLV_CONF_MAX];
    _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;

    if (n < 0)
        return 0;
    text[n] = '\0';
    return launch_resolvers(text, out);
}

/* Copies the parts of a comma-separated list that settings_check() has found good. */
static uint32_t split(const char *list, char *out, size_t size, uint32_t max)
{
    uint32_t n = 0;

    while (*list != '\0' && n < max) {
        size_t len = strcspn(list, ",");

        snprintf(out + n++ * size, size, "%.*s", (int)len, list);
        list += len + (list[len] == ',');
    }
    return n;
}

/* Our own tools use the host's network for what the operator has named, and for nothing when builds
 * have no network at all. */
uint32_t launch_network(const struct settings *s)
{
    if (strcmp(s->build_network, "none") != 0 || s->registries[0] != '\0' ||
        s->registry_mirror[0] != '\0' || s->debian_mirror[0] != '\0')
        return SPAWN_NETWORK_HOST;
    return strcmp(s->max_network, "none") != 0 ? SPAWN_NETWORK_BRIDGE : SPAWN_NETWORK_NONE;
}

static void fill_networks(const struct settings *s, struct spawn_config *c)
{
    c->network = launch_network(s);
    c->ndns = split(s->network_dns, c->dns[0], sizeof c->dns[0], SPAWN_DNS);
    if (c->ndns == 0)
        c->ndns = (uint32_t)read_resolvers("/etc/resolv.conf", c->dns);
    if (c->ndns == 0) /* only a stub on the loopback: ask whom it asks */
        c->ndns = (uint32_t)read_resolvers("/run/systemd/resolve/resolv.conf", c->dns);
    c->nallowed = split(s->network_allow, c->allowed[0], sizeof c->allowed[0], SPAWN_ALLOWED);
    c->connections = (uint32_t)s->network_connections;
    c->rate_kb = (uint32_t)((s->network_rate + 1023) >> 10);
    c->ports[0] = (uint32_t)s->port;
    c->ports[1] = (uint32_t)s->se_port;
}

int launch_config_fill(const struct settings *s, struct spawn_config *c, struct err *e)
{
    fill_limits(s, c);
    fill_networks(s, c);
    c->zygote_forks = (uint32_t)s->zygote_forks;
    c->zygote_minutes = (uint32_t)s->zygote_minutes;
    c->slots = launch_slots(s);
    if (snprintf(c->modules, sizeof c->modules, "%s", s->warm_modules) >= (int)sizeof c->modules)
        return err_set(e, ERR_INVALID, 0, "WARM_MODULES is longer than %zu bytes",
                       sizeof c->modules - 1);
    snprintf(c->work_dir, sizeof c->work_dir, "%s", s->work_dir);
    return 0;
}

/* doctor_network: tries what sandboxes with a network need: links, a packet filter, forwarding,
 * name servers.  Runs in the child of a check; what it makes lies in a network namespace of its
 * own. */
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/doctor_internal.h"
#include "engine/launch_config.h"

#define FORWARDING_4 "/proc/sys/net/ipv4/ip_forward"
#define FORWARDING_6 "/proc/sys/net/ipv6/conf/all/forwarding"
#define WORDS        120

/* Sends the kernel one request and returns the errno of its answer. */
static int ask_kernel(const void *request, size_t len)
{
    _cleanup_fd_ int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct {
        struct nlmsghdr head;
        struct nlmsgerr verdict;
        char rest[512];
    } answer = {0};

    if (sock < 0 || send(sock, request, len, 0) < 0 || recv(sock, &answer, sizeof answer, 0) < 0)
        return errno;
    return answer.head.nlmsg_type == NLMSG_ERROR ? -answer.verdict.error : EPROTO;
}

void doctor_probe_veth(const struct doctor_check *check, struct doctor_finding *f)
{
    /* One link of the kind; the kernel names it and its other end. */
    static const struct {
        struct nlmsghdr head;
        struct ifinfomsg info;
        struct rtattr link, kind;
        char name[4];
    } request = {
        .head = {.nlmsg_len = sizeof request,
                 .nlmsg_type = RTM_NEWLINK,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK},
        .link = {.rta_type = IFLA_LINKINFO, .rta_len = 2 * sizeof(struct rtattr) + 4},
        .kind = {.rta_type = IFLA_INFO_KIND, .rta_len = sizeof(struct rtattr) + 4},
        .name = {'v', 'e', 't', 'h'},
    };
    int error;

    if (unshare(CLONE_NEWNET) < 0) {
        doctor_fail(f, errno, "network namespace");
        return;
    }
    error = ask_kernel(&request, sizeof request);
    if (error != 0)
        doctor_fail(f, error, "make a pair of links");
}

/* What the filter of sandboxes is made of (src/spawner/network_rules.c), each kind once. */
static const char sample[] =
    "table inet dunlin_doctor {\n"
    " set ranges { type ipv4_addr; flags interval; auto-merge; elements = { 10.0.0.0/8 } }\n"
    " set bytes { type iface_index; size 64; flags dynamic,timeout; timeout 1m; }\n"
    " set counts { type iface_index; size 64; flags dynamic; }\n"
    " chain prerouting {\n"
    "  type filter hook prerouting priority mangle; policy accept;\n"
    "  iifname \"x*\" fib saddr . iif oif missing drop\n"
    "  fib daddr type != unicast ip daddr @ranges reject with icmpx type admin-prohibited\n"
    " }\n"
    " chain forward {\n"
    "  type filter hook forward priority filter; policy accept;\n"
    "  tcp flags syn / syn,rst tcp option maxseg size set rt mtu\n"
    "  update @bytes { iif limit rate 1 kbytes/second burst 64 kbytes } accept\n"
    "  ct state new add @counts { iif ct count 8 } accept\n"
    "  limit rate over 8/second meta skuid 1 reject with tcp reset\n"
    " }\n"
    " chain postrouting {\n"
    "  type nat hook postrouting priority srcnat; policy accept;\n"
    "  ip saddr 10.0.0.0/8 masquerade\n"
    " }\n"
    "}\n";

static _Noreturn void become_nft(const char *path, int words)
{
    int rules = memfd_create("rules", MFD_CLOEXEC);

    if (rules < 0 || fd_write_all(rules, sample, strlen(sample), NULL) < 0 ||
        lseek(rules, 0, SEEK_SET) < 0 || dup2(rules, STDIN_FILENO) < 0 ||
        dup2(words, STDOUT_FILENO) < 0 || dup2(words, STDERR_FILENO) < 0)
        _exit(1);
    execl(path, "nft", "-f", "-", NULL);
    _exit(1);
}

static void load_sample(const char *path, struct doctor_finding *f)
{
    _cleanup_fd_ int words = memfd_create("words", MFD_CLOEXEC);
    char line[WORDS] = "";
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        become_nft(path, words);
    if (pid < 0 || waitpid(pid, &status, 0) < 0) {
        doctor_fail(f, errno, "run %s", path);
        return;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        doctor_note(f, "%s", path);
        return;
    }
    if (words >= 0 && pread(words, line, sizeof line - 1, 0) > 0)
        line[strcspn(line, "\n")] = '\0';
    doctor_fail(f, 0, "%s does not load our kind of rules: %s", path, line);
    snprintf(f->fix, sizeof f->fix,
             "modprobe -a nf_tables nft_ct nft_fib_inet nft_limit nft_connlimit nft_masq "
             "nft_reject_inet");
}

void doctor_probe_nftables(const struct doctor_check *check, struct doctor_finding *f)
{
    static const char *const places[] = {"/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft",
                                         "/usr/bin/nft"};

    if (unshare(CLONE_NEWNET) < 0) {
        doctor_fail(f, errno, "network namespace");
        return;
    }
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (access(places[i], X_OK) == 0) {
            load_sample(places[i], f);
            return;
        }
    }
    doctor_fail(f, 0, "nft is not installed");
}

void doctor_probe_forwarding(const struct doctor_check *check, struct doctor_finding *f)
{
    const char *ipv6 = doctor_read_number(FORWARDING_6) == 1
                           ? ""
                           : "; sandboxes get no IPv6 (net.ipv6.conf.all.forwarding is off)";
    _cleanup_fd_ int fd = open(FORWARDING_4, O_WRONLY | O_CLOEXEC);
    int kept = errno;

    if (doctor_read_number(FORWARDING_4) == 1)
        doctor_note(f, "on%s", ipv6);
    else if (fd < 0)
        doctor_fail(f, kept, "net.ipv4.ip_forward is off, and to switch it on");
    else
        doctor_note(f, "off: on while sandboxes have a network, for them only%s", ipv6);
}

/* Appends the name servers of a file that sandboxes can reach. */
static size_t add_resolvers(const char *path, char out[static WORDS])
{
    char text[4096], found[SPAWN_DNS][SPAWN_ADDRESS];
    _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    size_t count = 0;

    if (n < 0)
        return 0;
    text[n] = '\0';
    count = launch_resolvers(text, found);
    for (size_t i = 0; i < count; i++)
        snprintf(out + strlen(out), WORDS - strlen(out), " %s", found[i]);
    return count;
}

void doctor_probe_resolvers(const struct doctor_check *check, struct doctor_finding *f)
{
    char found[WORDS] = "";
    const char *set = getenv("NETWORK_DNS");

    if (set && set[0] != '\0')
        doctor_note(f, "NETWORK_DNS=%.100s", set);
    else if (add_resolvers("/etc/resolv.conf", found) > 0 ||
             add_resolvers("/run/systemd/resolve/resolv.conf", found) > 0)
        doctor_note(f, "%s", found + 1);
    else
        doctor_fail(f, 0, "/etc/resolv.conf names none that a sandbox could reach");
}

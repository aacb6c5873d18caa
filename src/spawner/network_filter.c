/* network_filter: runs nft(8), and decides about forwarding.
 *
 * Runs in the network process, as root with CAP_NET_ADMIN.  It trusts nft and the rules that
 * network_rules.c wrote.  It must never leave forwarding on without the guard where the host did
 * not forward before: the guard is loaded first and removed last. */
#include "spawner/network_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/child.h"
#include "base/fd.h"
#include "spawner/network_rules.h"
#include "spawner/spawner.h"

#define FORWARDING "/proc/sys/net/ipv4/ip_forward"
#define LOCK       "/run/dunlin-network-%llu.lock" /* of one network namespace */
#define LOCK_PATH  64
#define NFT_WAIT_S 10 /* loading takes 20 ms */
#define WORDS      160

static const char *const texts[NETWORK_STEP_COUNT] = {
    [NETWORK_STEP_RIGHTS] = "networks need CAP_NET_ADMIN and CAP_SYS_ADMIN: run dunlin as root of "
                            "the machine, or a container with --privileged",
    [NETWORK_STEP_NETLINK] = "rtnetlink socket",
    [NETWORK_STEP_SWEEP] = "remove the links of an earlier start",
    [NETWORK_STEP_ROUTES] = "read the routes of the host",
    [NETWORK_STEP_POOL] = "every range of addresses for sandboxes is in use on this host "
                          "(198.18.0.0/15, 100.64.0.0/11, 10.88.0.0/14)",
    [NETWORK_STEP_LOCK] = "take the lock in /run that instances with networks share",
    [NETWORK_STEP_NFT_MISSING] = "nft is not installed (apt-get install nftables)",
    [NETWORK_STEP_NFT_REFUSED] = "nft could not load the filter, its words are in the server's log "
                                 "(the kernel needs nf_tables with fib, ct, limit, connlimit, "
                                 "masq and reject: modprobe nf_tables)",
    [NETWORK_STEP_FORWARD] = "switch net.ipv4.ip_forward on (a read-only /proc/sys? then "
                             "sysctl -w net.ipv4.ip_forward=1 on the host)",
    [NETWORK_STEP_RESERVE] = "reserve the addresses of sandboxes by a route",
    [NETWORK_STEP_ENTER] = "enter the sandbox's network namespace",
    [NETWORK_STEP_VETH] = "make a pair of veth links (modprobe veth)",
    [NETWORK_STEP_OUTSIDE] = "set up the host's end of the sandbox's link",
    [NETWORK_STEP_INSIDE] = "set up the sandbox's end of its link",
    [NETWORK_STEP_ADDRESS] = "every address for sandboxes is in use",
    [NETWORK_STEP_GONE] = "the network process ended",
};

const char *network_step_text(enum network_step step)
{
    return step < NETWORK_STEP_COUNT && texts[step] != NULL ? texts[step] : "unknown step";
}

/* -- nft */

static const char *find_nft(void)
{
    static const char *const places[] = {"/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft",
                                         "/usr/bin/nft"};

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (access(places[i], X_OK) == 0)
            return places[i];
    return NULL;
}

/* A file in memory with this text, read from its start. */
static int memory_file(const char *text)
{
    int fd = memfd_create("dunlin-nft", MFD_CLOEXEC);

    if (fd >= 0 && (fd_write_all(fd, text, strlen(text), NULL) < 0 || lseek(fd, 0, SEEK_SET) < 0))
        fd_close(&fd);
    return fd;
}

/* The child between fork and nft.  Safe because: it keeps one capability, in the host's network
 * namespace where its parent already has it, and reads rules that we wrote. */
static _Noreturn void become_nft(const char *path, int rules, int words)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[2] = {
        {.effective = 1u << CAP_NET_ADMIN, .permitted = 1u << CAP_NET_ADMIN}};
    const char *const argv[] = {"nft", "-f", "-", NULL};
    const char *const envp[] = {"LC_ALL=C", NULL};

    alarm(NFT_WAIT_S);
    /* Under no_new_privs root gets no more from execve(2) than it has. */
    if (syscall(SYS_capset, &header, caps) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        dup2(rules, STDIN_FILENO) < 0 || dup2(words, STDOUT_FILENO) < 0 ||
        dup2(words, STDERR_FILENO) < 0)
        _exit(1);
    execve(path, (char *const *)argv, (char *const *)envp);
    _exit(1);
}

/* Logs the first line of what nft said. */
static void say_words(int words)
{
    char line[WORDS + 1];
    ssize_t n = pread(words, line, WORDS, 0);

    if (n <= 0)
        return;
    line[n] = '\0';
    line[strcspn(line, "\n")] = '\0';
    spawner_say("nft: %s", line);
}

/* Gives nft these rules.  0, or -1 with errno (0: it did not take them). */
static int nft(const char *rules, bool is_quiet)
{
    _cleanup_fd_ int in = memory_file(rules);
    _cleanup_fd_ int words = memfd_create("dunlin-nft-words", MFD_CLOEXEC);
    const char *path = find_nft();
    int status = 0;
    pid_t pid;

    if (path == NULL)
        errno = ENOENT;
    if (path == NULL || in < 0 || words < 0)
        return -1;
    pid = fork();
    if (pid < 0)
        return -1;
    if (pid == 0)
        become_nft(path, in, words);
    status = child_reap(pid);
    if (status == 0)
        return 0;
    if (!is_quiet)
        say_words(words);
    errno = 0;
    return -1;
}

static enum network_step nft_step(void)
{
    return errno == ENOENT ? NETWORK_STEP_NFT_MISSING : NETWORK_STEP_NFT_REFUSED;
}

/* -- forwarding */

/* The value, or -1. */
static int forwarding(void)
{
    _cleanup_fd_ int fd = open(FORWARDING, O_RDONLY | O_CLOEXEC);
    char digit;

    return fd >= 0 && read(fd, &digit, 1) == 1 ? digit - '0' : -1;
}

static int set_forwarding(const char *value)
{
    _cleanup_fd_ int fd = open(FORWARDING, O_WRONLY | O_CLOEXEC);

    return fd >= 0 && write(fd, value, 1) == 1 ? 0 : -1;
}

/* Safe because: packets are forwarded for sandboxes only, whose rules are loaded; the guard, which
 * stands before forwarding begins, drops everybody else's. */
static enum network_step begin_forwarding(void)
{
    if (forwarding() == 1)
        return NETWORK_STEP_NONE;
    if (nft(network_rules_guard, false) < 0)
        return nft_step();
    if (set_forwarding("1") < 0)
        return NETWORK_STEP_FORWARD;
    spawner_say("networks: net.ipv4.ip_forward is now 1, and only traffic of sandboxes is forwarded"
                " (set it yourself to have this host forward for others too)");
    return NETWORK_STEP_NONE;
}

/* Only what an instance began: the guard tells. */
static void end_forwarding(void)
{
    if (nft("list table " NETWORK_GUARD "\n", true) < 0)
        return;
    if (forwarding() == 0 || set_forwarding("0") == 0)
        nft("delete table " NETWORK_GUARD "\n", true);
}

/* -- the whole */

static int name_lock(char path[static LOCK_PATH])
{
    struct stat own;

    if (stat("/proc/self/ns/net", &own) < 0)
        return -1;
    snprintf(path, LOCK_PATH, LOCK, (unsigned long long)own.st_ino);
    return 0;
}

/* Shared by all instances that have a network: whoever gets it alone is the last one, and removes
 * the file.  A file that was removed meanwhile is no lock any more. */
static int take_lock(void)
{
    char path[LOCK_PATH];
    struct stat held, named;

    if (name_lock(path) < 0)
        return -1;
    for (;;) {
        _cleanup_fd_ int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

        if (fd < 0 || flock(fd, LOCK_SH) < 0 || fstat(fd, &held) < 0)
            return -1;
        if (stat(path, &named) == 0 && named.st_ino == held.st_ino && named.st_dev == held.st_dev)
            return fd_steal(&fd);
    }
}

enum network_step network_filter_load(const struct network_plan *plan, int *ret_lock)
{
    static char rules[NETWORK_RULES_BYTES];

    *ret_lock = take_lock();
    if (*ret_lock < 0)
        return NETWORK_STEP_LOCK;
    errno = 0;
    if (network_rules_write(plan, rules) < 0)
        return NETWORK_STEP_NFT_REFUSED;
    if (nft(rules, false) < 0)
        return nft_step();
    return begin_forwarding();
}

enum network_step network_filter_load_api(const struct network_plan *plan)
{
    static char rules[NETWORK_RULES_BYTES];

    errno = 0;
    if (network_rules_write_api(plan, rules) < 0)
        return NETWORK_STEP_NFT_REFUSED;
    return nft(rules, false) < 0 ? nft_step() : NETWORK_STEP_NONE;
}

void network_filter_unload_api(const struct network_plan *plan)
{
    char rules[128];

    snprintf(rules, sizeof rules, "add table inet %s_api\ndelete table inet %s_api\n", plan->table,
             plan->table);
    nft(rules, true);
}

void network_filter_unload(const struct network_plan *plan, int *lock)
{
    char rules[128], path[LOCK_PATH];

    snprintf(rules, sizeof rules, "add table inet %s\ndelete table inet %s\n", plan->table,
             plan->table);
    nft(rules, true);
    if (*lock < 0)
        *lock = take_lock();
    if (*lock >= 0 && flock(*lock, LOCK_EX | LOCK_NB) == 0 && name_lock(path) == 0) {
        end_forwarding();
        unlink(path);
    }
    fd_close(lock);
}

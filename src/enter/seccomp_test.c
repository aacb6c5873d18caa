/* Tests of the compiled seccomp programs, each question asked in a process that has loaded them as
 * a cold run, a warm run, a zygote, a build or a tool has.
 *
 * usage: seccomp_test RUN.bpf ZYGOTE.bpf CHILD.bpf BUILD.bpf TOOL.bpf */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test_support.h"

enum { INSTRUCTIONS_MAX = 4096, BROKEN = 255 };
enum { RUN, ZYGOTE, CHILD, BUILD, TOOL, PROGRAMS };

static struct sock_filter code[PROGRAMS][INSTRUCTIONS_MAX];
static struct sock_fprog programs[PROGRAMS];

/* Which programs a process has loaded. */
#define IN_COLD   (1u << RUN)
#define IN_WARM   (1u << ZYGOTE | 1u << CHILD)
#define IN_ZYGOTE (1u << ZYGOTE)
#define IN_BUILD  (1u << BUILD)
#define IN_TOOL   (1u << TOOL)

static void load(int i, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, code[i], sizeof code[i]);

    if (n <= 0 || n % (ssize_t)sizeof code[i][0] != 0)
        abort();
    programs[i] = (struct sock_fprog){(unsigned short)(n / (ssize_t)sizeof code[i][0]), code[i]};
    close(fd);
}

static void lock_in(unsigned where)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        _exit(BROKEN);
    for (int i = 0; i < PROGRAMS; i++) {
        if ((where & 1u << i) != 0 &&
            syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &programs[i]) < 0)
            _exit(BROKEN);
    }
}

/* The errno of a call, 0 if the kernel did it. */
static int ask(unsigned where, long number, const long *args)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        pid_t self = getpid();
        long r;

        lock_in(where);
        r = syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
        /* A child that the call made says nothing. */
        _exit(getpid() != self || r >= 0 ? 0 : errno);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_not_equal(WEXITSTATUS(status), BROKEN);
    return WEXITSTATUS(status);
}

/* The answer to a run, which must not depend on how it was started. */
static int ask_run(long number, const long *args)
{
    int cold = ask(IN_COLD, number, args), warm = ask(IN_WARM, number, args);

    /* A refusal is a refusal. */
    if ((cold == EPERM && warm == ENOSYS) || (cold == ENOSYS && warm == EPERM))
        return cold;
    assert_int_equal(cold, warm);
    return cold;
}

#define ASK(number, ...)        ask_run(number, (const long[6]){__VA_ARGS__})
#define ASK_ZYGOTE(number, ...) ask(IN_ZYGOTE, number, (const long[6]){__VA_ARGS__})
#define ASK_BUILD(number, ...)  ask(IN_BUILD, number, (const long[6]){__VA_ARGS__})
#define ASK_TOOL(number, ...)   ask(IN_TOOL, number, (const long[6]){__VA_ARGS__})

static void processes_and_threads_can_be_made(void **state)
{
    assert_int_equal(ASK(SYS_clone, SIGCHLD), 0);
    assert_int_equal(ASK_ZYGOTE(SYS_clone, SIGCHLD), 0);
}

static void no_namespace_can_be_made(void **state)
{
    static const long flags[] = {CLONE_NEWUSER, CLONE_NEWNS,  CLONE_NEWPID,   CLONE_NEWNET,
                                 CLONE_NEWIPC,  CLONE_NEWUTS, CLONE_NEWCGROUP};

    for (size_t i = 0; i < TEST_COUNT(flags); i++) {
        assert_int_equal(ASK(SYS_clone, flags[i] | SIGCHLD), ENOSYS);
        assert_int_equal(ASK_ZYGOTE(SYS_clone, flags[i] | SIGCHLD), ENOSYS);
    }
    assert_int_equal(ASK(SYS_clone3, 0, 0), ENOSYS);
    assert_int_equal(ASK(SYS_unshare, CLONE_NEWUSER), EPERM);
}

/* A warm run's parent lives outside its pid namespace.  A sibling that the run gave to that parent
 * would not be waited for by init, and its exit status would be read by the nest. */
static void no_child_can_be_given_to_the_parent(void **state)
{
    assert_int_equal(ASK(SYS_clone, CLONE_PARENT | SIGCHLD), ENOSYS);
    assert_int_equal(ASK_ZYGOTE(SYS_clone, CLONE_PARENT | SIGCHLD), 0);
}

static void everyday_sockets_can_be_made(void **state)
{
    static const long sockets[][3] = {
        {AF_UNIX, SOCK_STREAM, 0},
        {AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0},
        {AF_UNIX, SOCK_SEQPACKET, 0},
        {AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0},
        {AF_INET, SOCK_STREAM, IPPROTO_TCP},
        {AF_INET, SOCK_DGRAM, 0},
        {AF_INET, SOCK_DGRAM, IPPROTO_UDP},
        {AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0},
    };

    for (size_t i = 0; i < TEST_COUNT(sockets); i++)
        assert_int_equal(ASK(SYS_socket, sockets[i][0], sockets[i][1], sockets[i][2]), 0);
}

/* Asked of a socket that is there. */
static int ask_option(int where, int fd, long level, long name, const void *value, long len)
{
    return ask((unsigned)where, SYS_setsockopt, (const long[6]){fd, level, name, (long)value, len});
}

static void sockets_can_be_set_up_but_not_to_linger(void **state)
{
    static const int everywhere[] = {IN_COLD, IN_WARM, IN_ZYGOTE, IN_BUILD, IN_TOOL};
    static const long allowed[][2] = {
        {SOL_SOCKET, SO_REUSEADDR}, {SOL_SOCKET, SO_SNDBUF},     {SOL_SOCKET, SO_KEEPALIVE},
        {SOL_SOCKET, SO_REUSEPORT}, {SOL_SOCKET, SO_TIMESTAMP},  {IPPROTO_TCP, TCP_NODELAY},
        {IPPROTO_IP, IP_TOS},       {IPPROTO_TCP, TCP_KEEPIDLE},
    };
    struct linger linger = {.l_onoff = 1, .l_linger = 3600};
    socklen_t len = sizeof linger;
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    for (size_t i = 0; i < TEST_COUNT(everywhere); i++) {
        int where = everywhere[i];

        for (size_t k = 0; k < TEST_COUNT(allowed); k++)
            assert_int_equal(ask_option(where, fd, allowed[k][0], allowed[k][1], &one, sizeof one),
                             0);
        assert_int_equal(ask_option(where, fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
        assert_int_not_equal(
            ask_option(where, fd, SOL_SOCKET, SO_LINGER | 1L << 32, &linger, sizeof linger), 0);
        assert_int_not_equal(
            ask_option(where, fd, SOL_SOCKET | 1L << 32, SO_LINGER, &linger, sizeof linger), 0);
    }
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len), 0);
    assert_int_equal(linger.l_onoff, 0);
    close(fd);
}

/* Each of these is kernel code that no program here needs; some would be loaded as a module at the
 * word of a sandbox. */
static void other_sockets_cannot(void **state)
{
    static const long sockets[][3] = {
        {AF_INET, SOCK_RAW, IPPROTO_ICMP},
        {AF_INET, SOCK_DGRAM, IPPROTO_ICMP},
        {AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP},
        {AF_INET, SOCK_STREAM, IPPROTO_SCTP},
        {AF_INET6, SOCK_STREAM, IPPROTO_SCTP},
        {AF_INET, SOCK_STREAM, 262 /* IPPROTO_MPTCP */},
        {AF_INET, SOCK_STREAM, 256 /* IPPROTO_SMC */},
        {AF_INET, SOCK_DGRAM, 115 /* IPPROTO_L2TP */},
        {AF_INET6, SOCK_DGRAM, IPPROTO_UDPLITE},
        {AF_INET, SOCK_DCCP, IPPROTO_DCCP},
        {AF_PACKET, SOCK_RAW, 0},
        {AF_PACKET, SOCK_DGRAM, 0},
        {AF_NETLINK, SOCK_RAW, 9 /* NETLINK_AUDIT */},
        {AF_NETLINK, SOCK_RAW, 12 /* NETLINK_NETFILTER */},
        {38 /* AF_ALG */, SOCK_SEQPACKET, 0},
        {40 /* AF_VSOCK */, SOCK_STREAM, 0},
        {33 /* AF_RXRPC */, SOCK_DGRAM, AF_INET},
        {44 /* AF_XDP */, SOCK_RAW, 0},
        {43 /* AF_SMC */, SOCK_STREAM, 0},
        {15 /* AF_KEY */, SOCK_RAW, 2},
        {30 /* AF_TIPC */, SOCK_STREAM, 0},
        {29 /* AF_CAN */, SOCK_DGRAM, 0},
    };

    for (size_t i = 0; i < TEST_COUNT(sockets); i++)
        assert_int_equal(ASK(SYS_socket, sockets[i][0], sockets[i][1], sockets[i][2]), ENOSYS);
}

static void bits_that_the_kernel_ignores_do_not_help(void **state)
{
    const long high = 1l << 32;

    assert_int_equal(ASK(SYS_socket, high | 38, SOCK_SEQPACKET, 0), ENOSYS);
    assert_int_equal(ASK(SYS_socket, AF_INET, SOCK_STREAM, high | IPPROTO_SCTP), ENOSYS);
    assert_int_equal(ASK(SYS_ioctl, 0, high | TIOCSTI), ENOSYS);
    assert_int_equal(ASK(SYS_clone, high | CLONE_NEWUSER | SIGCHLD), ENOSYS);
    assert_int_equal(ASK(SYS_prctl, high | PR_SET_MM), ENOSYS);
    assert_int_equal(ASK(SYS_personality, high), ENOSYS);
}

/* What a warm run has inherited from its zygote is taken away again. */
static void a_run_may_not_do_what_its_zygote_did(void **state)
{
    assert_int_equal(ASK(SYS_setns, -1, 0), EPERM);
    assert_int_equal(ASK(SYS_landlock_create_ruleset, 0, 0, 1), EPERM);
    assert_int_equal(ASK(SYS_landlock_restrict_self, -1, 0), EPERM);
    assert_int_equal(ASK(SYS_prctl, PR_CAPBSET_DROP, 0), ENOSYS);
    assert_int_equal(ASK(SYS_prctl, PR_SET_SECUREBITS, 0), ENOSYS);
    assert_int_equal(ASK(SYS_prctl, 1l << 32 | PR_SET_SECUREBITS, 0), ENOSYS);
}

static void terminals_cannot_be_typed_into(void **state)
{
    assert_int_equal(ASK(SYS_ioctl, -1, TIOCSTI), ENOSYS);
    assert_int_equal(ASK(SYS_ioctl, -1, 0x541c /* TIOCLINUX */), ENOSYS);
    assert_int_equal(ASK(SYS_ioctl, -1, TIOCGWINSZ), EBADF);
    assert_int_equal(ASK(SYS_ioctl, -1, FIONREAD), EBADF);
}

/* The system files lie on the host's disk, and a sandbox can open them. */
static void the_hosts_disk_cannot_be_made_to_sync(void **state)
{
    assert_int_equal(ASK(SYS_syncfs, -1), EPERM);
    assert_int_equal(ASK(SYS_sync, 0), EPERM);
    assert_int_equal(ASK(SYS_fsync, -1), EBADF);
}

static void nobody_can_supervise_or_be_supervised(void **state)
{
    assert_int_equal(ASK(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, 0),
                     ENOSYS);
    assert_int_equal(ASK(SYS_ptrace, 0), EPERM);
    assert_int_equal(ASK(SYS_pidfd_getfd, -1, 0, 0), EPERM);
}

static void only_a_zygote_may_join_a_sandbox(void **state)
{
    assert_int_equal(ASK_ZYGOTE(SYS_setns, -1, 0), EBADF);
    assert_int_equal(ASK_ZYGOTE(SYS_unshare, 0), EPERM);
    assert_int_equal(ASK_ZYGOTE(SYS_mount, 0, 0, 0), EPERM);
    assert_int_equal(ASK_ZYGOTE(SYS_ptrace, 0), EPERM);
    assert_int_equal(ASK_ZYGOTE(SYS_bpf, 0), EPERM);
}

static void a_build_may_do_what_package_managers_do(void **state)
{
    char here[] = ".", name[] = "user.x";

    assert_int_equal(ASK(SYS_chroot, (long)here), EPERM);
    assert_int_equal(ASK_BUILD(SYS_chroot, 0), EFAULT);
    assert_int_equal(ASK_BUILD(SYS_setgroups, 1, 0), geteuid() == 0 ? EFAULT : EPERM);
    assert_int_equal(ASK_BUILD(SYS_lsetxattr, 0, (long)name, 0, 0, 0), EFAULT);
    assert_int_equal(ASK_BUILD(SYS_fchownat, -1, 0, 0, 0, 0), EFAULT);
    assert_int_equal(ASK_BUILD(SYS_mknodat, -1, (long)here, S_IFIFO | 0600, 0), EBADF);
    assert_int_equal(ASK_BUILD(SYS_clone, SIGCHLD), 0);
    assert_int_equal(ASK_BUILD(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 9 /* AUDIT */),
                     EPROTONOSUPPORT);
}

/* Told that it is done: nothing is written out, and no script fails for it. */
static void a_build_syncs_without_effect(void **state)
{
    assert_int_equal(ASK_BUILD(SYS_sync, 0), 0);
    assert_int_equal(ASK_BUILD(SYS_syncfs, -1), 0);
    assert_int_equal(ASK_BUILD(SYS_fsync, -1), EBADF);
}

static void a_build_has_no_more_of_the_kernel(void **state)
{
    static const long refused[] = {SYS_ptrace,     SYS_process_vm_readv, SYS_pidfd_getfd,
                                   SYS_mount,      SYS_umount2,          SYS_pivot_root,
                                   SYS_move_mount, SYS_open_tree,        SYS_unshare,
                                   SYS_setns,      SYS_keyctl,           SYS_add_key,
                                   SYS_bpf,        SYS_perf_event_open,  SYS_userfaultfd,
                                   SYS_splice,     SYS_io_uring_setup,   SYS_open_by_handle_at,
                                   SYS_quotactl,   SYS_init_module,      SYS_clock_settime,
                                   SYS_reboot,     SYS_sethostname,      SYS_inotify_init1};

    for (size_t i = 0; i < TEST_COUNT(refused); i++)
        assert_int_equal(ASK_BUILD(refused[i], -1, 0, 0), EPERM);
    assert_int_equal(ASK_BUILD(SYS_clone, CLONE_NEWUSER | SIGCHLD), ENOSYS);
    assert_int_equal(ASK_BUILD(SYS_clone, CLONE_PARENT | SIGCHLD), ENOSYS);
    assert_int_equal(ASK_BUILD(SYS_clone3, 0, 0), ENOSYS);
    assert_int_equal(ASK_BUILD(SYS_socket, AF_INET, SOCK_RAW, IPPROTO_ICMP), ENOSYS);
    assert_int_equal(ASK_BUILD(SYS_socket, 38 /* AF_ALG */, SOCK_SEQPACKET, 0), ENOSYS);
    assert_int_equal(ASK_BUILD(SYS_prctl, PR_SET_SECUREBITS, 0), ENOSYS);
    assert_int_equal(ASK_BUILD(SYS_prctl, PR_SET_MM, 0), ENOSYS);
    assert_int_equal(ASK_BUILD(SYS_mknodat, -1, 0, S_IFCHR | 0600, 0x103), EPERM);
    assert_int_equal(ASK_BUILD(SYS_mknodat, -1, 0, S_IFBLK | 0600, 0x800), EPERM);
}

/* Its root has the ids of init, and the kernel would let it. */
/* In the host's network namespace are the host's abstract sockets. */
static void a_tool_has_no_local_sockets(void **state)
{
    static const long types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    int pair[2];

    for (size_t i = 0; i < TEST_COUNT(types); i++) {
        assert_int_equal(ASK_TOOL(SYS_socket, AF_UNIX, types[i] | SOCK_CLOEXEC, 0), ENOSYS);
        assert_int_equal(ASK_BUILD(SYS_socket, AF_UNIX, types[i] | SOCK_CLOEXEC, 0), 0);
    }
    assert_int_equal(ASK_TOOL(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, (long)pair), 0);
    assert_int_equal(ASK_TOOL(SYS_socket, AF_INET, SOCK_STREAM, 0), 0);
    assert_int_equal(ASK_TOOL(SYS_chroot, (long)"/nowhere"), ENOENT);
    assert_int_equal(ASK_TOOL(SYS_sync, 0), 0);
}

static void a_build_cannot_limit_others(void **state)
{
    assert_int_equal(ASK_BUILD(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, 0), 0);
    assert_int_equal(ASK_BUILD(SYS_prlimit64, 1, RLIMIT_NOFILE, 0, 0), ENOSYS);
    assert_int_equal(ASK_BUILD(SYS_prlimit64, 1l << 32 | 1, RLIMIT_NOFILE, 0, 0), ENOSYS);
    assert_int_equal(ASK(SYS_prlimit64, getpid(), RLIMIT_NOFILE, 0, 0), 0);
}

/* An option is asked for on descriptor -1: EBADF says that the filter let it through. */
static void everyday_socket_options_can_be_set(void **state)
{
    static const long options[][2] = {{SOL_SOCKET, SO_REUSEADDR},
                                      {SOL_SOCKET, SO_BINDTODEVICE},
                                      {SOL_SOCKET, SO_TIMESTAMP},
                                      {IPPROTO_TCP, 1 /* NODELAY */},
                                      {IPPROTO_TCP, 30},
                                      {IPPROTO_IP, IP_TTL},
                                      {IPPROTO_IPV6, IPV6_V6ONLY},
                                      {IPPROTO_IPV6, IPV6_TCLASS},
                                      {SOL_NETLINK, 12}};

    for (size_t i = 0; i < TEST_COUNT(options); i++)
        assert_int_equal(ASK(SYS_setsockopt, -1, options[i][0], options[i][1]), EBADF);
}

static void other_socket_options_cannot(void **state)
{
    static const long options[][2] = {{SOL_SOCKET, SO_ATTACH_FILTER},
                                      {SOL_SOCKET, SO_ATTACH_BPF},
                                      {SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF},
                                      {SOL_SOCKET, SO_ZEROCOPY},
                                      {IPPROTO_TCP, 31 /* TCP_ULP */},
                                      {IPPROTO_TCP, 35 /* TCP_ZEROCOPY_RECEIVE */},
                                      {IPPROTO_TCP, 38 /* TCP_AO_ADD_KEY */},
                                      {IPPROTO_UDP, 100 /* UDP_ENCAP */},
                                      {IPPROTO_IP, 64 /* IPT_SO_SET_REPLACE */},
                                      {IPPROTO_IPV6, 64},
                                      {IPPROTO_IPV6, 65},
                                      {SOL_NETLINK, -1},
                                      {282 /* SOL_TLS */, 1},
                                      {279 /* SOL_ALG */, 1},
                                      {SOL_SOCKET, -1}};

    for (size_t i = 0; i < TEST_COUNT(options); i++) {
        assert_int_equal(ASK(SYS_setsockopt, -1, options[i][0], options[i][1]), ENOSYS);
        assert_int_equal(ASK_BUILD(SYS_setsockopt, -1, options[i][0], options[i][1]), ENOSYS);
    }
}

static void urgent_and_zero_copy_messages_cannot_be_sent(void **state)
{
    static const long oob = 1, zerocopy = 0x4000000, high = 1L << 32;

    assert_int_equal(ASK(SYS_sendto, -1, 0, 0, 0, 0, 0), EBADF);
    assert_int_equal(ASK(SYS_sendto, -1, 0, 0, oob | high, 0, 0), ENOSYS);
    assert_int_equal(ASK(SYS_sendmsg, -1, 0, zerocopy), ENOSYS);
    assert_int_equal(ASK(SYS_sendmmsg, -1, 0, 0, oob), ENOSYS);
    assert_int_equal(ASK(SYS_recvfrom, -1, 0, 0, oob, 0, 0), ENOSYS);
    assert_int_equal(ASK(SYS_recvmsg, -1, 0, oob), ENOSYS);
    assert_int_equal(ASK(SYS_recvmmsg, -1, 0, 0, oob, 0), ENOSYS);
}

static void futexes_have_no_priority_inheritance(void **state)
{
    static const long refused[] = {2, 6, 7, 8, 11, 12, 13};

    assert_int_equal(ASK(SYS_futex, 0, 1 | 0x80, 1), 0);
    for (size_t i = 0; i < TEST_COUNT(refused); i++)
        assert_int_equal(ASK(SYS_futex, 0, refused[i] | 0x80), ENOSYS);
}

/* The pool is the host's, and no group counts it. */
static void huge_pages_cannot_be_taken(void **state)
{
    assert_int_equal(ASK(SYS_mmap, 0, 4096, 3, 0x22, -1, 0), 0);
    assert_int_equal(ASK(SYS_mmap, 0, 2 << 20, 3, 0x40022, -1, 0), ENOSYS);
    assert_int_equal(ASK(SYS_memfd_create, (long)"x", 4), ENOSYS);
    assert_int_equal(ASK(SYS_shmget, 0, 2 << 20, 04600), ENOSYS);
}

static void pages_of_shared_files_cannot_be_watched(void **state)
{
    assert_int_equal(ASK(SYS_preadv2, -1, 0, 0, 0, 0, 8), ENOSYS);
    assert_int_equal(ASK(SYS_preadv2, -1, 0, 0, 0, 0, 0), EBADF);
    assert_int_equal(ASK(451 /* cachestat */, -1, 0, 0, 0), ENOSYS);
    assert_int_equal(ASK(SYS_pipe2, 0, 0x80 /* O_NOTIFICATION_PIPE */), ENOSYS);
}

static void pages_cannot_be_merged_with_those_of_others(void **state)
{
    assert_int_equal(ASK(SYS_madvise, 0, 0, 4), 0);
    assert_int_not_equal(ASK(SYS_madvise, 0, 0, 14), ENOSYS);
    assert_int_equal(ASK(SYS_madvise, 0, 0, 12), ENOSYS);
    assert_int_equal(ASK(SYS_prctl, 67, 1, 0, 0, 0), ENOSYS);
}

/* Translated filters are in no memory limit, and their pool is the machine's. */
static void only_a_zygote_may_load_filters(void **state)
{
    assert_int_equal(ASK(SYS_seccomp, 1, 0, 0), ENOSYS);
    assert_int_equal(ASK_BUILD(SYS_seccomp, 1, 0, 0), ENOSYS);
    assert_int_equal(ASK(SYS_prctl, PR_SET_SECCOMP, 2, 0), EINVAL);
    assert_int_equal(ASK_ZYGOTE(SYS_seccomp, 1, 0, 0), EFAULT);
}

/* Block devices, consoles and loops have lower numbers than terminals. */
static void only_terminals_and_a_list_can_be_controlled(void **state)
{
    static const long refused[] = {1, 0x1277, 0x4b47, 0x4c00, 0x5331, 0x541c, 0x5423, 0xae01};

    assert_int_equal(ASK(SYS_ioctl, -1, TCGETS), EBADF);
    assert_int_equal(ASK(SYS_ioctl, -1, TIOCOUTQ), EBADF);
    for (size_t i = 0; i < TEST_COUNT(refused); i++)
        assert_int_equal(ASK(SYS_ioctl, -1, refused[i]), ENOSYS);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processes_and_threads_can_be_made),
        cmocka_unit_test(no_namespace_can_be_made),
        cmocka_unit_test(no_child_can_be_given_to_the_parent),
        cmocka_unit_test(everyday_sockets_can_be_made),
        cmocka_unit_test(other_sockets_cannot),
        cmocka_unit_test(sockets_can_be_set_up_but_not_to_linger),
        cmocka_unit_test(bits_that_the_kernel_ignores_do_not_help),
        cmocka_unit_test(a_run_may_not_do_what_its_zygote_did),
        cmocka_unit_test(terminals_cannot_be_typed_into),
        cmocka_unit_test(the_hosts_disk_cannot_be_made_to_sync),
        cmocka_unit_test(nobody_can_supervise_or_be_supervised),
        cmocka_unit_test(only_a_zygote_may_join_a_sandbox),
        cmocka_unit_test(a_build_may_do_what_package_managers_do),
        cmocka_unit_test(a_build_syncs_without_effect),
        cmocka_unit_test(a_build_has_no_more_of_the_kernel),
        cmocka_unit_test(a_tool_has_no_local_sockets),
        cmocka_unit_test(a_build_cannot_limit_others),
        cmocka_unit_test(everyday_socket_options_can_be_set),
        cmocka_unit_test(other_socket_options_cannot),
        cmocka_unit_test(urgent_and_zero_copy_messages_cannot_be_sent),
        cmocka_unit_test(futexes_have_no_priority_inheritance),
        cmocka_unit_test(huge_pages_cannot_be_taken),
        cmocka_unit_test(pages_of_shared_files_cannot_be_watched),
        cmocka_unit_test(only_a_zygote_may_load_filters),
        cmocka_unit_test(pages_cannot_be_merged_with_those_of_others),
        cmocka_unit_test(only_terminals_and_a_list_can_be_controlled),
    };

    if (argc != 1 + PROGRAMS)
        return 2;
    for (int i = 0; i < PROGRAMS; i++)
        load(i, argv[1 + i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

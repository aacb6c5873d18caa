/* lockdown: confines the process that parses hostile bytes.
 *
 * Runs in the server, once, between the end of its start and its first client.  A server that has
 * been taken over then holds this node's requests and may ask the spawner for sandboxes within the
 * configured ceilings; it can read and write its own database and build logs, open no other file,
 * connect to nothing, and start nothing. */
#include "server/lockdown.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

/* Newer than the headers of Debian 12 (kernel's uapi/linux/landlock.h). */
#define FS_ALL(abi) ((1ull << ((abi) >= 5 ? 16 : (abi) >= 3 ? 15 : (abi) >= 2 ? 14 : 13)) - 1)
#define FS_TRUNCATE (1ull << 14) /* ABI 3 */
#define NET_ALL     3ull         /* bind and connect of TCP: ABI 4 */
#define SCOPE_ALL   3ull         /* abstract sockets and signals: ABI 6 */

/* Of the second argument of socketpair(2); the rest are flags. */
#define SOCK_TYPE_BITS 15

/* What SQLite and the build logs do in the state directory; no link, no device, no program. */
#define STATE_RIGHTS                                                                               \
    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_DIR |  \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE | FS_TRUNCATE)

/* What libc, libuv, libmicrohttpd, SQLite and the thread pool ask for while serving. */
static const struct {
    const char *reason;
    int calls[24];
} allowed[] = {
    {"read and write what is open",
     {SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64),
      SCMP_SYS(close), SCMP_SYS(lseek), SCMP_SYS(dup), SCMP_SYS(dup3), SCMP_SYS(fcntl),
      SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(pipe2), SCMP_SYS(sendfile)}},
    {"the database and the build logs; Landlock says where, and their locks are fcntl's",
     {SCMP_SYS(openat), SCMP_SYS(pwrite64), SCMP_SYS(ftruncate), SCMP_SYS(fdatasync),
      SCMP_SYS(fsync), SCMP_SYS(access), SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(fstatfs)}},
    {"lists of modules, which go to the spawner as a descriptor; scripts and input of programs in "
     "sessions",
     {SCMP_SYS(memfd_create)}},
    {"accepted sockets and the spawner's (none can be made or connected)",
     {SCMP_SYS(accept4), SCMP_SYS(accept), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg),
      SCMP_SYS(shutdown), SCMP_SYS(setsockopt), SCMP_SYS(getsockopt), SCMP_SYS(getsockname),
      SCMP_SYS(getpeername)}},
    {"wait",
     {SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2), SCMP_SYS(epoll_ctl),
      SCMP_SYS(epoll_create1), SCMP_SYS(eventfd2), SCMP_SYS(poll), SCMP_SYS(ppoll),
      SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime), SCMP_SYS(nanosleep),
      SCMP_SYS(clock_nanosleep), SCMP_SYS(restart_syscall), SCMP_SYS(sched_yield)}},
    {"memory",
     {SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect),
      SCMP_SYS(madvise)}},
    {"threads of the pool, their locks and their ends",
     {SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sched_getaffinity),
      SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
      SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(tgkill), SCMP_SYS(gettid),
      SCMP_SYS(getpid), SCMP_SYS(prctl)}},
    {"time, randomness, own figures; the spawner's end",
     {SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(getrandom),
      SCMP_SYS(getrusage), SCMP_SYS(prlimit64), SCMP_SYS(uname), SCMP_SYS(getuid),
      SCMP_SYS(geteuid), SCMP_SYS(wait4), SCMP_SYS(sysinfo)}},
};

static int drop_identity(uint32_t uid, struct err *e)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0}, {0}};

    for (int cap = 0; cap <= CAP_LAST_CAP; cap++) {
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL)
            return err_set(e, ERR_INTERNAL, errno, "drop capability %d", cap);
    }
    if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0 ||
        syscall(SYS_capset, &header, none) < 0)
        return err_set(e, ERR_INTERNAL, errno, "give root up");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
        return err_set(e, ERR_INTERNAL, errno, "no new privileges");
    return 0;
}

int lockdown_landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    return abi < 0 ? 0 : (int)abi;
}

/* A ruleset with one rule: nothing can be opened any more but beneath the state directory. */
static int close_files(int state, struct err *e)
{
    struct landlock_path_beneath_attr beneath = {.parent_fd = state};
    struct {
        uint64_t fs, net, scope;
    } attr = {.fs = 0};
    int abi = lockdown_landlock_abi();
    size_t size = sizeof attr.fs;
    _cleanup_fd_ int fd = -1;

    attr.fs = FS_ALL(abi);
    if (abi >= 4) {
        attr.net = NET_ALL;
        size = 2 * sizeof attr.fs;
    }
    if (abi >= 6) {
        attr.scope = SCOPE_ALL;
        size = sizeof attr;
    }
    beneath.allowed_access = attr.fs & STATE_RIGHTS;
    fd = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (fd < 0 || syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0 ||
        syscall(SYS_landlock_restrict_self, fd, 0) < 0)
        return err_set(e, ERR_UNAVAILABLE, errno, "Landlock (see dunlin doctor)");
    return 0;
}

/* Threads only: clone3 hides its flags and answers ENOSYS, clone must ask for a thread. */
static int add_threads(scmp_filter_ctx ctx)
{
    return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                            SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
}

/* A program in a session may open its input and output anew: the pipes' modes let it, and these
 * two can be set. */
static int add_modes(scmp_filter_ctx ctx)
{
    static const unsigned modes[] = {0222, 0444};
    int r = 0;

    for (size_t i = 0; r == 0 && i < sizeof modes / sizeof modes[0]; i++)
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fchmod), 1,
                             SCMP_A1(SCMP_CMP_EQ, modes[i]));
    return r;
}

/* A session is spoken to over pairs of ours.  Datagram sockets are not among them: sendto(2) could
 * address one of those to any service of the host. */
static int add_pairs(scmp_filter_ctx ctx)
{
    static const unsigned types[] = {SOCK_STREAM, SOCK_SEQPACKET};
    int r = 0;

    for (size_t i = 0; r == 0 && i < sizeof types / sizeof types[0]; i++)
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 2,
                             SCMP_A0(SCMP_CMP_EQ, AF_UNIX),
                             SCMP_A1(SCMP_CMP_MASKED_EQ, SOCK_TYPE_BITS, types[i]));
    return r;
}

/* MSG_FASTOPEN connects, past Landlock: shutdown(2) makes a socket that could do it of one that
 * listens.  Nothing of ours sends to an address either. */
static int add_sends(scmp_filter_ctx ctx)
{
    int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 2,
                             SCMP_A3(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0), SCMP_A4(SCMP_CMP_EQ, 0));

    return r < 0 ? r
                 : seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(sendmsg), 1,
                                    SCMP_A2(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0));
}

/* What asks.  Standard error may be the operator's terminal, and TIOCSTI would type there. */
static int add_controls(scmp_filter_ctx ctx)
{
    static const unsigned controls[] = {FIONBIO, FIONREAD, SIOCOUTQ, TCGETS};
    int r = 0;

    for (size_t i = 0; r == 0 && i < sizeof controls / sizeof controls[0]; i++)
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                             SCMP_A1(SCMP_CMP_EQ, controls[i]));
    return r;
}

static int filter_calls(struct err *e)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    int r = ctx == NULL ? -ENOMEM : add_threads(ctx);

    if (r == 0)
        r = add_pairs(ctx);
    if (r == 0)
        r = add_modes(ctx);
    if (r == 0)
        r = add_sends(ctx);
    if (r == 0)
        r = add_controls(ctx);
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        const int *calls = allowed[i].calls;

        /* Unused places are 0, which is read(2): the first row names it, so it may end a row. */
        for (size_t n = 0; r == 0 && n < 24 && (n == 0 || calls[n] != 0); n++)
            r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[n], 0);
    }
    if (r == 0)
        r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (r == 0)
        r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (r == 0)
        r = seccomp_load(ctx);
    seccomp_release(ctx);
    return r == 0 ? 0 : err_set(e, ERR_UNAVAILABLE, -r, "seccomp (see dunlin doctor)");
}

int lockdown_enter(uint32_t uid, int state, struct err *e)
{
    return drop_identity(uid, e) < 0 || close_files(state, e) < 0 ? -1 : filter_calls(e);
}

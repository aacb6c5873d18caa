/* seccomp-compile: turns the tables below into BPF programs, when Dunlin is built.
 *
 * usage: seccomp-compile run|zygote|child|build|tool FILE
 *
 * An allow-list (R71): what is not named answers ENOSYS, so that libraries fall back; what is known
 * to be dangerous answers EPERM, so that a person reading a trace understands; another architecture
 * kills.  The lists come from measurement: Python with numpy, pandas, scipy and matplotlib, torch,
 * node, a JVM, shell, gcc and git need 131 of these calls (design: security.md, "seccomp").
 * Runs on the build machine only; trusts everything. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "enter/seccomp_policy.h"

enum list { LIST_RUN, LIST_ZYGOTE, LIST_BUILD, LIST_TOOL };

static int failed;

/* Root of its own ids, instead of a run or a zygote. */
static bool builds(enum list list)
{
    return list == LIST_BUILD || list == LIST_TOOL;
}

static void check(int r, const char *what)
{
    if (r != 0 && r != -EEXIST) {
        fprintf(stderr, "seccomp-compile: %s: %s\n", what, strerror(-r));
        failed = 1;
    }
}

/* Adds every name of a row.  A name that this architecture or libseccomp does not know is passed
 * over: the default answer is a refusal. */
static void add_row(scmp_filter_ctx ctx, uint32_t action, const struct seccomp_row *row)
{
    char names[512], *rest = names, *name;

    if (snprintf(names, sizeof names, "%s", row->names) >= (int)sizeof names)
        failed = 1;
    while ((name = strsep(&rest, " ")) != NULL) {
        int nr = seccomp_syscall_resolve_name(name);

        if (nr >= 0)
            check(seccomp_rule_add(ctx, action, nr, 0), name);
    }
}

static void add_rows(scmp_filter_ctx ctx, uint32_t action, const struct seccomp_row *rows)
{
    for (; rows->names != NULL; rows++)
        add_row(ctx, action, rows);
}

/* clone without any namespace; clone3 hides its flags in memory, so it answers ENOSYS and every
 * libc falls back (R70).  A run may not use CLONE_PARENT either: its child would be a sibling,
 * which init could not wait for. */
static void add_clone(scmp_filter_ctx ctx, enum list list)
{
    /* CLONE_NEWTIME is not among them: clone(2) reads that bit as part of the exit signal. */
    const scmp_datum_t namespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID |
                                    CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
    const scmp_datum_t refused = list == LIST_ZYGOTE ? namespaces : namespaces | CLONE_PARENT;

    check(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                           SCMP_A0(SCMP_CMP_MASKED_EQ, refused, 0)),
          "clone");
}

static void add_socket(scmp_filter_ctx ctx, int family, int type, int protocol)
{
    check(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3,
                           SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family),
                           SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, (scmp_datum_t)type),
                           SCMP_A2(SCMP_CMP_EQ, (scmp_datum_t)protocol)),
          "socket");
}

/* Families and protocols by name, types by mask; raw and packet sockets, and every family that was
 * a way out of containers in 2022 to 2026 (ALG, VSOCK, RXRPC, KEY, XDP), and MPTCP, are not among
 * them. */
static void add_sockets(scmp_filter_ctx ctx, enum list list)
{
    static const int families[] = {AF_INET, AF_INET6};

    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        add_socket(ctx, families[i], SOCK_STREAM, 0);
        add_socket(ctx, families[i], SOCK_STREAM, IPPROTO_TCP);
        add_socket(ctx, families[i], SOCK_DGRAM, 0);
        add_socket(ctx, families[i], SOCK_DGRAM, IPPROTO_UDP);
    }
    /* A tool may be in the host's network namespace, where the host's abstract sockets are; before
     * Linux 6.12 Landlock cannot keep anybody from them. */
    if (list != LIST_TOOL) {
        add_socket(ctx, AF_UNIX, SOCK_STREAM, 0);
        add_socket(ctx, AF_UNIX, SOCK_DGRAM, 0);
        add_socket(ctx, AF_UNIX, SOCK_SEQPACKET, 0);
    }
    /* getaddrinfo and if_nameindex ask the kernel for addresses: NETLINK_ROUTE (0) only. */
    for (unsigned type = SOCK_DGRAM; type <= SOCK_RAW; type++)
        check(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3,
                               SCMP_A0(SCMP_CMP_EQ, AF_NETLINK),
                               SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, type), SCMP_A2(SCMP_CMP_EQ, 0)),
              "netlink");
    check(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1,
                           SCMP_A0(SCMP_CMP_EQ, AF_UNIX)),
          "socketpair");
}

/* PAM, and so su, goes on without the audit system only if the kernel says that it has none. */
static void add_no_audit(scmp_filter_ctx ctx)
{
    check(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPROTONOSUPPORT), SCMP_SYS(socket), 2,
                           SCMP_A0(SCMP_CMP_EQ, AF_NETLINK), SCMP_A2(SCMP_CMP_EQ, NETLINK_AUDIT)),
          "audit");
}

static void add_values(scmp_filter_ctx ctx, uint32_t action, int nr, unsigned arg,
                       const struct seccomp_value *v)
{
    for (; v->reason != NULL; v++)
        check(seccomp_rule_add(ctx, action, nr, 1, SCMP_CMP(arg, SCMP_CMP_EQ, v->value)),
              v->reason);
}

static void add_ioctl(scmp_filter_ctx ctx)
{
    /* The terminal's sixteen: not block devices, consoles and loops, which have lower numbers, nor
     * TIOCSTI (0x5412), which types into somebody's terminal (R16). */
    check(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                           SCMP_CMP64(1, SCMP_CMP_MASKED_EQ, ~UINT64_C(0xf), 0x5400)),
          "ioctl");
    add_values(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, seccomp_ioctls);
}

/* Everything but F_NOTIFY and the leases (from 1024 on), which tell of others' use of a file. */
static void add_fcntl(scmp_filter_ctx ctx)
{
    check(
        seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_CMP64(1, SCMP_CMP_LT, 1024)),
        "fcntl");
    add_values(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, seccomp_fcntls);
}

static void add_madvise(scmp_filter_ctx ctx)
{
    check(
        seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(madvise), 1, SCMP_CMP64(2, SCMP_CMP_LT, 12)),
        "madvise");
    add_values(ctx, SCMP_ACT_ALLOW, SCMP_SYS(madvise), 2, seccomp_advice);
}

static void add_flags(scmp_filter_ctx ctx)
{
    for (const struct seccomp_flags *f = seccomp_flags; f->reason != NULL; f++)
        check(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, seccomp_syscall_resolve_name(f->name), 1,
                               SCMP_CMP64(f->arg, SCMP_CMP_MASKED_EQ, f->never, 0)),
              f->reason);
}

/* An allow-list: options are a wide door to young code of the kernel. */
static void add_options(scmp_filter_ctx ctx)
{
    for (const struct seccomp_option *o = seccomp_options; o->reason != NULL; o++) {
        struct scmp_arg_cmp option = o->below > 0 ? SCMP_CMP64(2, SCMP_CMP_LT, o->below)
                                                  : SCMP_CMP64(2, SCMP_CMP_EQ, o->option);

        check(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 2,
                               SCMP_CMP64(1, SCMP_CMP_EQ, o->level), option),
              o->reason);
    }
    /* Whoever closes a socket with it waits as long as the socket's owner wished, and that may be
     * somebody else, whom a zygote has passed it to: answered without being done. */
    check(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(0), SCMP_SYS(setsockopt), 2,
                           SCMP_CMP64(1, SCMP_CMP_EQ, SOL_SOCKET),
                           SCMP_CMP64(2, SCMP_CMP_EQ, SO_LINGER)),
          "linger");
}

static void add_futex(scmp_filter_ctx ctx)
{
    const scmp_datum_t operation = ~(scmp_datum_t)(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);

    for (const struct seccomp_value *v = seccomp_futexes; v->reason != NULL; v++)
        check(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(futex), 1,
                               SCMP_CMP64(1, SCMP_CMP_MASKED_EQ, operation, v->value)),
              v->reason);
}

/* Device nodes would be refused by the missing capability too; this is the second lock. */
static void add_mknod(scmp_filter_ctx ctx)
{
    static const unsigned types[] = {S_IFIFO, S_IFREG, S_IFSOCK, 0};

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        check(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mknodat), 1,
                               SCMP_A2(SCMP_CMP_MASKED_EQ, S_IFMT, types[i])),
              "mknodat");
        check(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mknod), 1,
                               SCMP_A1(SCMP_CMP_MASKED_EQ, S_IFMT, types[i])),
              "mknod");
    }
}

/* Root in a build has the same ids as the sandbox's init, whose limits it could therefore lower: it
 * may name itself only, as every libc does. */
static void add_prlimit(scmp_filter_ctx ctx, enum list list)
{
    int r = builds(list) ? seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1,
                                            SCMP_A0(SCMP_CMP_EQ, 0))
                         : seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 0);

    check(r, "prlimit64");
}

/* What carries files says "not permitted" about device nodes and goes on. */
static void refuse_devices(scmp_filter_ctx ctx)
{
    static const unsigned types[] = {S_IFCHR, S_IFBLK};

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        check(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(mknodat), 1,
                               SCMP_A2(SCMP_CMP_MASKED_EQ, S_IFMT, types[i])),
              "mknodat");
        check(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(mknod), 1,
                               SCMP_A1(SCMP_CMP_MASKED_EQ, S_IFMT, types[i])),
              "mknod");
    }
}

static void add_common(scmp_filter_ctx ctx, enum list list)
{
    add_rows(ctx, SCMP_ACT_ALLOW, seccomp_allowed);
    add_clone(ctx, list);
    add_prlimit(ctx, list);
    add_sockets(ctx, list);
    add_ioctl(ctx);
    add_fcntl(ctx);
    add_madvise(ctx);
    add_flags(ctx);
    add_options(ctx);
    add_futex(ctx);
    add_mknod(ctx);
    add_values(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 0, seccomp_prctls);
    add_values(ctx, SCMP_ACT_ALLOW, SCMP_SYS(personality), 0, seccomp_personalities);
    /* What a kernel without seccomp answers: programs then go on without. */
    check(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(prctl), 1,
                           SCMP_A0(SCMP_CMP_EQ, PR_SET_SECCOMP)),
          "PR_SET_SECCOMP");
}

/* Only a zygote may load filters, and gives nobody a supervisor (R73).  Nobody else, because what
 * the kernel translates a filter into is in no memory limit and comes out of one pool for the
 * machine (net.core.bpf_jit_limit): a run that filled it would keep every other from being locked
 * in. */
static void add_filters(scmp_filter_ctx ctx)
{
    check(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(seccomp), 2, SCMP_A0(SCMP_CMP_LE, 1),
                           SCMP_A1(SCMP_CMP_MASKED_EQ, SECCOMP_NEW_LISTENER, 0)),
          "seccomp");
}

/* A complete list: everything unnamed answers ENOSYS. */
static scmp_filter_ctx make_list(enum list list)
{
    const uint32_t refused = SCMP_ACT_ERRNO(EPERM);
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));

    if (ctx == NULL)
        return NULL;
    add_common(ctx, list);
    add_rows(ctx, refused, seccomp_refused);
    add_rows(ctx, list == LIST_ZYGOTE ? SCMP_ACT_ALLOW : refused, seccomp_zygote);
    add_rows(ctx, builds(list) ? SCMP_ACT_ERRNO(0) : refused, seccomp_syncs);
    if (builds(list)) {
        add_rows(ctx, SCMP_ACT_ALLOW, seccomp_build);
        refuse_devices(ctx);
        add_no_audit(ctx);
        add_values(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 0, seccomp_build_prctls);
    } else {
        check(seccomp_rule_add(ctx, refused, SCMP_SYS(chroot), 0), "chroot");
    }
    if (list == LIST_ZYGOTE) {
        add_values(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 0, seccomp_zygote_prctls);
        add_filters(ctx);
    }
    return ctx;
}

/* What a zygote's child loads on top of the zygote's list, which it inherits and cannot shed: only
 * the difference to a run's.  Both filters together allow what the run's list allows, and the small
 * one takes the kernel a tenth of the time to check and compile, for every run. */
static scmp_filter_ctx make_difference(void)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);

    if (ctx == NULL)
        return NULL;
    add_rows(ctx, SCMP_ACT_ERRNO(EPERM), seccomp_zygote);
    add_values(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prctl), 0, seccomp_zygote_prctls);
    check(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                           SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_PARENT, CLONE_PARENT)),
          "clone");
    check(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(seccomp), 0), "seccomp");
    return ctx;
}

static scmp_filter_ctx make(const char *profile)
{
    if (strcmp(profile, "child") == 0)
        return make_difference();
    if (strcmp(profile, "zygote") == 0)
        return make_list(LIST_ZYGOTE);
    if (strcmp(profile, "build") == 0)
        return make_list(LIST_BUILD);
    if (strcmp(profile, "tool") == 0)
        return make_list(LIST_TOOL);
    return strcmp(profile, "run") == 0 ? make_list(LIST_RUN) : NULL;
}

int main(int argc, char **argv)
{
    scmp_filter_ctx ctx = argc == 3 ? make(argv[1]) : NULL;
    int fd;

    if (ctx == NULL) {
        fputs("usage: seccomp-compile run|zygote|child|build|tool FILE\n", stderr);
        return 2;
    }
    fd = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        perror(argv[2]);
        return 1;
    }
    /* A binary search over the numbers instead of a chain. */
    check(seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2), "optimize");
    check(seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), "architecture");
    check(seccomp_export_bpf(ctx, fd), "export");
    seccomp_release(ctx);
    return close(fd) != 0 || failed;
}

/* confine: the checklist between "inside the sandbox" and "runs a stranger's code".
 *
 * Runs in the run's own process: in dunlin-init's child (cold, builds too) or in a forked zygote
 * (warm).
 * Trusts: its arguments.  Must never skip a failed step. */
#include "enter/confine.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <linux/signal.h>
#include <stdbool.h>

#include "enter/landlock.h"
#include "enter/sys.h"
#include "wire/nest.h"

#define SIGNALS     64
#define NICE_OF_0   20 /* as the system call tells it: 20 - nice (getpriority(2)) */
#define CAP_HIGHEST 63 /* the kernel answers EINVAL above its own last one */

/* R55.  Memory, processes and CPU are limited by groups; these bound what groups do not count. */
static const struct {
    uint32_t resource;
    uint64_t soft, hard;
} limits[] = {
    /* 1, not 0: a core_pattern that is a pipe has root's handler started at 0, at 1 it has not
     * (fs/coredump.c); a file of 1 byte is too small for any core. */
    {RLIMIT_CORE, 1, 1},
    {RLIMIT_NOFILE, 1024, 4096},           /* kernel memory per process; select() of old programs */
    {RLIMIT_MEMLOCK, 8u << 20, 64u << 20}, /* what mlock may pin */
    {RLIMIT_MSGQUEUE, 0, 0},               /* POSIX queues are not offered */
    {RLIMIT_SIGPENDING, 4096, 4096},       /* queued signals are kernel memory */
    {RLIMIT_NICE, 0, 0},
    {RLIMIT_RTPRIO, 0, 0},
    {RLIMIT_STACK, 8u << 20, 64u << 20}, /* a thread's stack size follows from the soft one */
};

/* Only ever lowers: raising a hard limit needs a privilege that nobody here has. */
static long set_limits(void)
{
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct rlimit64 lim;
        long r = sys(SYS_prlimit64, 0, limits[i].resource, NULL, &lim);

        if (r < 0)
            return r;
        if (lim.rlim_max > limits[i].hard)
            lim.rlim_max = limits[i].hard;
        lim.rlim_cur = limits[i].soft < lim.rlim_max ? limits[i].soft : lim.rlim_max;
        r = sys(SYS_prlimit64, 0, limits[i].resource, &lim, NULL);
        if (r < 0)
            return r;
    }
    return 0;
}

/* A daemon started with nohup hands ignored signals down; a run starts with none (R17). */
static long reset_signals(void)
{
    struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        uint64_t mask;
    } dfl = {0};

    for (int s = 1; s <= SIGNALS; s++) {
        if (s != SIGKILL && s != SIGSTOP)
            sys(SYS_rt_sigaction, s, &dfl, NULL, sizeof dfl.mask);
    }
    return 0;
}

static long empty_signal_mask(void)
{
    uint64_t none = 0;

    return sys(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
}

/* Safe because: a bounding set without a capability can never give it back, not even through exec
 * of a file that has it (capabilities(7)). */
static long drop_bounding_set(uint32_t keep)
{
    for (int cap = 0; cap <= CAP_HIGHEST; cap++) {
        long r = 0;

        if (cap > 31 || (keep & 1u << cap) == 0)
            r = sys(SYS_prctl, PR_CAPBSET_DROP, cap, 0, 0, 0);
        if (r == -22 && cap > CAP_BLOCK_SUSPEND)
            return 0; /* EINVAL: behind the last one this kernel knows */
        if (r < 0)
            return r;
    }
    return 0;
}

static int keep_capabilities(uint32_t caps)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{.effective = caps, .permitted = caps}, {0}};
    long r = sys(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);

    return r < 0 ? (int)r : (int)sys(SYS_capset, &header, data);
}

int confine_drop_capabilities(void)
{
    return keep_capabilities(0);
}

static long lock_securebits(void)
{
    unsigned long bits = SECURE_ALL_BITS & ~issecure_mask(SECURE_KEEP_CAPS);

    return sys(SYS_prctl, PR_SET_SECUREBITS, bits | SECURE_ALL_LOCKS, 0, 0, 0);
}

/* Safe because: the user namespace is the sandbox's own, the bounding set bounds whatever root
 * executes, and the securebits stay as they are, so that giving up uid 0 gives up the rest. */
static long become_root(void)
{
    long r;

    if ((r = drop_bounding_set(CONFINE_ROOT_CAPS)) < 0)
        return r;
    if ((r = sys(SYS_setgroups, 0, NULL)) < 0 || (r = sys(SYS_setresgid, 0, 0, 0)) < 0 ||
        (r = sys(SYS_setresuid, 0, 0, 0)) < 0)
        return r;
    return keep_capabilities(CONFINE_ROOT_CAPS);
}

/* Before the ids change, because they need CAP_SETPCAP. */
static long bound_capabilities(void)
{
    long r = drop_bounding_set(0);

    return r < 0 ? r : lock_securebits();
}

/* Safe because: real, effective, saved and file-system ids all change, so no way leads back. */
static long give_up_ids(uint32_t uid)
{
    long r;

    if ((r = sys(SYS_setresgid, uid, uid, uid)) < 0 || (r = sys(SYS_setresuid, uid, uid, uid)) < 0)
        return r;
    return confine_drop_capabilities();
}

static long become(uint32_t uid)
{
    long r = bound_capabilities();

    return r < 0 ? r : give_up_ids(uid);
}

/* Init keeps the spawner's priority, to be heard beside a fork bomb; a run has none (R17).  Where
 * the operator has made all of it nicer that stays: nobody here may take it back. */
static long drop_priority(void)
{
    long r = sys(SYS_getpriority, 0 /* PRIO_PROCESS */, 0);

    return r <= NICE_OF_0 ? r : sys(SYS_setpriority, 0, 0, 0);
}

static long set_stdio(const struct confine *c)
{
    for (int i = 0; i < 3; i++) {
        long r = c->stdio[i] == i ? 0 : sys(SYS_dup3, c->stdio[i], i, 0);

        if (r < 0)
            return r;
    }
    return 0;
}

/* R12: nothing but 0, 1, 2 and the job socket survives. */
static long close_others(int keep)
{
    long r;

    if (keep < 0)
        return sys(SYS_close_range, 3, ~0u, 0);
    r = keep > 3 ? sys(SYS_close_range, 3, keep - 1, 0) : 0;
    return r < 0 ? r : sys(SYS_close_range, keep + 1, ~0u, 0);
}

/* A change of identity makes a process undumpable, and /proc/self unreadable to itself.  It stays
 * so, and closed to others of its new identity, until no descriptor is left that is not its own. */
static long be_dumpable(void)
{
    return sys(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static long load_seccomp(const struct sock_filter *filter, uint16_t len)
{
    struct sock_fprog prog = {len, (struct sock_filter *)filter};

    return sys(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
}

#define STEP(name, call)                                                                           \
    do {                                                                                           \
        long step_ = (call);                                                                       \
        if (step_ < 0) {                                                                           \
            *ret_step = (name);                                                                    \
            return (int)step_;                                                                     \
        }                                                                                          \
    } while (0)

/* checklist */
int confine(const struct confine *c, const char **ret_step)
{
    STEP("new session", sys(SYS_setsid));
    if (c->reset_signals)
        STEP("default signals", reset_signals());
    STEP("empty signal mask", empty_signal_mask());
    STEP("umask", sys(SYS_umask, 022));
    STEP("priority", drop_priority());
    STEP("personality", sys(SYS_personality, 0));
    STEP("resource limits", set_limits());
    STEP("working directory", sys(SYS_chdir, c->work_dir));
    STEP("identity", c->root ? become_root() : become(SANDBOX_UID_RUN));
    if (c->parent_death)
        STEP("parent death signal", sys(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
    STEP("no new privileges", sys(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    if (!c->has_landlock)
        STEP("landlock", c->in_session ? landlock_confine_joining(c->work_dir)
                                       : landlock_confine(c->work_dir, c->root));
    STEP("standard descriptors", set_stdio(c));
    STEP("close descriptors", close_others(c->keep_fd));
    STEP("dumpable", be_dumpable());
    STEP("seccomp", load_seccomp(c->seccomp, c->seccomp_len));
    return 0;
}

/* checklist */
int confine_ahead(const struct confine *c, const char **ret_step)
{
    STEP("default signals", reset_signals());
    STEP("umask", sys(SYS_umask, 022));
    STEP("personality", sys(SYS_personality, 0));
    STEP("resource limits", set_limits());
    STEP("bounding set", bound_capabilities());
    STEP("capabilities", keep_capabilities(1u << CAP_SETUID | 1u << CAP_SETGID));
    STEP("no new privileges", sys(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    STEP("seccomp", load_seccomp(c->seccomp, c->seccomp_len));
    return 0;
}

/* checklist */
int confine_forked(const struct confine *c, const char **ret_step)
{
    STEP("new session", sys(SYS_setsid));
    STEP("empty signal mask", empty_signal_mask());
    STEP("priority", drop_priority());
    STEP("working directory", sys(SYS_chdir, c->work_dir));
    STEP("identity", give_up_ids(SANDBOX_UID_RUN));
    STEP("parent death signal", sys(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
    STEP("standard descriptors", set_stdio(c));
    STEP("close descriptors", close_others(c->keep_fd));
    STEP("dumpable", be_dumpable());
    return 0;
}

/* checklist */
int confine_zygote(uint32_t uid, const struct sock_filter *seccomp, uint16_t seccomp_len,
                   const char **ret_step)
{
    STEP("new session", sys(SYS_setsid));
    STEP("default signals", reset_signals());
    STEP("empty signal mask", empty_signal_mask());
    STEP("umask", sys(SYS_umask, 022));
    STEP("priority", drop_priority());
    STEP("resource limits", set_limits());
    STEP("working directory", sys(SYS_chdir, "/"));
    STEP("identity", become(uid));
    STEP("parent death signal", sys(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
    STEP("no new privileges", sys(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    STEP("close descriptors", sys(SYS_close_range, 5, ~0u, 0));
    STEP("seccomp", load_seccomp(seccomp, seccomp_len));
    return 0;
}

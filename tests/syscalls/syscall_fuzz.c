/* syscall_fuzz: makes hostile system calls from inside a sandbox.
 *
 * usage: syscall_fuzz SEED SECONDS
 *
 * Calls are made by children, so that an exit, a signal or a hang ends a batch and not the
 * campaign. A batch depends on its seed alone; its seed is printed when a child ends in an unusual
 * way. Runs as the attacker; trusts nothing, and must not signal its parents: their end would be
 * taken for an escape. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "arguments.h"

enum {
    CHILDREN = 6,
    BATCH = 400,  /* calls of one child */
    PATIENCE = 4, /* looks without progress until a child is killed */
    LOOK_MS = 4,
    OTHER_ABI_ONE_IN = 3 /* batches that end with a call of another ABI */
};

/* Shared with the children, who may write anything into it: counters of a report, no more. */
struct shared {
    volatile uint64_t calls[CHILDREN];
    volatile uint64_t done; /* calls that the kernel carried out */
    volatile uint64_t seen[ARGUMENTS_NUMBERS / 64];
};

struct child {
    pid_t pid;
    uint64_t seed, last;
    int idle;
};

static struct shared *shared;
static uint64_t ended[65]; /* children by signal; 0: exited */

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Below the sandbox's own limits, so that the kernel's answer to a call is seen, not its end. */
static void limit_child(void)
{
    static const struct {
        int resource;
        rlim_t most;
    } limits[] = {
        {RLIMIT_AS, 48 << 20}, {RLIMIT_FSIZE, 1 << 20}, {RLIMIT_CPU, 2}, {RLIMIT_STACK, 1 << 20}};

    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct rlimit one = {limits[i].most, limits[i].most};

        setrlimit(limits[i].resource, &one);
    }
}

#if defined(__x86_64__)
/* A number of the 32-bit ABI, and one of x32: each ends the process, or answers an error. */
static void call_other_abi(struct random *r)
{
    long result;

    if (random_below(r, 2) == 0)
        syscall((long)(0x40000000 | random_below(r, 600)), 0, 0, 0, 0, 0, 0);
    else
        __asm__ volatile("int $0x80"
                         : "=a"(result)
                         : "a"(random_below(r, 460)), "b"(0), "c"(0), "d"(0), "S"(0), "D"(0)
                         : "memory");
}
#else
static void call_other_abi(struct random *r)
{
    (void)r;
}
#endif

/* What vfork(2) or fork(2) made must not go on as if it were the parent. */
static void make_calls(int place, uint64_t seed)
{
    struct random r = {seed};
    struct arguments *args = arguments_create(&r);
    pid_t self = getpid();

    limit_child();
    for (int i = 0; i < BATCH; i++) {
        long a[6], number = arguments_make(args, &r, a), result;

        result = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
        if (getpid() != self)
            _exit(0);
        shared->calls[place]++;
        if (result != -1)
            shared->done++;
        if (number >= 0 && number < ARGUMENTS_NUMBERS)
            shared->seen[number / 64] |= UINT64_C(1) << number % 64;
    }
    if (random_below(&r, OTHER_ABI_ONE_IN) == 0)
        call_other_abi(&r);
    _exit(0);
}

static void start(struct child *c, int place, uint64_t seed)
{
    *c = (struct child){.pid = fork(), .seed = seed, .last = shared->calls[place]};
    if (c->pid == 0) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        make_calls(place, seed);
    }
}

/* Whether the child has ended; kills it when it makes no progress. */
static int look_after(struct child *c, int place)
{
    int status;

    if (c->pid < 0)
        return 1;
    if (waitpid(c->pid, &status, WNOHANG) == c->pid) {
        kill(-c->pid, SIGKILL); /* what it left behind */
        ended[WIFSIGNALED(status) ? WTERMSIG(status) & 63 : 0]++;
        return 1;
    }
    c->idle = shared->calls[place] == c->last ? c->idle + 1 : 0;
    c->last = shared->calls[place];
    if (c->idle >= PATIENCE)
        kill(c->pid, SIGKILL);
    return 0;
}

/* Children's children that were left to us. */
static void reap_others(const struct child *children)
{
    siginfo_t info;

    for (;;) {
        info.si_pid = 0;
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
            return;
        for (int i = 0; i < CHILDREN; i++) {
            if (children[i].pid == info.si_pid)
                return;
        }
        waitpid(info.si_pid, NULL, 0);
    }
}

static void report(uint64_t seed)
{
    uint64_t calls = 0;
    int numbers = 0;

    for (int i = 0; i < CHILDREN; i++)
        calls += shared->calls[i];
    for (int i = 0; i < ARGUMENTS_NUMBERS; i++)
        numbers += shared->seen[i / 64] >> i % 64 & 1;
    printf("{\"seed\": %llu, \"calls\": %llu, \"done\": %llu, \"numbers\": %d, \"ended\": {",
           (unsigned long long)seed, (unsigned long long)calls, (unsigned long long)shared->done,
           numbers);
    for (int i = 0, n = 0; i < 65; i++) {
        if (ended[i] > 0)
            printf("%s\"%d\": %llu", n++ > 0 ? ", " : "", i, (unsigned long long)ended[i]);
    }
    printf("}}\n");
    fflush(stdout);
}

static int campaign(uint64_t seed, uint64_t seconds)
{
    struct child children[CHILDREN];
    struct random r = {seed};
    uint64_t end = now_ms() + seconds * 1000, next_report = now_ms() + 1000;

    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (int i = 0; i < CHILDREN; i++)
        start(&children[i], i, random_next(&r));
    while (now_ms() < end) {
        poll(NULL, 0, LOOK_MS);
        for (int i = 0; i < CHILDREN; i++) {
            if (look_after(&children[i], i))
                start(&children[i], i, random_next(&r));
        }
        reap_others(children);
        if (now_ms() >= next_report) {
            report(seed); /* the last one counts: a call may end the campaign with its batch */
            next_report += 1000;
        }
    }
    report(seed);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: syscall_fuzz SEED SECONDS\n", stderr);
        return 2;
    }
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("seed %s\n", argv[1]);
    return campaign(strtoull(argv[1], NULL, 10), strtoull(argv[2], NULL, 10));
}

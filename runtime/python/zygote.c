/* _zygote.so: how a warm interpreter forks a child straight into a ready sandbox.
 *
 * Loaded by zygote.py through ctypes into the environment's own interpreter; freestanding, because
 * that interpreter may come with any libc.  Runs inside a nest, under the zygote's uid and seccomp
 * profile, with no capability there; it has power over the sandboxes of its nest only, because it
 * owns their user namespaces.
 *
 * Theory of operation.  A process cannot enter a pid namespace itself, only its children can; and
 * init must learn the run's wait status from somebody whom the run cannot reach.  So for each run
 * there is a middle process.  It is made with CLONE_VM, like a vfork child: it shares the zygote's
 * memory, costs no copy, and runs in C on a small stack of its own while the zygote stands still.
 * It enters the sandbox's namespaces and forks once: that is the only copy of the
 * interpreter.  The copy jumps back onto the zygote's stack, enters the sandbox's groups, locks
 * itself in, and dunlin_serve() returns into Python as if fork had returned 0.  The middle process
 * then only waits for it. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "enter/confine.h"
#include "enter/sys.h"
#include "wire/nest.h"
#include "wire/session.h"
#include "wire/spawn.h"

#define EXPORT __attribute__((visibility("default")))

#define ZYGOTE_SOCK 3
#define STACK_BYTES (128u << 10) /* libc's fork and the fork handlers of libraries run on it */
#define MIDDLES_MAX 4096
/* So many children at a time get their hot pages ahead (1.2 MB each); with more of them waiting,
 * memory is worth more than the half millisecond. */
#define PREFAULTED_MAX 16
#define EAGAIN_ANSWER  (-11)
#define EINTR_ANSWER   (-4)
#define MAP_STACK_     (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK)

#define SANDBOX_NAMESPACES                                                                         \
    (CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |     \
     CLONE_NEWCGROUP)

/* Its parent is the builder, who reaps at once; a zygote that waits for its next request would
 * leave it a zombie, and its slot's group occupied. */
#define MIDDLE_FLAGS                                                                               \
    (CLONE_VM | CLONE_PARENT | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD)

/* clone(2) with a function and a stack, whose last word is the function.  Not libc's: musl refuses
 * CLONE_CHILD_CLEARTID.  `fn` must not return.  The new process's pid, or a negative errno. */
long dunlin_clone(void (*fn)(void), char *stack, unsigned long flags, int *parent_tid,
                  int *child_tid) __attribute__((visibility("hidden")));
#if defined(__x86_64__)
__asm__(".text\n"
        ".hidden dunlin_clone\n"
        ".globl dunlin_clone\n"
        ".type dunlin_clone, @function\n"
        "dunlin_clone:\n"
        "  and $-16, %rsi\n"
        "  sub $16, %rsi\n"
        "  mov %rdi, (%rsi)\n"
        "  mov %rdx, %rdi\n"
        "  mov %rcx, %rdx\n"
        "  mov %r8, %r10\n"
        "  xor %r8d, %r8d\n"
        "  mov $56, %eax\n"
        "  syscall\n"
        "  test %rax, %rax\n"
        "  jz 1f\n"
        "  ret\n"
        "1: xor %ebp, %ebp\n"
        "  mov (%rsp), %rax\n"
        "  call *%rax\n"
        "  hlt\n"
        ".size dunlin_clone, . - dunlin_clone\n");
#elif defined(__aarch64__)
__asm__(".text\n"
        ".hidden dunlin_clone\n"
        ".globl dunlin_clone\n"
        ".type dunlin_clone, %function\n"
        "dunlin_clone:\n"
        "  mov x9, x0\n"
        "  and x1, x1, #-16\n"
        "  mov x0, x2\n"
        "  mov x2, x3\n"
        "  mov x3, xzr\n"
        "  mov x8, #220\n"
        "  svc #0\n"
        "  cbz x0, 1f\n"
        "  ret\n"
        "1: mov x29, xzr\n"
        "  mov x30, xzr\n"
        "  blr x9\n"
        "  brk #0\n"
        ".size dunlin_clone, . - dunlin_clone\n");
#endif

/* What only the interpreter's own libc and Python can do, as function pointers. */
struct hooks {
    int (*fork)(void);
    void (*before_fork)(void);
    void (*after_fork_parent)(void);
    void (*after_fork_child)(void);
};

struct middle {
    int tid; /* set and, at its end, cleared by the kernel; 0: the stack is free */
    char *stack;
};

static struct {
    const struct hooks *hooks;
    struct nest_join join;
    int fds[NEST_JOIN_FDS(NEST_GROUPS_MAX)];
    int sync[2];
    char *stack; /* of the middle process */
    bool prefault;
    void *resume[5]; /* __builtin_setjmp buffer */
} call;

enum { FD_SELF, FD_OUT, FD_ERR, FD_JOB, FD_STATUS, FD_GROUPS };

static struct middle middles[MIDDLES_MAX];

/* Memory that every run touches, as pages.py learned it. */
struct range {
    uint64_t start, bytes, advice;
};

static struct {
    const struct range *ranges;
    size_t n;
} hot;

static _Noreturn void leave(int status)
{
    for (;;)
        sys(SYS_exit_group, status);
}

static void report(int fd, int error)
{
    struct nest_status status = {.error = error};

    sys(SYS_write, fd, &status, sizeof status);
}

static void report_end(int fd, int wait_status, const struct rusage *use)
{
    struct nest_status status = {.wait_status = wait_status};

    status.cpu_us = (uint64_t)(use->ru_utime.tv_sec + use->ru_stime.tv_sec) * 1000000 +
                    (uint64_t)(use->ru_utime.tv_usec + use->ru_stime.tv_usec);
    status.memory_peak = (uint64_t)use->ru_maxrss * 1024;
    sys(SYS_write, fd, &status, sizeof status);
}

/* Only the copy enters the run's groups.  The middle process shares the zygote's memory: were it in
 * the run's memory group, the kernel could choose it when the run is out of memory, and would end
 * the zygote and every other run with it. */
static int enter_groups(void)
{
    for (uint32_t i = 0; i < call.join.groups; i++) {
        long r = sys(SYS_write, call.fds[FD_GROUPS + i], "0", 1);

        if (r < 0)
            return (int)r;
    }
    return 0;
}

/* Ends the middle process.  Its stack is memory of the zygote, and of the next run for which it is
 * used a copy is made: how this one ended, and what it cost, must not be found there (R90). */
static _Noreturn void leave_nothing(char *stack)
{
    sys(SYS_madvise, stack, STACK_BYTES, MADV_DONTNEED);
    leave(0);
}

/* The middle process.  Until it writes to `sync` the zygote stands still, so the shared memory is
 * ours; afterwards it touches nothing but its own stack. */
static _Noreturn void middle_main(void)
{
    int status_fd = call.fds[FD_STATUS], wait_status = 0;
    struct rusage use = {0};
    char *stack = call.stack;
    long r = sys(SYS_setns, call.fds[FD_SELF], SANDBOX_NAMESPACES);
    int pid = -1;

    if (r == 0) {
        pid = call.hooks->fork();
        if (pid == 0)
            __builtin_longjmp(call.resume, 1);
    }
    if (pid < 0)
        report(status_fd, r < 0 ? (int)r : EAGAIN_ANSWER);
    sys(SYS_write, call.sync[1], "f", 1);
    if (pid < 0)
        leave(1);
    sys(SYS_dup3, status_fd, 0, 0);
    sys(SYS_close_range, 1, ~0u, 0);
    /* From here on no run has this stack in its copy, whenever that is made.  If that fails, how
     * the run ends is not even asked. */
    r = sys(SYS_madvise, stack, STACK_BYTES, MADV_DONTFORK);
    if (r == 0) {
        do
            r = sys(SYS_wait4, pid, &wait_status, 0, &use);
        while (r == EINTR_ANSWER);
    }
    if (r < 0)
        report(0, (int)r);
    else
        report_end(0, wait_status, &use);
    leave_nothing(stack);
}

static struct middle *free_middle(void)
{
    for (size_t i = 0; i < MIDDLES_MAX; i++) {
        struct middle *m = &middles[i];

        if (m->tid != 0)
            continue;
        if (m->stack == NULL) {
            long r = sys(SYS_mmap, NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_STACK_, -1, 0);

            if (r < 0 && r > -4096)
                return NULL;
            m->stack = (char *)r;
        }
        return m;
    }
    return NULL;
}

static void close_call(void)
{
    for (uint32_t i = 0; i < NEST_JOIN_FDS(call.join.groups); i++)
        sys(SYS_close, call.fds[i]);
}

/* Takes the next request.  An end of the socket ends the zygote; anything malformed cannot come
 * from our builder, so it does too. */
static void receive_call(void)
{
    union {
        char bytes[CMSG_SPACE(sizeof call.fds)];
        struct cmsghdr align;
    } control;
    struct iovec iov = {&call.join, sizeof call.join};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof control};
    struct cmsghdr *cmsg;
    long n;

    do
        n = sys(SYS_recvmsg, ZYGOTE_SOCK, &msg, 0);
    while (n == EINTR_ANSWER);
    cmsg = CMSG_FIRSTHDR(&msg);
    if (n != (long)sizeof call.join || call.join.groups > NEST_GROUPS_MAX ||
        call.join.session > 1 || cmsg == NULL ||
        cmsg->cmsg_len != CMSG_LEN(NEST_JOIN_FDS(call.join.groups) * sizeof(int)))
        leave(0);
    for (uint32_t i = 0; i < NEST_JOIN_FDS(call.join.groups); i++)
        call.fds[i] = ((int *)(void *)CMSG_DATA(cmsg))[i];
}

/* Makes the middle process and stands still until it has forked.  The fork hooks of the interpreter
 * run here, around the one copy that is made. */
static void make_child(void)
{
    struct middle *m = free_middle();
    char byte;
    long pid;

    if (m == NULL || sys(SYS_madvise, m->stack, STACK_BYTES, MADV_DOFORK) < 0 ||
        sys(SYS_pipe2, call.sync, 0) < 0) {
        report(call.fds[FD_STATUS], EAGAIN_ANSWER);
        return;
    }
    call.prefault = m - middles < PREFAULTED_MAX; /* the lowest free place is taken first */
    call.stack = m->stack;
    call.hooks->before_fork();
    pid = dunlin_clone(middle_main, m->stack + STACK_BYTES, MIDDLE_FLAGS, &m->tid, &m->tid);
    sys(SYS_close, call.sync[1]);
    if (pid > 0) {
        while (sys(SYS_read, call.sync[0], &byte, 1) == EINTR_ANSWER)
            ;
    } else {
        report(call.fds[FD_STATUS], EAGAIN_ANSWER);
    }
    sys(SYS_close, call.sync[0]);
    call.hooks->after_fork_parent();
}

static size_t append(char *out, size_t at, size_t cap, const char *text)
{
    while (*text != '\0' && at < cap)
        out[at++] = *text++;
    return at;
}

/* In the copy: has the kernel make the pages that the run will touch at one go, which takes a
 * fraction of the time that a trap for each takes.  Only a matter of speed: a kernel that cannot
 * (before 5.14) says so, and the traps come later. */
static void prefault(void)
{
    for (size_t i = 0; i < hot.n; i++)
        sys(SYS_madvise, hot.ranges[i].start, hot.ranges[i].bytes, hot.ranges[i].advice);
}

/* Its own, and the sandbox's: descriptor 0 of the zygote is one open file for all its children, and
 * what one run sets on it with fcntl(2) the next would find. */
static int open_stdin(struct confine *c)
{
    c->stdio[0] = (int)sys(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY, 0);
    return c->stdio[0] < 0 ? c->stdio[0] : 0;
}

/* In the copy: every lock on, or the end. */
static int lock_in(struct confine *c)
{
    const char *step = "groups";
    char text[64];
    size_t len;
    int r = enter_groups();

    if (r == 0) {
        step = "stdin";
        r = open_stdin(c);
    }
    if (r == 0)
        r = confine(c, &step);
    if (r == 0)
        return c->keep_fd;
    len = append(text, 0, sizeof text - 4, "E");
    len = append(text, len, sizeof text - 4, step);
    text[len++] = ' ';
    text[len++] = (char)('0' + -r / 100 % 10);
    text[len++] = (char)('0' + -r / 10 % 10);
    text[len++] = (char)('0' + -r % 10);
    sys(SYS_sendto, c->keep_fd, text, len, MSG_NOSIGNAL, NULL, 0);
    leave(126);
}

EXPORT void dunlin_prefault(const struct range *ranges, size_t n);
/* Names the pages that children shall have from the start; `ranges` must stay. */
EXPORT void dunlin_prefault(const struct range *ranges, size_t n)
{
    hot.ranges = ranges;
    hot.n = n;
}

/* Serves the builder until it goes away; does not return in the zygote.  Returns once in each
 * child: fully locked in, inside its sandbox, with stdout and stderr connected, in work_dir, or in
 * a session in SESSION_WORK_DIR.  The result is the descriptor of the job socket. */
EXPORT int dunlin_serve(const struct hooks *hooks, const struct sock_filter *filter,
                        unsigned filter_len, const char *work_dir);
EXPORT int dunlin_serve(const struct hooks *hooks, const struct sock_filter *filter,
                        unsigned filter_len, const char *work_dir)
{
    struct confine c = {.work_dir = work_dir,
                        .seccomp = filter,
                        .seccomp_len = (uint16_t)filter_len,
                        .parent_death = true};
    int job;

    call.hooks = hooks;
    if (__builtin_setjmp(call.resume) == 0) {
        sys(SYS_sendto, ZYGOTE_SOCK, "R", 1, MSG_NOSIGNAL, NULL, 0);
        for (;;) {
            receive_call();
            make_child();
            close_call();
        }
    }
    if (call.join.session == 1) {
        c.work_dir = SESSION_WORK_DIR;
        c.in_session = true;
    }
    c.stdio[1] = call.fds[FD_OUT];
    c.stdio[2] = call.fds[FD_ERR];
    c.keep_fd = call.fds[FD_JOB];
    job = lock_in(&c);
    if (call.prefault)
        prefault();
    call.hooks->after_fork_child();
    return job;
}

/* Tests of descent, with real processes.  Needs root. */
#include "spawner/descent.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test_support.h"
#include "spawner/pidfd.h"

#define TICK_US 50
#define LOOKS   5000

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

static pid_t start(uint64_t flags, int *ret_pidfd)
{
    struct clone_args args = {.flags = flags | CLONE_PIDFD,
                              .pidfd = (uint64_t)(uintptr_t)ret_pidfd,
                              .exit_signal = SIGCHLD};
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);

    if (pid == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

struct nest {
    pid_t pid;
    int pidfd, sandbox, helper, sock; /* sock: our end */
};

/* A nest in which a sandbox and a process of its own live, and tell nothing. */
static _Noreturn void live_in_nest(int sock)
{
    int fds[2];

    if (start(CLONE_NEWPID, &fds[0]) != 0 && start(0, &fds[1]) != 0 &&
        fd_send(sock, "p", 1, fds, 2, NULL) < 0)
        _exit(1);
    for (;;)
        pause();
}

static struct nest start_nest(void)
{
    struct nest n = {.pidfd = -1};
    int pair[2], fds[2];
    size_t nfds;
    char byte;

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    n.pid = start(CLONE_NEWPID, &n.pidfd);
    if (n.pid == 0)
        live_in_nest(pair[1]);
    assert_true(n.pid > 0);
    close(pair[1]);
    n.sock = pair[0];
    assert_int_equal(fd_recv(n.sock, &byte, 1, fds, 2, &nfds, NULL), 1);
    assert_int_equal(nfds, 2);
    n.sandbox = fds[0];
    n.helper = fds[1];
    return n;
}

static void end_nest(struct nest *n)
{
    kill(n->pid, SIGKILL); /* our child, and not reaped yet */
    waitpid(n->pid, NULL, 0);
    close(n->sock);
    fd_close(&n->helper);
    fd_close(&n->sandbox);
    fd_close(&n->pidfd);
}

static int skip_without_root(void **state)
{
    if (geteuid() != 0)
        skip();
    return 0;
}

static void a_sandbox_belongs_to_its_own_nest_only(void **state)
{
    struct nest one = start_nest(), other = start_nest();

    assert_true(descent_is_sandbox(one.sandbox, one.pidfd));
    assert_true(descent_is_sandbox(other.sandbox, other.pidfd));
    assert_false(descent_is_sandbox(other.sandbox, one.pidfd));
    end_nest(&other);
    assert_false(descent_is_sandbox(one.sandbox, other.pidfd));
    end_nest(&one);
}

static void the_nest_and_what_runs_beside_it_are_no_sandboxes(void **state)
{
    struct nest one = start_nest();

    assert_false(descent_is_sandbox(one.pidfd, one.pidfd));
    assert_false(descent_is_sandbox(one.helper, one.pidfd));
    end_nest(&one);
}

static void nor_is_the_spawner_or_anybody_on_the_host(void **state)
{
    struct nest one = start_nest();
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0), peer = -1;
    int first = (int)syscall(SYS_pidfd_open, 1, 0);
    socklen_t len = sizeof peer;

    assert_false(descent_is_sandbox(self, one.pidfd));
    assert_false(descent_is_sandbox(first, one.pidfd));
    if (getsockopt(one.sock, SOL_SOCKET, SO_PEERPIDFD, &peer, &len) == 0)
        assert_false(descent_is_sandbox(peer, one.pidfd));
    fd_close(&peer);
    fd_close(&first);
    fd_close(&self);
    end_nest(&one);
}

static void what_has_ended_may_be_anybody_and_what_is_no_process_is_nobody(void **state)
{
    struct nest one = start_nest();
    int dead = -1, pipefd[2];
    pid_t pid = start(0, &dead);

    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
    assert_true(descent_is_sandbox(dead, one.pidfd));
    assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
    assert_int_equal(write(pipefd[1], "Pid:\t1\n", 7), 7);
    assert_false(descent_is_sandbox(pipefd[0], one.pidfd));
    close(pipefd[0]);
    close(pipefd[1]);
    close(dead);
    end_nest(&one);
}

static void tick(int signum)
{
}

/* linger's clock ticks meanwhile; on a busy machine a tick is often pending when a call begins. */
static void a_clock_that_ticks_makes_nobody_look_dead(void **state)
{
    const struct timeval short_time = {.tv_usec = TICK_US};
    struct nest one = start_nest();
    int found = 0;

    sigaction(SIGALRM, &(const struct sigaction){.sa_handler = tick}, NULL);
    setitimer(ITIMER_REAL, &(const struct itimerval){short_time, short_time}, NULL);
    for (int i = 0; i < LOOKS; i++)
        found += pidfd_is_alive(one.sandbox) && descent_is_sandbox(one.sandbox, one.pidfd);
    setitimer(ITIMER_REAL, &(const struct itimerval){0}, NULL);
    assert_int_equal(found, LOOKS);
    end_nest(&one);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, skip_without_root)
    const struct CMUnitTest tests[] = {
        TEST(a_sandbox_belongs_to_its_own_nest_only),
        TEST(the_nest_and_what_runs_beside_it_are_no_sandboxes),
        TEST(nor_is_the_spawner_or_anybody_on_the_host),
        TEST(what_has_ended_may_be_anybody_and_what_is_no_process_is_nobody),
        TEST(a_clock_that_ticks_makes_nobody_look_dead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

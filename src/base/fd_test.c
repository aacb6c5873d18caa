/* Tests of fd. */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test_support.h"

static void make_pair(int type, int pair[2])
{
    assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair), 0);
}

static void close_pair(int pair[2])
{
    fd_close(&pair[0]);
    fd_close(&pair[1]);
}

/* Number of this process's open descriptors. */
static int count_open(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void close_resets_and_keeps_errno(void **state)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int copy = fd;
    errno = EXDEV;
    fd_close(&fd);
    assert_int_equal(fd, -1);
    assert_int_equal(fcntl(copy, F_GETFD), -1);
    errno = EXDEV;
    fd_close(&fd);
    copy = 250; /* not open */
    fd_close(&copy);
    assert_int_equal(errno, EXDEV);
}

static void cleanup_closes_and_steal_prevents_it(void **state)
{
    int before = count_open();
    int kept;
    {
        _cleanup_fd_ int a = open("/dev/null", O_RDONLY | O_CLOEXEC);
        _cleanup_fd_ int b = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_true(a >= 0);
        kept = fd_steal(&b);
        assert_int_equal(b, -1);
    }
    assert_int_equal(count_open(), before + 1);
    fd_close(&kept);
}

static void nonblock_is_set_or_refused(void **state)
{
    int pair[2];
    make_pair(SOCK_STREAM, pair);
    struct err e;
    assert_int_equal(fd_set_nonblock(pair[0], &e), 0);
    assert_true(fcntl(pair[0], F_GETFL) & O_NONBLOCK);
    close_pair(pair);
    assert_int_equal(fd_set_nonblock(-1, &e), -1);
    assert_int_equal(e.errnum, EBADF);
}

static void write_all_reports_failures(void **state)
{
    struct err e;
    assert_int_equal(fd_write_all(-1, "x", 1, &e), -1);
    assert_int_equal(e.errnum, EBADF);
    assert_int_equal(fd_write_all(-1, "x", 0, &e), 0);

    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fd_close(&ends[0]);
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(fd_write_all(ends[1], "x", 1, &e), -1);
    assert_int_equal(e.code, ERR_CLOSED);
    assert_int_equal(e.errnum, EPIPE);
    fd_close(&ends[1]);
}

static void on_alarm(int signum)
{
}

/* A pipe holds 64 KiB; a reader that is slow and a timer that interrupts make every write short. */
static void write_all_survives_interrupts_and_short_writes(void **state)
{
    enum { TOTAL = 1 << 20 };
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        close(ends[1]);
        static char sink[30000];
        size_t got = 0;
        for (ssize_t n; (n = read(ends[0], sink, sizeof sink)) > 0; got += (size_t)n)
            usleep(1000);
        _exit(got == TOTAL ? 0 : 1);
    }
    fd_close(&ends[0]);
    struct sigaction act = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &act, NULL);
    struct itimerval timer = {{0, 500}, {0, 500}};
    setitimer(ITIMER_REAL, &timer, NULL);
    char *data = calloc(1, TOTAL);
    struct err e;
    int result = fd_write_all(ends[1], data, TOTAL, &e);
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    free(data);
    fd_close(&ends[1]);
    int status;
    while (waitpid(child, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    assert_int_equal(result, 0);
    assert_int_equal(status, 0);
}

static void a_message_carries_bytes_and_descriptors(void **state)
{
    int pair[2], sent[2];
    make_pair(SOCK_SEQPACKET, pair);
    assert_int_equal(pipe2(sent, O_CLOEXEC), 0);
    struct err e;
    assert_int_equal(fd_send(pair[0], "hello", 5, sent, 2, &e), 0);

    char data[16];
    int got[FD_PASS_MAX];
    size_t n = 99;
    assert_int_equal(fd_recv(pair[1], data, sizeof data, got, 2, &n, &e), 5);
    assert_memory_equal(data, "hello", 5);
    assert_int_equal(n, 2);
    assert_true(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(got[1], "z", 1), 1);
    assert_int_equal(read(sent[0], data, 1), 1);
    assert_int_equal(data[0], 'z');
    close_pair(got);
    close_pair(sent);
    close_pair(pair);
}

static void try_send_never_waits_for_room(void **state)
{
    int pair[2];
    char data[4096] = {0};
    struct err e = {0};

    make_pair(SOCK_SEQPACKET, pair);
    while (fd_try_send(pair[0], data, sizeof data, NULL, 0, &e) == 0)
        ;
    assert_int_equal(e.errnum, EAGAIN);
    close_pair(pair);
}

static void the_end_of_the_peer_is_zero(void **state)
{
    int pair[2];
    make_pair(SOCK_SEQPACKET, pair);
    struct err e;
    assert_int_equal(fd_send(pair[0], "a", 1, NULL, 0, &e), 0);
    fd_close(&pair[0]);
    char data[4];
    assert_int_equal(fd_recv(pair[1], data, sizeof data, NULL, 0, NULL, &e), 1);
    assert_int_equal(fd_recv(pair[1], data, sizeof data, NULL, 0, NULL, &e), 0);
    assert_int_equal(fd_send(pair[1], "a", 1, NULL, 0, &e), -1);
    assert_int_equal(e.code, ERR_CLOSED);
    close_pair(pair);
}

static void send_refuses_what_the_receiver_would_misread(void **state)
{
    int fds[FD_PASS_MAX + 1] = {0};
    struct err e;
    assert_int_equal(fd_send(-1, "", 0, NULL, 0, &e), -1);
    assert_int_equal(e.code, ERR_INVALID);
    assert_int_equal(fd_send(-1, "x", 1, fds, FD_PASS_MAX + 1, &e), -1);
    assert_int_equal(e.code, ERR_INVALID);
    assert_int_equal(fd_send(-1, "x", 1, NULL, 0, &e), -1);
    assert_int_equal(e.errnum, EBADF);
    char byte;
    assert_int_equal(fd_recv(-1, &byte, 1, NULL, 0, NULL, &e), -1);
    assert_int_equal(e.errnum, EBADF);
}

static void a_full_or_empty_socket_answers_eagain(void **state)
{
    int pair[2];
    make_pair(SOCK_SEQPACKET | SOCK_NONBLOCK, pair);
    struct err e = {0};
    char data[1024] = {0};
    assert_int_equal(fd_recv(pair[0], data, sizeof data, NULL, 0, NULL, &e), -1);
    assert_int_equal(e.errnum, EAGAIN);
    assert_int_equal(e.code, ERR_UNAVAILABLE);
    int result = 0;
    for (int i = 0; i < 100000 && result == 0; i++)
        result = fd_send(pair[0], data, sizeof data, NULL, 0, &e);
    assert_int_equal(result, -1);
    assert_int_equal(e.errnum, EAGAIN);
    close_pair(pair);
}

static void a_partly_sent_message_is_an_error(void **state)
{
    int pair[2];
    make_pair(SOCK_STREAM | SOCK_NONBLOCK, pair);
    size_t size = 8u << 20;
    char *data = calloc(1, size);
    struct err e;
    assert_int_equal(fd_send(pair[0], data, size, NULL, 0, &e), -1);
    assert_int_equal(e.errnum, EMSGSIZE);
    free(data);
    close_pair(pair);
}

static void a_longer_message_is_refused_and_its_descriptors_closed(void **state)
{
    int pair[2];
    make_pair(SOCK_SEQPACKET, pair);
    int before = count_open();
    struct err e;
    assert_int_equal(fd_send(pair[0], "too long", 8, (int[]){0}, 1, &e), 0);
    char data[4];
    int got[1] = {-7};
    size_t n = 5;
    assert_int_equal(fd_recv(pair[1], data, sizeof data, got, 1, &n, &e), -1);
    assert_int_equal(e.code, ERR_INVALID);
    assert_contains(e.text, "too long");
    assert_int_equal(got[0], -7);
    assert_int_equal(n, 5);
    assert_int_equal(count_open(), before);
    close_pair(pair);
}

static void surplus_descriptors_are_refused_and_closed(void **state)
{
    int pair[2];
    make_pair(SOCK_SEQPACKET, pair);
    int before = count_open();
    struct err e;
    assert_int_equal(fd_send(pair[0], "x", 1, (int[]){0, 1, 2}, 3, &e), 0);
    char data[4];
    int got[2];
    assert_int_equal(fd_recv(pair[1], data, sizeof data, got, 2, NULL, &e), -1);
    assert_contains(e.text, "too many descriptors");
    assert_int_equal(fd_send(pair[0], "x", 1, (int[]){0}, 1, &e), 0);
    assert_int_equal(fd_recv(pair[1], data, sizeof data, NULL, 0, NULL, &e), -1);
    assert_int_equal(count_open(), before);
    close_pair(pair);
}

/* Sends more descriptors, or fewer bytes, than fd_send would. */
static void send_raw(int sock, size_t len, size_t nfds)
{
    enum { MOST = FD_PASS_MAX + 4 };
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * MOST)];
    } control = {0};
    char byte = 'x';
    struct iovec iov = {.iov_base = &byte, .iov_len = len};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = CMSG_SPACE(sizeof(int) * nfds)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
    assert_int_equal(sendmsg(sock, &msg, 0), (ssize_t)len);
}

static void descriptors_beyond_the_maximum_are_refused_and_closed(void **state)
{
    int pair[2];
    make_pair(SOCK_SEQPACKET, pair);
    int before = count_open();
    send_raw(pair[0], 1, FD_PASS_MAX + 4);
    char data[4];
    int got[FD_PASS_MAX];
    struct err e;
    assert_int_equal(fd_recv(pair[1], data, sizeof data, got, FD_PASS_MAX, NULL, &e), -1);
    assert_contains(e.text, "too many descriptors");
    assert_int_equal(count_open(), before);
    close_pair(pair);
}

static void descriptors_without_bytes_are_refused_and_closed(void **state)
{
    int pair[2];
    make_pair(SOCK_SEQPACKET, pair);
    int before = count_open();
    send_raw(pair[0], 0, 1);
    char data[4];
    int got[1];
    struct err e;
    assert_int_equal(fd_recv(pair[1], data, sizeof data, got, 1, NULL, &e), -1);
    assert_contains(e.text, "without a message");
    assert_int_equal(count_open(), before);
    close_pair(pair);
}

static void the_maximum_of_descriptors_passes(void **state)
{
    int pair[2];
    make_pair(SOCK_SEQPACKET, pair);
    int fds[FD_PASS_MAX] = {0};
    struct err e;
    assert_int_equal(fd_send(pair[0], "x", 1, fds, FD_PASS_MAX, &e), 0);
    char data[4];
    size_t n = 0;
    assert_int_equal(fd_recv(pair[1], data, sizeof data, fds, FD_PASS_MAX, &n, &e), 1);
    assert_int_equal(n, FD_PASS_MAX);
    for (size_t i = 0; i < n; i++)
        fd_close(&fds[i]);
    close_pair(pair);
}

/* With SO_PASSCRED the kernel adds control data that is no descriptor. */
static void other_control_data_is_skipped(void **state)
{
    int pair[2];
    make_pair(SOCK_SEQPACKET, pair);
    int on = 1;
    assert_int_equal(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
    struct err e;
    assert_int_equal(fd_send(pair[0], "x", 1, NULL, 0, &e), 0);
    char data[4];
    size_t n = 9;
    assert_int_equal(fd_recv(pair[1], data, sizeof data, NULL, 0, &n, &e), 1);
    assert_int_equal(n, 0);
    close_pair(pair);
}

static void who_takes_no_descriptors_is_sent_none(void **state)
{
    int pair[2], value;
    socklen_t len = sizeof value;
    char data[4];
    size_t n = 9;
    struct err e;

    make_pair(SOCK_STREAM, pair);
    if (getsockopt(pair[0], SOL_SOCKET, 83 /* SO_PASSRIGHTS */, &value, &len) < 0) {
        close_pair(pair);
        skip(); /* before Linux 6.16 */
    }
    fd_take_no_descriptors(pair[0]);
    assert_int_equal(fd_send(pair[1], "x", 1, &pair[1], 1, &e), -1);
    assert_int_equal(e.errnum, EPERM);
    assert_int_equal(fd_send(pair[1], "y", 1, NULL, 0, &e), 0);
    assert_int_equal(fd_recv(pair[0], data, sizeof data, NULL, 0, &n, &e), 1);
    assert_int_equal(data[0], 'y');
    /* The other end is asked nothing. */
    assert_int_equal(fd_send(pair[0], "z", 1, &pair[0], 1, &e), 0);
    close_pair(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(close_resets_and_keeps_errno),
        cmocka_unit_test(cleanup_closes_and_steal_prevents_it),
        cmocka_unit_test(nonblock_is_set_or_refused),
        cmocka_unit_test(write_all_reports_failures),
        cmocka_unit_test(write_all_survives_interrupts_and_short_writes),
        cmocka_unit_test(a_message_carries_bytes_and_descriptors),
        cmocka_unit_test(try_send_never_waits_for_room),
        cmocka_unit_test(the_end_of_the_peer_is_zero),
        cmocka_unit_test(send_refuses_what_the_receiver_would_misread),
        cmocka_unit_test(a_full_or_empty_socket_answers_eagain),
        cmocka_unit_test(a_partly_sent_message_is_an_error),
        cmocka_unit_test(a_longer_message_is_refused_and_its_descriptors_closed),
        cmocka_unit_test(surplus_descriptors_are_refused_and_closed),
        cmocka_unit_test(descriptors_beyond_the_maximum_are_refused_and_closed),
        cmocka_unit_test(descriptors_without_bytes_are_refused_and_closed),
        cmocka_unit_test(the_maximum_of_descriptors_passes),
        cmocka_unit_test(other_control_data_is_skipped),
        cmocka_unit_test(who_takes_no_descriptors_is_sent_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

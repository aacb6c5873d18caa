/* Tests of lockdown: each in a child that locks itself down and tries.  Needs root. */
#include "server/lockdown.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pty.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test_support.h"
#include "store/store.h"

#define UID 0x70000000u

struct place {
    char above[48]; /* closed to everybody but root */
    char dir[64];
    int state;
    int fds[2]; /* what an attempt has besides */
    int (*before)(struct place *p);
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);

    if (geteuid() != 0 || lockdown_landlock_abi() == 0) {
        free(p);
        skip();
    }
    strcpy(p->above, "/tmp/dunlin-lockdown-XXXXXX");
    if (mkdtemp(p->above) == NULL)
        return -1;
    snprintf(p->dir, sizeof p->dir, "%s/db", p->above);
    if (mkdir(p->dir, 0700) < 0)
        return -1;
    p->state = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = p;
    return fchown(p->state, UID, UID);
}

static int tear_down(void **state)
{
    struct place *p = *state;
    char command[128];

    close(p->state);
    snprintf(command, sizeof command, "rm -rf %s", p->above);
    free(p);
    return system(command);
}

/* The child's exit status: 0, or the number of the line that failed. */
static int in_lockdown(struct place *p, int (*attempt)(struct place *p))
{
    pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        struct err e = {0};

        if (p->before != NULL && p->before(p) < 0)
            _exit(2);
        if (fchdir(p->state) < 0 || lockdown_enter(UID, p->state, &e) < 0)
            _exit(1);
        _exit(attempt(p));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return __LINE__ & 0xff;                                                                \
    } while (0)

static int count(void *data, const struct environment_record *r)
{
    ++*(int *)data;
    return 0;
}

static int use_the_database(struct place *p)
{
    struct environment_record r = {.name = (char *)"e", .created_at = (char *)"now"};
    struct store *s = store_open(".", NULL);
    int n = 0;

    CHECK(s != NULL);
    for (int i = 0; i < 200; i++) {
        CHECK(store_environment_add(s, &r, NULL) == 0);
        CHECK(store_environment_remove(s, r.id, NULL) == 0);
    }
    CHECK(store_environment_add(s, &r, NULL) == 0);
    store_close(s);
    s = store_open(".", NULL);
    CHECK(s != NULL);
    CHECK(store_environments(s, count, &n, NULL) == 0 && n == 1);
    store_close(s);
    CHECK(access("dunlin.db-wal", F_OK) < 0);
    return 0;
}

static void the_database_works_where_nothing_above_it_can_be_entered(void **state)
{
    assert_int_equal(in_lockdown(*state, use_the_database), 0);
}

static int use_logs(struct place *p)
{
    struct statfs fs;
    char back[4];
    int fd = openat(p->state, "1.log", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    CHECK(fd >= 0);
    CHECK(write(fd, "abc", 3) == 3);
    CHECK(pread(fd, back, 3, 0) == 3);
    CHECK(fstatfs(fd, &fs) == 0);
    CHECK(close(fd) == 0);
    fd = openat(p->state, "1.log", O_WRONLY | O_TRUNC | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK(unlinkat(p->state, "1.log", 0) == 0);
    CHECK(memfd_create("list", MFD_CLOEXEC | MFD_ALLOW_SEALING) >= 0);
    return 0;
}

static void logs_can_be_kept_and_removed(void **state)
{
    assert_int_equal(in_lockdown(*state, use_logs), 0);
}

static int leave(struct place *p)
{
    static const char *const paths[] = {"/etc/passwd", "/proc/self/status", "/dev/null", "/",
                                        "..",          "../other",          "/tmp"};
    char outside[96];

    for (size_t i = 0; i < TEST_COUNT(paths); i++)
        CHECK(open(paths[i], O_RDONLY | O_CLOEXEC) < 0);
    snprintf(outside, sizeof outside, "%s/new", p->above);
    CHECK(open(outside, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0);
    CHECK(open("/tmp/dunlin-lockdown-new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0);
    CHECK(openat(p->state, "link", O_RDONLY | O_CLOEXEC) < 0);
    CHECK(unlink("/tmp/dunlin-lockdown-new") < 0);
    return 0;
}

static void nothing_else_can_be_opened_not_through_a_link_either(void **state)
{
    struct place *p = *state;

    assert_int_equal(symlinkat("/etc/passwd", p->state, "link"), 0);
    assert_int_equal(in_lockdown(p, leave), 0);
}

static int make_other_things(struct place *p)
{
    CHECK(symlinkat("/etc", p->state, "s") < 0);
    CHECK(linkat(p->state, "file", p->state, "hard", 0) < 0);
    CHECK(mkdirat(p->state, "d", 0700) < 0);
    CHECK(mkfifoat(p->state, "fifo", 0600) < 0);
    CHECK(renameat(p->state, "file", p->state, "moved") < 0);
    CHECK(fchmodat(p->state, "file", 04777, 0) < 0);
    return 0;
}

static void only_plain_files_can_be_made(void **state)
{
    struct place *p = *state;
    int fd = openat(p->state, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(fchown(fd, UID, UID), 0);
    close(fd);
    assert_int_equal(in_lockdown(p, make_other_things), 0);
}

static int reach_out(struct place *p)
{
    CHECK(socket(AF_INET, SOCK_STREAM, 0) < 0);
    CHECK(socket(AF_UNIX, SOCK_STREAM, 0) < 0);
    CHECK(fork() < 0);
    CHECK(execl("/bin/true", "true", (char *)NULL) < 0);
    /* not by libc, which asks every thread, and a sanitizer's is not locked down */
    CHECK(getuid() == UID && syscall(SYS_setuid, 0) < 0);
    return 0;
}

static void no_socket_no_process_no_way_back(void **state)
{
    assert_int_equal(in_lockdown(*state, reach_out), 0);
}

static int speak_to_sessions(struct place *p)
{
    int pair[2], fds[2];

    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    CHECK(send(pair[0], "a", 1, 0) == 1);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    CHECK(pipe2(fds, O_CLOEXEC) == 0);
    CHECK(fchmod(fds[1], 0222) == 0 && fchmod(fds[0], 0444) == 0);
    CHECK(fchmod(fds[0], 04777) < 0);
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0);
    CHECK(socketpair(AF_TIPC, SOCK_SEQPACKET, 0, pair) < 0);
    return 0;
}

static void pairs_and_pipes_of_its_own_are_all_it_can_make(void **state)
{
    assert_int_equal(in_lockdown(*state, speak_to_sessions), 0);
}

/* A socket that listens on an address of the host, which goes to *ret. */
static int listen_somewhere(struct sockaddr_in *ret)
{
    socklen_t len = sizeof *ret;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    *ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)ret, len), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)ret, &len), 0);
    return fd;
}

static struct sockaddr_in service; /* somebody's on this host */

static int connect_by_sending(struct place *p)
{
    struct iovec iov = {(char *)"x", 1};
    struct msghdr message = {
        .msg_name = &service, .msg_namelen = sizeof service, .msg_iov = &iov, .msg_iovlen = 1};

    CHECK(shutdown(p->fds[0], SHUT_RD) == 0); /* listens no more, and is not connected */
    CHECK(sendto(p->fds[0], "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&service,
                 sizeof service) < 0);
    CHECK(sendmsg(p->fds[0], &message, MSG_FASTOPEN | MSG_NOSIGNAL) < 0);
    CHECK(connect(p->fds[0], (struct sockaddr *)&service, sizeof service) < 0);
    return 0;
}

static void a_socket_that_listened_connects_to_nobody(void **state)
{
    struct place *p = *state;
    struct sockaddr_in own;
    int theirs = listen_somewhere(&service), connected;

    p->fds[0] = listen_somewhere(&own);
    assert_int_equal(in_lockdown(p, connect_by_sending), 0);
    connected = accept(theirs, NULL, NULL);
    assert_int_equal(connected, -1);
    close(theirs);
    close(p->fds[0]);
}

/* As after "dunlin serve" in a shell: standard error is the terminal of the session. */
static int take_terminal(struct place *p)
{
    return setsid() < 0 ? -1 : ioctl(p->fds[1], TIOCSCTTY, 0);
}

static int type_at_the_terminal(struct place *p)
{
    CHECK(ioctl(p->fds[1], TIOCSTI, "x") < 0);
    CHECK(ioctl(p->fds[1], TIOCSETD, &(int){0}) < 0);
    CHECK(ioctl(p->fds[1], TIOCNOTTY) < 0);
    CHECK(isatty(p->fds[1]) == 1);
    return 0;
}

static void nothing_is_typed_at_the_operator_s_terminal(void **state)
{
    struct place *p = *state;
    int typed = 0;

    assert_int_equal(openpty(&p->fds[0], &p->fds[1], NULL, NULL, NULL), 0);
    p->before = take_terminal;
    assert_int_equal(in_lockdown(p, type_at_the_terminal), 0);
    ioctl(p->fds[1], FIONREAD, &typed);
    assert_int_equal(typed, 0);
    close(p->fds[0]);
    close(p->fds[1]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_database_works_where_nothing_above_it_can_be_entered),
        TEST(logs_can_be_kept_and_removed),
        TEST(nothing_else_can_be_opened_not_through_a_link_either),
        TEST(only_plain_files_can_be_made),
        TEST(no_socket_no_process_no_way_back),
        TEST(pairs_and_pipes_of_its_own_are_all_it_can_make),
        TEST(a_socket_that_listened_connects_to_nobody),
        TEST(nothing_is_typed_at_the_operator_s_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* hostile_nest: a builder that was taken over, in the place of dunlin-init, for
 * tests/test_hostile_nest.py.
 *
 * Runs as pid 1 of a nest, with all its rights over it.  Its work directory says what it does when
 * it shall build a sandbox:
 *
 *   /peer     answers with the pidfd of the spawner
 *   /self     answers with its own
 *   /server   answers with the descriptor of a socket
 *   /linger   leaves behind a socket whose end takes an hour, unread
 *   /surplus  sends it along with others
 *   /silent   says nothing, and leaves what is asked where it is */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "wire/nest.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif
#define SPAWNER       3
#define LINGER_S      3600
#define WORK_DIR_ARGV 3

static void answer(const struct nest_request *req, const int *fds, size_t nfds)
{
    struct nest_reply reply = {.op = NEST_BUILD, .slot = req->slot};

    fd_send(SPAWNER, &reply, sizeof reply, fds, nfds, NULL);
}

static int pidfd_of_spawner(void)
{
    int fd = -1;
    socklen_t len = sizeof fd;

    getsockopt(SPAWNER, SOL_SOCKET, SO_PEERPIDFD, &fd, &len);
    return fd;
}

/* fds[0] has more to send than fds[1], its other end, will ever read, and waits for that. */
static int make_lingering(int fds[2])
{
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct linger linger = {.l_onoff = 1, .l_linger = LINGER_S};
    socklen_t len = sizeof at;
    static char bytes[65536];
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || fds[0] < 0 || ioctl(listener, SIOCSIFFLAGS, &lo) < 0 ||
        bind(listener, (struct sockaddr *)&at, len) < 0 || listen(listener, 1) < 0 ||
        getsockname(listener, (struct sockaddr *)&at, &len) < 0 ||
        connect(fds[0], (struct sockaddr *)&at, len) < 0)
        return -1;
    fds[1] = accept(listener, NULL, NULL);
    while (send(fds[0], bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        ;
    return setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

static void build(const char *what, const struct nest_request *req)
{
    int fds[2] = {-1, -1};

    if (strcmp(what, "/peer") == 0) {
        fds[0] = pidfd_of_spawner();
        answer(req, fds, 1);
    } else if (strcmp(what, "/self") == 0) {
        fds[0] = (int)syscall(SYS_pidfd_open, 1, 0);
        answer(req, fds, 1);
    } else if (strcmp(what, "/server") == 0) {
        fds[0] = fcntl(SPAWNER, F_DUPFD, 0);
        answer(req, fds, 1);
    } else if (make_lingering(fds) == 0) {
        if (strcmp(what, "/linger") == 0)
            fd_send(SPAWNER, "?", 1, NULL, 0, NULL); /* is the end of this nest */
        answer(req, fds, 2);
    }
    fd_close(&fds[0]);
    fd_close(&fds[1]);
}

int main(int argc, char **argv)
{
    struct nest_request req;
    int fds[FD_PASS_MAX];
    size_t nfds;

    while (argc > WORK_DIR_ARGV && strcmp(argv[WORK_DIR_ARGV], "/silent") == 0)
        pause();
    while (argc > WORK_DIR_ARGV &&
           fd_recv(SPAWNER, &req, sizeof req, fds, FD_PASS_MAX, &nfds, NULL) == sizeof req) {
        for (size_t i = 0; i < nfds; i++)
            close(fds[i]);
        if (req.op == NEST_BUILD)
            build(argv[WORK_DIR_ARGV], &req);
    }
    return 0;
}

/* network: the spawner's hold on its network process.
 *
 * Runs in the spawner, as root.  It trusts the process, which is made of the same code and reads
 * nothing foreign; still a message that does not fit is its end.  It must never answer for a
 * sandbox what was asked for another one in the same slot: every request has a serial number. */
#include "spawner/network.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "spawner/network_filter.h"
#include "spawner/network_process.h"
#include "spawner/spawner.h"

#define CLOSE_WAIT_MS 8000
#define SEND_BYTES    (8 << 20) /* a request in the queue takes about 1 KiB; all slots may ask */

static struct {
    struct network_plan plan;
    int watch; /* epoll over the socket, which comes and goes; -1: not open */
    int sock;  /* -1: no process */
    pid_t pid;
    bool is_gone; /* it has ended by itself; waiting slots get their answers */
    uint32_t serial;
    uint32_t waiting[LIMIT_SLOTS]; /* the serial that a slot waits for, 0: none */
    char why[NETWORK_TEXT];        /* it is not open */
} network = {.watch = -1, .sock = -1, .why = "networks are off (NETWORK_MODE=none)"};

int network_fd(void)
{
    return network.watch;
}

/* Waits until the process has ended, and ends it when that takes too long.  Returns whether it has
 * taken its work down: one that was killed has not. */
static bool reap(void)
{
    uint64_t end = clock_now_us() + (uint64_t)CLOSE_WAIT_MS * 1000;
    int status = 0;
    pid_t r;

    while ((r = waitpid(network.pid, &status, WNOHANG)) == 0 || (r < 0 && errno == EINTR)) {
        if (clock_now_us() >= end)
            kill(network.pid, SIGKILL);
        poll(NULL, 0, 2);
    }
    network.pid = 0;
    return WIFEXITED(status);
}

static void sweep(void)
{
    network.pid = fork();
    if (network.pid == 0)
        network_process_sweep(&network.plan);
    if (network.pid > 0)
        reap();
}

/* Lets go of the process: at the end of its socket it takes its work down. */
static void stop(void)
{
    if (network.sock >= 0)
        epoll_ctl(network.watch, EPOLL_CTL_DEL, network.sock, NULL);
    fd_close(&network.sock);
    network.is_gone = false;
    if (network.pid > 0 && !reap())
        sweep();
}

static int start(struct err *e)
{
    struct epoll_event ev = {.events = EPOLLIN};
    int size = SEND_BYTES, pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_set(e, ERR_INTERNAL, errno, "network: socketpair");
    network.sock = pair[0];
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    if (fd_set_nonblock(pair[0], e) < 0 ||
        epoll_ctl(network.watch, EPOLL_CTL_ADD, pair[0], &ev) < 0 || (network.pid = fork()) < 0) {
        close(pair[1]);
        network.pid = 0;
        stop();
        return err_set(e, ERR_INTERNAL, errno, "network: start the network process");
    }
    if (network.pid == 0) {
        close(pair[0]);
        network_process_run(&network.plan, pair[1]);
    }
    close(pair[1]);
    return 0;
}

int network_open(const struct spawn_config *config, const char *base_name, struct err *e)
{
    struct err own = {0};

    network_close();
    if (network_plan_init(&network.plan, config, base_name, &own) < 0 ||
        ((network.watch = epoll_create1(EPOLL_CLOEXEC)) < 0 &&
         err_set(&own, ERR_INTERNAL, errno, "network: epoll") < 0)) {
        snprintf(network.why, sizeof network.why, "%.*s", NETWORK_TEXT - 1, own.text);
        if (e != NULL)
            *e = own;
        return -1;
    }
    if (network_process_left_something(&network.plan))
        sweep();
    return 0;
}

int network_attach(uint32_t slot, int netns_fd, struct err *e)
{
    struct network_request req = {.slot = slot};
    struct err own = {0};

    if (network.watch < 0)
        return err_set(e, ERR_UNAVAILABLE, 0, "%s", network.why);
    if (network.sock < 0 && start(e) < 0)
        return -1;
    if (++network.serial == 0)
        network.serial = 1;
    req.serial = network.serial;
    /* To a process that has just died it cannot be sent either: read_remains() answers. */
    if (fd_send(network.sock, &req, sizeof req, &netns_fd, 1, &own) < 0 && own.errnum != EPIPE)
        return err_set(e, ERR_UNAVAILABLE, own.errnum, "network: ask for a link");
    network.waiting[slot] = req.serial;
    return 0;
}

void network_detach(uint32_t slot)
{
    network.waiting[slot] = 0;
}

static void describe(char text[static NETWORK_TEXT], uint32_t step, int error)
{
    snprintf(text, NETWORK_TEXT, "%s%s%s", network_step_text(step), error != 0 ? ": " : "",
             error != 0 ? strerror(error) : "");
}

static uint32_t first_waiting(void)
{
    uint32_t i = 0;

    while (i < LIMIT_SLOTS && network.waiting[i] == 0)
        i++;
    return i;
}

/* The next slot that waits in vain; with the last one the process is done with. */
static int read_remains(uint32_t *ret_slot, int *ret_error, char text[static NETWORK_TEXT])
{
    uint32_t slot = first_waiting();

    if (slot < LIMIT_SLOTS) {
        network.waiting[slot] = 0;
        *ret_slot = slot;
        *ret_error = EPIPE;
        describe(text, NETWORK_STEP_GONE, 0);
    }
    if (first_waiting() == LIMIT_SLOTS)
        stop();
    return slot < LIMIT_SLOTS;
}

int network_read(uint32_t *ret_slot, int *ret_error, char text[static NETWORK_TEXT])
{
    struct network_answer answer;
    struct err e = {0};
    size_t nfds;
    ssize_t n;

    if (network.sock < 0)
        return 0;
    if (network.is_gone)
        return read_remains(ret_slot, ret_error, text);
    n = fd_recv(network.sock, &answer, sizeof answer, NULL, 0, &nfds, &e);
    if (n < 0 && e.errnum == EAGAIN)
        return 0;
    if (n != sizeof answer || answer.slot >= LIMIT_SLOTS) {
        network.is_gone = true;
        return read_remains(ret_slot, ret_error, text);
    }
    if (network.waiting[answer.slot] != answer.serial)
        return 0;
    network.waiting[answer.slot] = 0;
    *ret_slot = answer.slot;
    *ret_error = answer.error;
    text[0] = '\0';
    if (answer.error != 0)
        describe(text, answer.step, answer.error == EIO ? 0 : answer.error);
    return 1;
}

void network_close(void)
{
    stop();
    fd_close(&network.watch);
    memset(network.waiting, 0, sizeof network.waiting);
    snprintf(network.why, sizeof network.why, "%s", "networks are closed");
}

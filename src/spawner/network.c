/* network: the spawner's hold on its network process.
 *
 * Runs in the spawner, as root.  It trusts the process, which is made of the same code and reads
 * nothing foreign; still a message that does not fit ends it.  It must never answer for a sandbox
 * what was asked for another one in the same slot: every request has a serial number. */
#include "spawner/network.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "spawner/network_filter.h"
#include "spawner/network_process.h"
#include "spawner/spawner.h"

#define OPEN_WAIT_MS  15000
#define CLOSE_WAIT_MS 8000
#define SEND_BYTES    (8 << 20) /* a request in the queue takes about 1 KiB; all slots may ask */

static struct {
    int sock; /* -1: no network */
    pid_t pid;
    uint32_t serial;
    uint32_t waiting[LIMIT_SLOTS]; /* the serial that a slot waits for, 0: none */
    bool is_gone;                  /* ended by itself; waiting slots get their answers */
    bool is_dirty;                 /* a process was started and has not taken down its work */
    struct network_plan plan;
    char why[NETWORK_TEXT]; /* there is no network */
} network = {.sock = -1, .why = "networks are off (NETWORK_MODE=none)"};

static void describe(char text[static NETWORK_TEXT], uint32_t step, int error)
{
    snprintf(text, NETWORK_TEXT, "%s%s%s", network_step_text(step), error != 0 ? ": " : "",
             error != 0 ? strerror(error) : "");
}

int network_fd(void)
{
    return network.sock;
}

/* Waits until the process has ended, and ends it when that takes too long. */
static void reap(void)
{
    uint64_t end = clock_now_us() + (uint64_t)CLOSE_WAIT_MS * 1000;
    int status = 0;

    if (network.pid <= 0)
        return;
    while (waitpid(network.pid, &status, WNOHANG) == 0) {
        if (clock_now_us() >= end)
            kill(network.pid, SIGKILL);
        poll(NULL, 0, 2);
    }
    network.pid = 0;
    if (WIFEXITED(status))
        network.is_dirty = false;
}

/* A process that was killed could not take down its work: another one does. */
static void sweep(void)
{
    network.pid = fork();
    if (network.pid == 0)
        network_process_sweep(&network.plan);
    reap();
    network.is_dirty = false;
}

static int start(struct err *e)
{
    int size = SEND_BYTES, pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_set(e, ERR_INTERNAL, errno, "network: socketpair");
    network.sock = pair[0];
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    network.pid = fd_set_nonblock(pair[0], e) < 0 ? -1 : fork();
    if (network.pid == 0) {
        close(pair[0]);
        network_process_run(&network.plan, pair[1]);
    }
    close(pair[1]);
    if (network.pid < 0)
        return err_set(e, ERR_INTERNAL, errno, "network: start a process");
    network.is_dirty = true;
    return 0;
}

static int await_ready(struct err *e)
{
    struct pollfd fd = {.fd = network.sock, .events = POLLIN};
    struct network_answer ready = {.step = NETWORK_STEP_GONE};
    char text[NETWORK_TEXT];
    size_t nfds;

    if (poll(&fd, 1, OPEN_WAIT_MS) <= 0)
        return err_set(e, ERR_UNAVAILABLE, ETIMEDOUT, "network: no answer from the kernel");
    if (fd_recv(network.sock, &ready, sizeof ready, NULL, 0, &nfds, NULL) != sizeof ready ||
        ready.slot != NETWORK_READY)
        ready.step = NETWORK_STEP_GONE;
    if (ready.step == NETWORK_STEP_NONE)
        return 0;
    describe(text, ready.step, ready.error);
    return err_set(e, ERR_UNAVAILABLE, 0, "%s", text);
}

int network_open(const struct spawn_config *config, const char *base_name, struct err *e)
{
    struct err own = {0};

    network_close();
    if (network_plan_init(&network.plan, config, base_name, &own) < 0 || start(&own) < 0 ||
        await_ready(&own) < 0) {
        network_close();
        snprintf(network.why, sizeof network.why, "%.*s", NETWORK_TEXT - 1, own.text);
        if (e != NULL)
            *e = own;
        return -1;
    }
    return 0;
}

int network_attach(uint32_t slot, int netns_fd, struct err *e)
{
    struct network_request req = {.slot = slot};

    if (network.sock < 0 || network.is_gone)
        return err_set(e, ERR_UNAVAILABLE, 0, "%s", network.why);
    if (++network.serial == 0)
        network.serial = 1;
    req.serial = network.serial;
    if (fd_send(network.sock, &req, sizeof req, &netns_fd, 1, e) < 0)
        return err_prefix(e, "network: ask for a link");
    network.waiting[slot] = req.serial;
    return 0;
}

void network_detach(uint32_t slot)
{
    network.waiting[slot] = 0;
}

/* The next slot that waits in vain; -1 when there is none and the process is done with. */
static int read_remains(uint32_t *ret_slot, int *ret_error, char text[static NETWORK_TEXT])
{
    for (uint32_t i = 0; i < LIMIT_SLOTS; i++) {
        if (network.waiting[i] == 0)
            continue;
        network.waiting[i] = 0;
        *ret_slot = i;
        *ret_error = EPIPE;
        snprintf(text, NETWORK_TEXT, "%s", network.why);
        return 1;
    }
    network.is_gone = false;
    fd_close(&network.sock);
    reap();
    return -1;
}

int network_read(uint32_t *ret_slot, int *ret_error, char text[static NETWORK_TEXT])
{
    struct network_answer answer;
    struct err e = {0};
    size_t nfds;
    ssize_t n;

    if (network.sock < 0)
        return -1;
    if (network.is_gone)
        return read_remains(ret_slot, ret_error, text);
    n = fd_recv(network.sock, &answer, sizeof answer, NULL, 0, &nfds, &e);
    if (n < 0 && e.errnum == EAGAIN)
        return 0;
    if (n != sizeof answer || answer.slot >= LIMIT_SLOTS) {
        network.is_gone = true;
        describe(network.why, NETWORK_STEP_GONE, 0);
        return read_remains(ret_slot, ret_error, text);
    }
    if (network.waiting[answer.slot] != answer.serial)
        return 0;
    network.waiting[answer.slot] = 0;
    *ret_slot = answer.slot;
    *ret_error = answer.error;
    text[0] = '\0';
    if (answer.error != 0)
        describe(text, answer.step, answer.error);
    return 1;
}

void network_close(void)
{
    fd_close(&network.sock);
    reap();
    if (network.is_dirty)
        sweep();
    network.is_gone = false;
    memset(network.waiting, 0, sizeof network.waiting);
    snprintf(network.why, sizeof network.why, "%s", "networks are closed");
}

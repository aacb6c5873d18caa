/* sources: src/engine/spawner_client.c src/base/buf.c src/base/clock.c src/base/err.c src/base/fd.c
 * src/base/log.c src/base/str.c */
/* libs: libuv */
/* longest: 1024 */
/* Fuzzes the server's reader of what the spawner answers.  The spawner is trusted; still, whatever
 * comes, each answer is told at most once, one that does not fit ends the connection, and no
 * descriptor is lost.
 *
 * The input is a list of steps, each a byte and what it needs. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "engine/spawner_client.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FDS_SEEN = 128, OPS = SPAWN_WORKSPACE_REMOVE + 1, ASKERS = 4 };

struct input {
    const uint8_t *data;
    size_t len;
};

static uv_loop_t loop;
static int ngone, asked[ASKERS], answered[ASKERS];
static bool forgot[ASKERS];

static uint8_t take_byte(struct input *in)
{
    if (in->len == 0)
        return 0;
    in->len--;
    return *in->data++;
}

static int count_open(void)
{
    int n = 0;

    for (int fd = 0; fd < FDS_SEEN; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void on_gone(void *data)
{
    CHECK(ngone++ == 0);
}

static void on_answer(void *data, const struct spawn_reply *reply, int *fds)
{
    size_t asker = (size_t)((int *)data - asked);
    size_t nfds = reply->op == SPAWN_OPEN               ? SPAWN_OPEN_FDS
                  : reply->op == SPAWN_JOIN             ? SPAWN_JOIN_FDS
                  : reply->op == SPAWN_WORKSPACE_ATTACH ? SPAWN_ATTACH_FDS
                                                        : 0;

    CHECK(ngone == 0 && !forgot[asker] && ++answered[asker] <= asked[asker]);
    for (size_t i = 0; i < nfds && reply->error == 0; i++)
        CHECK(fcntl(fds[i], F_GETFD) >= 0 && close(fds[i]) == 0);
}

/* A reply of the right size or another, with some descriptors. */
static void answer(int spawner, struct input *in, uint8_t choice)
{
    char bytes[sizeof(struct spawn_reply) + 1] = {0};
    struct spawn_reply reply = {.op = choice % OPS, .slot = choice >> 4};
    size_t len = sizeof reply, nfds = take_byte(in) % (SPAWN_FDS_MAX + 1);
    int fds[SPAWN_FDS_MAX];

    reply.error = take_byte(in) % 2 ? EIO : 0;
    memcpy(bytes, &reply, sizeof reply);
    if (choice >= 0xf0) {
        len = sizeof bytes - choice % 3;
        for (size_t i = 0; i < sizeof bytes && in->len > 0; i++)
            bytes[i] = (char)take_byte(in);
    }
    for (size_t i = 0; i < nfds; i++)
        fds[i] = dup(spawner);
    fd_send(spawner, bytes, len, fds, nfds, NULL);
    for (size_t i = 0; i < nfds; i++)
        close(fds[i]);
}

static void ask(struct spawner_client *c, uint8_t choice)
{
    struct spawn_request req = {.op = choice % OPS, .slot = choice >> 4};
    int asker = choice % ASKERS;

    if (forgot[asker])
        return;
    asked[asker]++;
    spawner_request(c, &req, req.op == SPAWN_CLOSE ? NULL : on_answer, &asked[asker]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct spawner_client *c;
    int pair[2], before;

    if (loop.data == NULL) {
        CHECK(uv_loop_init(&loop) == 0 && signal(SIGPIPE, SIG_IGN) != SIG_ERR);
        loop.data = &loop;
    }
    before = count_open();
    ngone = 0;
    memset(asked, 0, sizeof asked);
    memset(answered, 0, sizeof answered);
    memset(forgot, 0, sizeof forgot);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    c = spawner_client_create(&loop, pair[0], on_gone, NULL, NULL);
    CHECK(c != NULL);
    while (in.len > 0) {
        uint8_t step = take_byte(&in), choice = take_byte(&in);

        if (step % 4 < 2) {
            ask(c, choice);
        } else if (step % 4 == 2) {
            answer(pair[1], &in, choice);
        } else if (choice % 4 == 0) {
            forgot[choice / 4 % ASKERS] = true;
            spawner_forget(c, &asked[choice / 4 % ASKERS]);
        }
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    spawner_client_destroy(c);
    close(pair[1]);
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(count_open() == before);
    return 0;
}

/* spawner_client: the server's side of wire/spawn.h.
 *
 * Runs in the server's loop.  The spawner is trusted; if its answers do not fit, one of us is
 * broken, and the connection counts as gone. */
#include "engine/spawner_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

#define ANSWERS_AT_ONCE 32 /* then the loop serves others */

struct call {
    struct call *next;
    struct spawn_request req;
    spawner_answer *answer;
    void *data;
    bool forgotten;
};

struct call_queue {
    struct call *first, **tail;
};

struct spawner_client {
    uv_poll_t poll;
    int sock;
    struct call_queue unsent;  /* the socket was full */
    struct call_queue waiting; /* for their answers, in order */
    struct call_queue pings;
    uint32_t version;
    bool is_gone;
    void (*gone)(void *data);
    void *data;
};

static void queue_init(struct call_queue *q)
{
    q->first = NULL;
    q->tail = &q->first;
}

static void queue_push(struct call_queue *q, struct call *call)
{
    call->next = NULL;
    *q->tail = call;
    q->tail = &call->next;
}

static struct call *queue_pop(struct call_queue *q)
{
    struct call *call = q->first;

    if (call != NULL && (q->first = call->next) == NULL)
        q->tail = &q->first;
    return call;
}

static void queue_clear(struct call_queue *q)
{
    struct call *call;

    while ((call = queue_pop(q)) != NULL)
        free(call);
}

static void lose(struct spawner_client *c)
{
    if (c->is_gone)
        return;
    c->is_gone = true;
    uv_poll_stop(&c->poll);
    c->gone(c->data);
}

/* The asker has gone: what was opened for it is closed again. */
static void drop_answer(struct spawner_client *c, const struct spawn_reply *reply, int *fds)
{
    struct spawn_request req = {.op = SPAWN_CLOSE, .slot = reply->slot};

    if (reply->op != SPAWN_OPEN || reply->error != 0)
        return;
    for (int i = 0; i < SPAWN_OPEN_FDS; i++)
        fd_close(&fds[i]);
    spawner_request(c, &req, NULL, NULL);
}

/* One answer.  False when there is none, or no more. */
static bool read_answer(struct spawner_client *c)
{
    struct spawn_reply reply;
    int fds[SPAWN_OPEN_FDS];
    size_t nfds = 0, want;
    struct err e = {0};
    struct call *call;
    ssize_t n = fd_recv(c->sock, &reply, sizeof reply, fds, SPAWN_OPEN_FDS, &nfds, &e);

    if (n < 0 && (e.errnum == EAGAIN || e.errnum == EINTR))
        return false;
    call = n == sizeof reply ? queue_pop(reply.op == SPAWN_PING ? &c->pings : &c->waiting) : NULL;
    want = n == sizeof reply && reply.op == SPAWN_OPEN && reply.error == 0 ? SPAWN_OPEN_FDS : 0;
    if (call == NULL || call->req.op != reply.op || nfds != want) {
        for (size_t i = 0; i < nfds; i++)
            fd_close(&fds[i]);
        free(call);
        lose(c);
        return false;
    }
    c->version = reply.cgroup;
    if (call->forgotten)
        drop_answer(c, &reply, fds);
    else
        call->answer(call->data, &reply, fds);
    free(call);
    return !c->is_gone;
}

static bool send_call(struct spawner_client *c, struct call *call)
{
    ssize_t n = send(c->sock, &call->req, sizeof call->req, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n != sizeof call->req || call->answer == NULL)
        free(call); /* a spawner that is gone is noticed when reading */
    else
        queue_push(call->req.op == SPAWN_PING ? &c->pings : &c->waiting, call);
    return true;
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void send_unsent(struct spawner_client *c)
{
    while (c->unsent.first != NULL) {
        struct call *call = queue_pop(&c->unsent);

        if (!send_call(c, call)) {
            call->next = c->unsent.first;
            c->unsent.first = call;
            if (call->next == NULL)
                c->unsent.tail = &call->next;
            return;
        }
    }
    uv_poll_start(&c->poll, UV_READABLE, on_poll);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct spawner_client *c = poll->data;

    if (status < 0) {
        lose(c);
        return;
    }
    if ((events & UV_WRITABLE) != 0)
        send_unsent(c);
    if ((events & UV_READABLE) == 0)
        return;
    for (int i = 0; i < ANSWERS_AT_ONCE && read_answer(c); i++)
        ;
}

struct spawner_client *spawner_client_create(uv_loop_t *loop, int sock, void (*gone)(void *data),
                                             void *data, struct err *e)
{
    struct spawner_client *c = calloc(1, sizeof *c);

    if (c == NULL || fd_set_nonblock(sock, e) < 0 || uv_poll_init(loop, &c->poll, sock) < 0) {
        free(c);
        err_set(e, ERR_INTERNAL, 0, "watch the spawner's socket");
        return NULL;
    }
    *c = (struct spawner_client){.poll = c->poll, .sock = sock, .gone = gone, .data = data};
    c->poll.data = c;
    queue_init(&c->unsent);
    queue_init(&c->waiting);
    queue_init(&c->pings);
    uv_poll_start(&c->poll, UV_READABLE, on_poll);
    return c;
}

static void free_client(uv_handle_t *handle)
{
    struct spawner_client *c = handle->data;

    queue_clear(&c->unsent);
    queue_clear(&c->waiting);
    queue_clear(&c->pings);
    free(c);
}

void spawner_client_destroy(struct spawner_client *c)
{
    if (c == NULL)
        return;
    uv_close((uv_handle_t *)&c->poll, free_client);
    fd_close(&c->sock);
}

void spawner_request(struct spawner_client *c, const struct spawn_request *req,
                     spawner_answer *answer, void *data)
{
    struct call *call = c->is_gone ? NULL : calloc(1, sizeof *call);

    if (call == NULL)
        return;
    *call = (struct call){.req = *req, .answer = answer, .data = data};
    if (c->unsent.first == NULL && send_call(c, call))
        return;
    queue_push(&c->unsent, call);
    uv_poll_start(&c->poll, UV_READABLE | UV_WRITABLE, on_poll);
}

static void forget_in(struct call_queue *q, const void *data)
{
    for (struct call *call = q->first; call != NULL; call = call->next) {
        if (call->data == data)
            call->forgotten = true;
    }
}

void spawner_forget(struct spawner_client *c, const void *data)
{
    forget_in(&c->unsent, data);
    forget_in(&c->waiting, data);
    forget_in(&c->pings, data);
}

uint32_t spawner_cgroup_version(const struct spawner_client *c)
{
    return c->version;
}

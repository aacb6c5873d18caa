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
#include "base/log.h"

#define ANSWERS_AT_ONCE 32 /* then the loop serves others */

struct call {
    struct call *next;
    struct spawn_request req;
    int fd; /* goes along, or -1 */
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
    struct call_queue loose;   /* for answers that come when the work is done */
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

static void free_call(struct call *call)
{
    if (call != NULL)
        fd_close(&call->fd);
    free(call);
}

static void queue_clear(struct call_queue *q)
{
    struct call *call;

    while ((call = queue_pop(q)) != NULL)
        free_call(call);
}

/* Whether others that were asked later may be answered before it. */
static bool is_loose(const struct spawn_request *req)
{
    return req->op >= SPAWN_PING || (req->op == SPAWN_START && req->network != SPAWN_NETWORK_NONE);
}

static bool is_answer_to(const struct spawn_request *req, const struct spawn_reply *reply)
{
    if (req->op != reply->op)
        return false;
    switch (req->op) {
    case SPAWN_START:
    case SPAWN_JOIN:
        return req->slot == reply->slot;
    case SPAWN_NEST_OPEN:
    case SPAWN_NEST_CLOSE:
        return req->nest == reply->nest;
    case SPAWN_LAYER_HOST:
    case SPAWN_LAYER_REMOVE:
    case SPAWN_INPUT_REMOVE:
    case SPAWN_WORKSPACE_MAKE:
    case SPAWN_WORKSPACE_OPEN:
    case SPAWN_WORKSPACE_ATTACH:
    case SPAWN_WORKSPACE_CLOSE:
    case SPAWN_WORKSPACE_GROW:
    case SPAWN_WORKSPACE_COPY:
    case SPAWN_WORKSPACE_REMOVE:
        return req->layer == reply->layer;
    default:
        return true;
    }
}

/* Takes the call that this answers out of its queue; NULL: nobody asked. */
static struct call *find_call(struct spawner_client *c, const struct spawn_reply *reply)
{
    for (struct call **at = &c->loose.first; *at != NULL; at = &(*at)->next) {
        struct call *call = *at;

        if (!is_answer_to(&call->req, reply))
            continue;
        *at = call->next;
        if (call->next == NULL)
            c->loose.tail = at;
        return call;
    }
    if (c->waiting.first == NULL || c->waiting.first->req.op != reply->op)
        return NULL;
    return queue_pop(&c->waiting);
}

static void lose(struct spawner_client *c)
{
    if (c->is_gone)
        return;
    c->is_gone = true;
    uv_poll_stop(&c->poll);
    c->gone(c->data);
}

/* A question that cannot be put would leave its asker waiting for ever, so the connection ends: the
 * loop finds it so, once whoever asks has returned. */
static void break_off(struct spawner_client *c, const char *why)
{
    log_event(LOG_ERROR, "spawner.unreachable", LOG_STR("reason", why));
    shutdown(c->sock, SHUT_RDWR);
}

/* How many descriptors come with it. */
static size_t descriptors_of(const struct spawn_reply *reply)
{
    if (reply->error != 0)
        return 0;
    switch (reply->op) {
    case SPAWN_OPEN:
        return SPAWN_OPEN_FDS;
    case SPAWN_JOIN:
        return SPAWN_JOIN_FDS;
    case SPAWN_WORKSPACE_ATTACH:
        return SPAWN_ATTACH_FDS;
    default:
        return 0;
    }
}

/* The asker has gone: what was opened for it is closed again. */
static void drop_answer(struct spawner_client *c, const struct spawn_reply *reply, int *fds)
{
    struct spawn_request req = {.op = SPAWN_CLOSE, .slot = reply->slot};

    for (size_t i = 0; i < descriptors_of(reply); i++)
        fd_close(&fds[i]);
    if (reply->op == SPAWN_OPEN && reply->error == 0)
        spawner_request(c, &req, NULL, NULL);
}

/* A slot that is given out anew has lost whoever had it: the spawner may have left the last
 * question about its network without an answer. */
static void drop_starts(struct spawner_client *c, uint32_t slot)
{
    const struct spawn_reply of = {.op = SPAWN_START, .slot = slot};

    for (struct call **at = &c->loose.first; *at != NULL;) {
        struct call *call = *at;

        if (!call->forgotten || !is_answer_to(&call->req, &of)) {
            at = &call->next;
            continue;
        }
        *at = call->next;
        free_call(call);
    }
    c->loose.tail = &c->loose.first;
    while (*c->loose.tail != NULL)
        c->loose.tail = &(*c->loose.tail)->next;
}

/* Whether the socket may be tried again later: it is full, or the kernel is short of memory. */
static bool is_passing(int errnum)
{
    return errnum == EAGAIN || errnum == EINTR || errnum == ENOBUFS || errnum == ENOMEM;
}

/* One answer.  False when there is none, or no more. */
static bool read_answer(struct spawner_client *c)
{
    struct spawn_reply reply;
    int fds[SPAWN_FDS_MAX];
    size_t nfds = 0;
    struct err e = {0};
    struct call *call;
    ssize_t n = fd_recv(c->sock, &reply, sizeof reply, fds, SPAWN_FDS_MAX, &nfds, &e);

    if (n < 0 && is_passing(e.errnum))
        return false;
    call = n == sizeof reply ? find_call(c, &reply) : NULL;
    if (call == NULL || nfds != descriptors_of(&reply)) {
        for (size_t i = 0; i < nfds; i++)
            fd_close(&fds[i]);
        free_call(call);
        lose(c);
        return false;
    }
    c->version = reply.cgroup;
    if (reply.op == SPAWN_OPEN && reply.error == 0)
        drop_starts(c, reply.slot);
    if (call->forgotten)
        drop_answer(c, &reply, fds);
    else
        call->answer(call->data, &reply, fds);
    free_call(call);
    return !c->is_gone;
}

static bool send_call(struct spawner_client *c, struct call *call)
{
    struct err e = {0};
    int r = fd_send(c->sock, &call->req, sizeof call->req, &call->fd, call->fd >= 0, &e);

    if (r < 0 && is_passing(e.errnum))
        return false;
    fd_close(&call->fd);
    if (r < 0)
        break_off(c, e.text); /* a spawner that is gone is noticed when reading */
    if (r < 0 || call->answer == NULL)
        free_call(call);
    else
        queue_push(is_loose(&call->req) ? &c->loose : &c->waiting, call);
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
    int r = c == NULL ? UV_ENOMEM : uv_poll_init(loop, &c->poll, sock); /* not blocking from here */

    if (r < 0) {
        free(c);
        err_set(e, ERR_INTERNAL, -r, "watch the spawner's socket");
        return NULL;
    }
    *c = (struct spawner_client){.poll = c->poll, .sock = sock, .gone = gone, .data = data};
    c->poll.data = c;
    queue_init(&c->unsent);
    queue_init(&c->waiting);
    queue_init(&c->loose);
    uv_poll_start(&c->poll, UV_READABLE, on_poll);
    return c;
}

static void free_client(uv_handle_t *handle)
{
    struct spawner_client *c = handle->data;

    queue_clear(&c->unsent);
    queue_clear(&c->waiting);
    queue_clear(&c->loose);
    free(c);
}

void spawner_client_destroy(struct spawner_client *c)
{
    if (c == NULL)
        return;
    uv_close((uv_handle_t *)&c->poll, free_client);
    fd_close(&c->sock);
}

void spawner_request_fd(struct spawner_client *c, const struct spawn_request *req, int fd,
                        spawner_answer *answer, void *data)
{
    struct call *call = c->is_gone ? NULL : calloc(1, sizeof *call);

    if (call == NULL) {
        fd_close(&fd);
        if (!c->is_gone)
            break_off(c, "out of memory");
        return;
    }
    *call = (struct call){.req = *req, .fd = fd, .answer = answer, .data = data};
    if (c->unsent.first == NULL && send_call(c, call))
        return;
    queue_push(&c->unsent, call);
    uv_poll_start(&c->poll, UV_READABLE | UV_WRITABLE, on_poll);
}

void spawner_request(struct spawner_client *c, const struct spawn_request *req,
                     spawner_answer *answer, void *data)
{
    spawner_request_fd(c, req, -1, answer, data);
}

void spawner_reply_error(struct err *e, const struct spawn_reply *reply, const char *what)
{
    if (reply->text[0] != '\0')
        err_set(e, ERR_UNAVAILABLE, 0, "%.*s", (int)sizeof reply->text, reply->text);
    else
        err_set(e, ERR_UNAVAILABLE, reply->error, "%s", what);
    e->errnum = reply->error;
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
    forget_in(&c->loose, data);
}

uint32_t spawner_cgroup_version(const struct spawner_client *c)
{
    return c->version;
}

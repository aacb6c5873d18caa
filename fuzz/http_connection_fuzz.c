/* sources: fuzz/http_oracle.c src/http/body.c src/http/connection.c src/http/field.c
 * src/http/handshake.c src/http/listen.c src/http/multipart.c src/http/reply.c src/http/request.c
 * src/http/server.c src/http/straggler.c src/http/stream.c src/http/target.c src/http/websocket.c
 * src/base/base64.c src/base/buf.c src/base/clock.c src/base/err.c src/base/fd.c src/base/log.c
 * src/base/str.c */
/* libs: libmicrohttpd libuv gnutls -lwslay */
/* longest: 8192 */
/* share: 12 */
/* Fuzzes the HTTP layer as it is, libmicrohttpd and wslay below it, over socket pairs: two clients
 * say whatever they like to handlers that read bodies, stream and become WebSockets.  Whatever
 * comes: answers are well-formed, in order, one for each request; after a refusal the connection
 * ends; no request is understood otherwise than it was meant; nothing is left (http_oracle.h).
 *
 * The input is what the clients send, but 0xfe and the byte behind it are an order (enum order). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "base/log.h"
#include "http/body.h"
#include "http/server.h"
#include "http/websocket.h"
#include "http_oracle.h"

#define ESCAPE 0xfe

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum order {
    ORDER_ESCAPE, /* the byte itself */
    ORDER_RUN,    /* what was sent so far arrives */
    ORDER_WORK,   /* the handlers go on with what they have begun */
    ORDER_SHUT,   /* the client says no more */
    ORDER_CLOSE,  /* the client goes away */
    ORDER_PAUSE,  /* the client reads no more, until ... */
    ORDER_READ,   /* it does again */
    ORDER_SOON,   /* 20 seconds later by the server's clock */
    ORDER_LATER,  /* five minutes later */
    ORDER_OTHER,  /* the other client goes on */
    ORDER_DRAIN,  /* the server ends in its own time */
    ORDERS,
};

enum { CLIENTS = 2, SLOW_BYTES = 7, QUIET_ROUNDS = 2, ROUNDS_MAX = 5000 };
enum { BUDGET = 3000, BODY_MAX = 16, UPLOAD_MAX = 4000, MIRROR_MAX = 6000 }; /* bytes */

struct client {
    int fd; /* -1: it has gone */
    bool is_paused;
    struct buf unsent;
    struct oracle oracle;
};

/* What a handler has begun. */
struct job {
    struct job *next, **prev;
    struct http_request *request;
    struct websocket *websocket;
    struct oracle_handed *handed;
    void (*work)(struct job *job);
    unsigned step;
    bool is_slow;
};

static uv_loop_t loop;
static struct http_server *server;
static struct client clients[CLIENTS];
static struct job *jobs;
static unsigned long progress; /* anything that was done or moved */

/* -- handlers ---------------------------------------------------------------------------------- */

static struct oracle *oracle_of(const struct http_request *r)
{
    return &clients[strcmp(http_peer(r), "127.0.0.2") == 0].oracle;
}

static void finish_job(struct job *job)
{
    progress++;
    *job->prev = job->next;
    if (job->next != NULL)
        job->next->prev = job->prev;
    free(job);
}

static void on_gone(void *data)
{
    finish_job(data);
}

static struct job *start_job(struct http_request *r, struct oracle_handed *h,
                             void (*work)(struct job *job))
{
    struct job *job = calloc(1, sizeof *job);

    CHECK(job != NULL);
    *job = (struct job){.next = jobs, .prev = &jobs, .request = r, .handed = h, .work = work};
    if (jobs != NULL)
        jobs->prev = &job->next;
    jobs = job;
    http_set_gone(r, on_gone, job);
    return job;
}

static void answer(struct http_request *r, int status, const char *text)
{
    struct buf body = {0};

    buf_append_str(&body, text);
    http_reply(r, status, "application/json", &body);
}

static void answer_late(struct job *job)
{
    answer(job->request, 200, "{\"late\":true}");
    finish_job(job);
}

/* GET /s: a stream of four pieces, GET /z: with a length, GET /b: breaks off. */
static void stream_on(struct job *job)
{
    static const char piece[] = "0123456789abcdef";

    progress++;
    if (job->step++ < 4) {
        http_stream_write(job->request, piece, sizeof piece - 1);
        return;
    }
    if (strcmp(job->handed->path, "/b") == 0)
        http_stream_break(job->request);
    else
        http_stream_end(job->request);
    finish_job(job);
}

static void serve_stream(struct http_request *r, struct oracle_handed *h)
{
    struct job *job = start_job(r, h, stream_on);

    if (h->path[1] == 'z')
        http_stream_begin_sized(r, 200, "text/plain", 64);
    else
        http_stream_begin(r, 200, "text/event-stream");
    if (h->path[1] == 'b')
        oracle_of(r)->may_be_cut = true;
    stream_on(job);
}

static size_t read_source(void *data, char *out, size_t cap)
{
    size_t *left = data, n = *left < cap ? *left : cap;

    memset(out, 'x', n);
    *left -= n;
    return n;
}

/* GET /c: chunked, GET /k: with a length. */
static void serve_source(struct http_request *r, struct oracle_handed *h)
{
    const uint64_t size = 100000;
    size_t *left = malloc(sizeof *left);

    CHECK(left != NULL);
    *left = size;
    http_reply_source(
        r, 200, "application/octet-stream",
        &(const struct http_source){read_source, free, left, h->path[1] == 'k' ? size : 0});
}

/* -- bodies that are read piece by piece: PUT /u, and PUT /v which is slow, PUT /r which refuses */

static size_t take(void *data, const char *bytes, size_t len)
{
    struct job *job = data;

    if (job->handed->path[1] == 'r') {
        answer(job->request, 413, "{\"refused\":true}");
        finish_job(job);
        return 0;
    }
    if (job->is_slow && len > SLOW_BYTES)
        len = SLOW_BYTES;
    buf_append(&job->handed->body, bytes, len);
    CHECK(job->handed->body.len <= UPLOAD_MAX);
    progress++;
    return len;
}

static void end_upload(void *data)
{
    struct job *job = data;

    job->handed->is_complete = true;
    answer(job->request, 200, "{\"uploaded\":true}");
    finish_job(job);
}

static void read_on(struct job *job)
{
    if (job->step++ == 0 && job->is_slow)
        http_body_read(job->request, &(const struct http_sink){take, end_upload, job});
    else
        http_body_resume(job->request);
}

static void serve_upload(struct http_request *r, struct oracle_handed *h)
{
    struct job *job = start_job(r, h, read_on);

    h->is_streamed = true;
    h->is_complete = false;
    job->is_slow = h->path[1] == 'v';
    if (!job->is_slow)
        read_on(job), http_body_read(r, &(const struct http_sink){take, end_upload, job});
}

static int on_part(void *data, const char *name, const char *filename)
{
    struct job *job = data;

    CHECK(job->step++ % 2 == 0);
    return name[0] != 'u';
}

static size_t take_part(void *data, const char *bytes, size_t len)
{
    struct job *job = data;

    progress++;
    return job->is_slow && len > SLOW_BYTES ? SLOW_BYTES : len;
}

static void on_part_end(void *data)
{
    struct job *job = data;

    CHECK(job->step++ % 2 == 1);
}

static void end_form(void *data, bool malformed)
{
    struct job *job = data;

    answer(job->request, malformed ? 400 : 200, "{\"form\":true}");
    finish_job(job);
}

static void resume_form(struct job *job)
{
    http_body_resume(job->request);
}

/* POST /f, and POST /g which is slow. */
static void serve_form(struct http_request *r, struct oracle_handed *h)
{
    struct job *job = start_job(r, h, resume_form);
    const struct http_form_events events = {on_part, take_part, on_part_end, end_form, job};

    h->is_streamed = true;
    h->is_complete = false;
    job->is_slow = h->path[1] == 'g';
    if (http_form_read(r, &events, NULL) == 0)
        return;
    answer(r, 415, "{\"form\":false}");
    finish_job(job);
}

/* -- GET /w: echoes; what begins with ! is the last */

static void on_message(void *data, bool is_text, const char *bytes, size_t len)
{
    struct job *job = data;

    if (len > 0 && bytes[0] == '!') {
        websocket_close(job->websocket, 1000, "bye");
        finish_job(job);
        return;
    }
    websocket_send(job->websocket, is_text, bytes, len);
}

static void on_close(void *data, unsigned code)
{
    finish_job(data);
}

static void say_more(struct job *job)
{
    if (job->step++ < 2)
        websocket_send(job->websocket, true, "more", 4);
}

static void serve_websocket(struct http_request *r, struct oracle_handed *h)
{
    struct job *job = start_job(r, h, say_more);
    const struct websocket_events events = {on_message, on_close, NULL, job};

    job->websocket = websocket_accept(r, NULL, &events);
    if (job->websocket == NULL) {
        /* The answer is a refusal of the layer's own, with the fields added so far. */
        finish_job(job);
    }
}

/* -- the rest */

static void serve_late(struct http_request *r, struct oracle_handed *h)
{
    start_job(r, h, answer_late);
}

static void serve_mirror(struct http_request *r, struct oracle_handed *h)
{
    http_reply(r, 200, "application/octet-stream", http_body(r));
}

static void serve_nothing(struct http_request *r, struct oracle_handed *h)
{
    struct buf none = {0};

    http_reply(r, 204, NULL, &none);
}

static void serve_echo(struct http_request *r, struct oracle_handed *h)
{
    const char *query = http_query(r, "q"), *field = http_header(r, "x-echo");

    if (field != NULL)
        (void)http_add_header(r, "X-Echo", field);
    if (query != NULL)
        (void)http_add_header(r, query, "1");
    http_reply_static(r, 200, "text/plain", "hello", 5);
}

static bool streams_body(const char *method, const char *path, void *data)
{
    return path[0] == '/' && path[1] != '\0' && strchr("uvrfg", path[1]) != NULL;
}

static size_t body_limit(const char *method, const char *path, void *data)
{
    if (strcmp(path, "/m") == 0)
        return MIRROR_MAX;
    return streams_body(method, path, NULL) ? UPLOAD_MAX : BODY_MAX;
}

static void error_body(int status, struct buf *out, void *data)
{
    buf_printf(out, "{\"error\":%d}", status);
}

static void handle(struct http_request *r, void *data)
{
    static void (*const serve[])(struct http_request * r, struct oracle_handed * h) = {
        ['b'] = serve_stream,    ['c'] = serve_source, ['f'] = serve_form,   ['g'] = serve_form,
        ['k'] = serve_source,    ['l'] = serve_late,   ['m'] = serve_mirror, ['n'] = serve_nothing,
        ['r'] = serve_upload,    ['s'] = serve_stream, ['u'] = serve_upload, ['v'] = serve_upload,
        ['w'] = serve_websocket, ['z'] = serve_stream,
    };
    struct oracle *o = oracle_of(r);
    struct oracle_handed *h = &o->handed[o->nhanded++];
    const char *path = http_path(r);
    char serial[8];

    CHECK(o->nhanded <= ORACLE_HANDED && server->body_used <= BUDGET);
    CHECK(http_body(r)->len <= body_limit(NULL, path, NULL));
    snprintf(h->method, sizeof h->method, "%s", http_method(r));
    snprintf(h->path, sizeof h->path, "%s", path);
    if (!streams_body(NULL, path, NULL))
        buf_append(&h->body, http_body(r)->data, http_body(r)->len);
    h->is_complete = true;
    snprintf(serial, sizeof serial, "%zu", o->nhanded);
    CHECK(http_add_header(r, "X-N", serial) == 0);
    if (path[0] == '/' && (unsigned char)path[1] <= 'z' && serve[(unsigned char)path[1]] != NULL)
        serve[(unsigned char)path[1]](r, h);
    else
        serve_echo(r, h);
}

static void work_once(void)
{
    struct job *next;

    for (struct job *job = jobs; job != NULL; job = next) {
        next = job->next;
        job->work(job);
    }
}

/* -- the clients ------------------------------------------------------------------------------- */

static bool receive(struct client *c)
{
    char bytes[16 << 10];
    ssize_t n = c->fd < 0 || c->is_paused ? -1 : recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);

    if (n > 0)
        buf_append(&c->oracle.received, bytes, (size_t)n);
    else if (n == 0)
        c->oracle.has_ended = true;
    return n > 0;
}

static bool transmit(struct client *c)
{
    ssize_t n = c->fd < 0 || c->unsent.len == 0
                    ? 0
                    : send(c->fd, c->unsent.data, c->unsent.len, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n > 0) {
        buf_append(&c->oracle.sent, c->unsent.data, (size_t)n);
        buf_consume(&c->unsent, (size_t)n);
    }
    return n > 0;
}

/* Until nothing moves. */
static void run(void)
{
    int quiet = 0;

    for (int i = 0; quiet < QUIET_ROUNDS; i++) {
        bool moves = false;

        CHECK(i < ROUNDS_MAX);
        for (size_t n = 0; n < CLIENTS; n++) {
            bool has_sent = transmit(&clients[n]), has_received = receive(&clients[n]);

            moves |= has_sent || has_received;
            progress += moves;
        }
        uv_run(&loop, UV_RUN_NOWAIT);
        moves |= server != NULL && server->nqueued > 0;
        quiet = moves ? 0 : quiet + 1;
    }
}

static void pass_time(uint64_t seconds)
{
    uint64_t then_ms = uv_now(&loop) + 1000 * seconds;
    struct connection *c, *next;

    for (size_t n = 0; n < CLIENTS; n++)
        clients[n].oracle.may_be_cut = true;
    for (c = TAILQ_FIRST(&server->connections); c != NULL; c = next) {
        next = TAILQ_NEXT(c, all);
        connection_check_deadline(c, then_ms);
    }
    websocket_check_deadlines(server, then_ms);
    straggler_check_deadlines(server, then_ms);
    run();
}

static void on_drained(void *data)
{
}

static void open_client(struct client *c, const char *address)
{
    struct sockaddr_storage peer = {.ss_family = AF_INET};
    int pair[2];

    CHECK(inet_pton(AF_INET, address, &((struct sockaddr_in *)&peer)->sin_addr) == 1);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    c->fd = pair[0];
    connection_open(server, pair[1], &peer);
}

static void close_client(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

static void obey(enum order order, size_t *current)
{
    struct client *c = &clients[*current];

    run();
    c->oracle.may_be_cut |= order == ORDER_SHUT || order == ORDER_CLOSE;
    if (order == ORDER_WORK)
        work_once();
    else if (order == ORDER_SHUT && c->fd >= 0)
        shutdown(c->fd, SHUT_WR);
    else if (order == ORDER_CLOSE)
        close_client(c);
    else if (order == ORDER_PAUSE || order == ORDER_READ)
        c->is_paused = order == ORDER_PAUSE;
    else if (order == ORDER_SOON || order == ORDER_LATER)
        pass_time(order == ORDER_SOON ? 20 : 300);
    else if (order == ORDER_OTHER)
        *current = (*current + 1) % CLIENTS;
    else if (order == ORDER_DRAIN && !server->is_draining)
        http_server_drain(server, on_drained, NULL);
}

/* -- one input --------------------------------------------------------------------------------- */

static void start(void)
{
    static const char *const hosts[] = {"127.0.0.1"};
    const struct http_config config = {
        .hosts = hosts,
        .nhosts = 1,
        .body_budget = BUDGET,
        .handler = handle,
        .body_limit = body_limit,
        .streams_body = streams_body,
        .error_body = error_body,
    };
    static pid_t user; /* AFL++ forks */

    if (user == 0) {
        log_init("fuzz", LOG_ERROR, LOG_TEXT);
        CHECK(uv_loop_init(&loop) == 0);
    } else if (user != getpid()) {
        CHECK(uv_loop_fork(&loop) == 0);
    }
    user = getpid();
    server = http_server_create(&loop, &config, NULL);
    CHECK(server != NULL);
    memset(clients, 0, sizeof clients);
    open_client(&clients[0], "127.0.0.1");
    open_client(&clients[1], "127.0.0.2");
}

/* Lets everything come to its end, so that what is missing then has been lost. */
static void settle(void)
{
    unsigned long before;

    for (size_t n = 0; n < CLIENTS; n++)
        clients[n].is_paused = false;
    run();
    do {
        before = progress;
        work_once();
        run();
    } while (progress != before);
}

static void finish(void)
{
    for (size_t n = 0; n < CLIENTS; n++)
        close_client(&clients[n]);
    run();
    CHECK(jobs == NULL && server->nrequests == 0 && server->body_used == 0);
    CHECK(TAILQ_EMPTY(&server->connections) && TAILQ_EMPTY(&server->websockets));
    CHECK(TAILQ_EMPTY(&server->stragglers) && server->nsockets == 0);
    http_server_destroy(server);
    server = NULL;
    CHECK(uv_run(&loop, UV_RUN_DEFAULT) == 0);
    for (size_t n = 0; n < CLIENTS; n++) {
        buf_finish(&clients[n].unsent);
        oracle_finish(&clients[n].oracle);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t current = 0;

    start();
    for (size_t i = 0; i < size; i++) {
        if (data[i] == ESCAPE && i + 1 < size && data[i + 1] % ORDERS != ORDER_ESCAPE)
            obey(data[++i] % ORDERS, &current);
        else
            buf_append(&clients[current].unsent, &data[i], 1);
    }
    settle();
    for (size_t n = 0; n < CLIENTS; n++)
        oracle_judge(&clients[n].oracle);
    finish();
    return 0;
}

/* websocket: messages on an upgraded connection.  Runs in the server; every byte from the client is
 * hostile.  libmicrohttpd sends the 101 and is then done: we keep a duplicate of the socket, so
 * that its connection ends like any other.  Frames are wslay's, whole messages ours, because wslay
 * would allocate for each fragment.  Must never hold more than one message of the client's, nor
 * more than LIMIT_HTTP_STREAM for it; frees nothing from inside a call of the caller's. */
#include "http/websocket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wslay/wslay.h>

#include "http/handshake.h"
#include "http/server.h"

#define CODE_GOING_AWAY 1001
#define CODE_PROTOCOL   1002
#define CODE_LOST       1006
#define CODE_TOO_BIG    1009
#define MESSAGE_COST    128          /* bytes that wslay holds for a message beside its own */
#define REASON_MAX      123          /* bytes in a close frame beside the code */
#define KEPT_BUFFER     (16u << 10)  /* of a message, for the next */
#define TURN_BYTES      (256u << 10) /* read before other connections get their turn */

struct websocket {
    TAILQ_ENTRY(websocket) all;
    struct http_server *server;
    struct http_request *request; /* until the upgrade */
    struct websocket_events events;
    struct wslay_event_context *frames;
    int fd; /* -1 until the upgrade */
    uv_poll_t poll;
    struct buf early; /* bytes that came with the request */
    struct buf message;
    size_t turn;       /* bytes read in this turn */
    uint64_t heard_ms; /* when the client last sent something */
    uint64_t asked_ms; /* when it was last pinged */
    uint64_t moved_ms; /* when it last took something, or there was nothing to take */
    unsigned pongs;    /* that may be queued */
    unsigned code;     /* to say goodbye with */
    char reason[REASON_MAX + 1];
    bool is_text;     /* the message that arrives */
    bool is_control;  /* the frame that arrives */
    bool is_detached; /* the caller knows it no more */
    bool is_above;    /* the queue has reached WEBSOCKET_LOW_WATER */
    bool is_leaving;  /* a goodbye is to be said after what is queued */
    bool has_left;    /* it has been queued */
    bool is_lost;     /* to be ended without a goodbye */
};

/* -- ends */

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void report_close(struct websocket *ws, unsigned code)
{
    if (ws->is_detached)
        return;
    ws->is_detached = true;
    ws->events.on_close(ws->events.data, code);
}

/* Frees it; the socket has been given away or is closed. */
static void destroy(struct websocket *ws)
{
    bool was_open = ws->fd >= 0;

    TAILQ_REMOVE(&ws->server->websockets, ws, all);
    wslay_event_context_free(ws->frames);
    buf_finish(&ws->early);
    buf_finish(&ws->message);
    if (!was_open) {
        free(ws);
        return;
    }
    uv_close((uv_handle_t *)&ws->poll, on_poll_closed);
    close(ws->fd);
    server_drop_socket(ws->server);
}

static void end_lost(struct websocket *ws)
{
    report_close(ws, CODE_LOST);
    destroy(ws);
}

/* The goodbye is out.  The socket stays a moment, so that a reset does not destroy it. */
static void end_said(struct websocket *ws, unsigned code)
{
    int fd = fcntl(ws->fd, F_DUPFD_CLOEXEC, 0);

    report_close(ws, code);
    shutdown(ws->fd, SHUT_WR);
    if (fd >= 0)
        straggler_start(ws->server, fd);
    destroy(ws);
}

/* Has it ended by the loop, soon. */
static void lose(struct websocket *ws)
{
    ws->is_lost = true;
    if (ws->fd >= 0)
        shutdown(ws->fd, SHUT_RDWR);
    else if (ws->request != NULL && ws->request->connection != NULL)
        connection_cut(ws->request->connection);
}

/* -- what wslay asks and tells */

static ssize_t on_recv(struct wslay_event_context *frames, uint8_t *out, size_t cap, int flags,
                       void *data)
{
    struct websocket *ws = data;
    size_t n = ws->early.len < cap ? ws->early.len : cap;
    ssize_t got = (ssize_t)n;

    if (n > 0) {
        memcpy(out, ws->early.data, n);
        buf_consume(&ws->early, n);
    } else if (ws->turn >= TURN_BYTES || ws->pongs >= LIMIT_WEBSOCKET_PONGS) {
        wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK);
        return -1;
    } else {
        got = recv(ws->fd, out, cap, MSG_DONTWAIT);
    }
    if (got > 0) {
        ws->turn += (size_t)got;
        ws->heard_ms = uv_now(ws->server->loop);
        return got;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    ws->is_lost = true;
    wslay_event_set_error(frames, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t on_send(struct wslay_event_context *frames, const uint8_t *bytes, size_t len,
                       int flags, void *data)
{
    struct websocket *ws = data;
    int more = flags & WSLAY_MSG_MORE ? MSG_MORE : 0;
    ssize_t sent = send(ws->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT | more);

    if (sent > 0) {
        ws->moved_ms = uv_now(ws->server->loop);
        return sent;
    }
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
        wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    ws->is_lost = true;
    wslay_event_set_error(frames, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

/* Breaks the connection off as wslay does when it finds a fault itself. */
static void fail(struct websocket *ws, unsigned code)
{
    wslay_event_queue_close(ws->frames, (uint16_t)code, NULL, 0);
    wslay_event_shutdown_read(ws->frames);
}

static void on_frame(struct wslay_event_context *frames,
                     const struct wslay_event_on_frame_recv_start_arg *arg, void *data)
{
    struct websocket *ws = data;

    ws->is_control = wslay_is_ctrl_frame(arg->opcode);
    if (ws->is_control)
        return;
    if (arg->opcode != WSLAY_CONTINUATION_FRAME) {
        ws->is_text = arg->opcode == WSLAY_TEXT_FRAME;
        ws->message.len = 0;
    }
    if (arg->payload_length > LIMIT_WEBSOCKET_MESSAGE - ws->message.len)
        fail(ws, CODE_TOO_BIG);
}

static void on_chunk(struct wslay_event_context *frames,
                     const struct wslay_event_on_frame_recv_chunk_arg *arg, void *data)
{
    struct websocket *ws = data;

    if (ws->is_control || arg->data_length == 0 || !wslay_event_get_read_enabled(frames))
        return;
    if (buf_append(&ws->message, arg->data, arg->data_length) < 0) {
        ws->is_lost = true;
        wslay_event_shutdown_read(frames);
    }
}

static void on_message(struct wslay_event_context *frames,
                       const struct wslay_event_on_msg_recv_arg *arg, void *data)
{
    struct websocket *ws = data;

    if (arg->opcode == WSLAY_PING)
        ws->pongs++;
    if (wslay_is_ctrl_frame(arg->opcode) || ws->is_detached ||
        !wslay_event_get_read_enabled(frames))
        return;
    ws->events.on_message(ws->events.data, ws->is_text, ws->message.len > 0 ? ws->message.data : "",
                          ws->message.len);
    ws->message.len = 0;
    if (ws->message.cap > KEPT_BUFFER)
        buf_finish(&ws->message);
}

/* -- what the loop reports */

static size_t queued(const struct websocket *ws)
{
    return wslay_event_get_queued_msg_length(ws->frames) +
           MESSAGE_COST * wslay_event_get_queued_msg_count(ws->frames);
}

static void on_poll(uv_poll_t *handle, int status, int events);

static void watch(struct websocket *ws)
{
    int events = UV_DISCONNECT;

    if (wslay_event_want_read(ws->frames) && ws->pongs < LIMIT_WEBSOCKET_PONGS)
        events |= UV_READABLE;
    if (wslay_event_want_write(ws->frames) || (ws->is_leaving && !ws->has_left))
        events |= UV_WRITABLE;
    uv_poll_start(&ws->poll, events, on_poll);
}

static void read_frames(struct websocket *ws)
{
    /* Where a frame cannot even be told from another, wslay says goodbye without a reason. */
    static const char malformed[] = {(char)0x88, 2, CODE_PROTOCOL >> 8,
                                     (char)(CODE_PROTOCOL & 0xff)};

    ws->turn = 0;
    if (!wslay_event_want_read(ws->frames) || wslay_event_recv(ws->frames) == 0 || ws->is_lost)
        return;
    ws->code = CODE_PROTOCOL;
    if (wslay_event_get_queued_msg_count(ws->frames) == 1) {
        wslay_event_shutdown_write(ws->frames);
        (void)!send(ws->fd, malformed, sizeof malformed, MSG_NOSIGNAL | MSG_DONTWAIT);
        ws->has_left = true;
    }
}

static void send_frames(struct websocket *ws)
{
    if (wslay_event_send(ws->frames) != 0)
        ws->is_lost = true;
    if (ws->is_leaving && !ws->has_left && wslay_event_get_queued_msg_count(ws->frames) == 0) {
        ws->has_left = true;
        wslay_event_queue_close(ws->frames, (uint16_t)ws->code, (const uint8_t *)ws->reason,
                                strlen(ws->reason));
        if (wslay_event_send(ws->frames) != 0)
            ws->is_lost = true;
    }
    if (wslay_event_get_queued_msg_count(ws->frames) == 0) {
        ws->pongs = 0;
        ws->moved_ms = uv_now(ws->server->loop);
    }
    if (!ws->is_above || queued(ws) >= WEBSOCKET_LOW_WATER || ws->is_detached)
        return;
    ws->is_above = false;
    if (ws->events.on_writable != NULL)
        ws->events.on_writable(ws->events.data);
}

/* Whether the goodbye is out, and the code to report. */
static bool has_said(const struct websocket *ws, unsigned *ret_code)
{
    if (wslay_event_get_close_received(ws->frames))
        *ret_code = wslay_event_get_status_code_received(ws->frames);
    else if (ws->code != 0)
        *ret_code = ws->code;
    else
        *ret_code = wslay_event_get_status_code_sent(ws->frames);
    return wslay_event_get_close_sent(ws->frames) || !wslay_event_get_write_enabled(ws->frames);
}

/* Goes on with it, and frees it when it is over. */
static void step(struct websocket *ws)
{
    unsigned code;

    if (!ws->is_lost)
        read_frames(ws);
    if (!ws->is_lost)
        send_frames(ws);
    if (ws->is_lost)
        end_lost(ws);
    else if (has_said(ws, &code))
        end_said(ws, code);
    else
        watch(ws);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct websocket *ws = handle->data;

    if (status < 0)
        ws->is_lost = true;
    /* Nothing is read from a client whose pongs wait, so its end shows nowhere else. */
    if ((events & UV_DISCONNECT) && !(events & UV_READABLE))
        ws->is_lost = true;
    step(ws);
}

/* The 101 is out. */
static void on_upgrade(void *cls, struct MHD_Connection *mhd, void *context, const char *early,
                       size_t len, MHD_socket sock, struct MHD_UpgradeResponseHandle *handle)
{
    struct websocket *ws = cls;
    struct connection *c = ws->request->connection;
    int on = 1;

    ws->request->websocket = NULL;
    ws->request = NULL;
    ws->fd = fcntl(sock, F_DUPFD_CLOEXEC, 0);
    if (ws->fd >= 0 && uv_poll_init(ws->server->loop, &ws->poll, ws->fd) < 0) {
        close(ws->fd);
        ws->fd = -1;
    }
    MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
    connection_wake(c);
    if (ws->fd < 0) {
        end_lost(ws);
        return;
    }
    ws->poll.data = ws;
    server_add_socket(ws->server);
    ws->heard_ms = ws->asked_ms = ws->moved_ms = uv_now(ws->server->loop);
    (void)setsockopt(ws->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (len > 0 && buf_append(&ws->early, early, len) < 0)
        ws->is_lost = true;
    step(ws);
}

/* -- the handshake */

bool websocket_is_asked(const struct http_request *r)
{
    return handshake_list_has(http_header(r, "Upgrade"), "websocket") &&
           handshake_list_has(http_header(r, "Connection"), "upgrade");
}

/* The status to refuse it with, or 0. */
static int judge(const struct http_request *r, char accept[static HANDSHAKE_ACCEPT_SIZE])
{
    const char *version = http_header(r, "Sec-WebSocket-Version");
    const char *key = http_header(r, "Sec-WebSocket-Key");

    if (strcmp(r->method, "GET") != 0 || !r->is_http_1_1 || r->has_body || !websocket_is_asked(r))
        return MHD_HTTP_BAD_REQUEST;
    if (version == NULL || strcmp(version, "13") != 0)
        return MHD_HTTP_UPGRADE_REQUIRED;
    if (!handshake_key_is_valid(key))
        return MHD_HTTP_BAD_REQUEST;
    return r->connection->server->is_draining || handshake_accept(key, accept) < 0
               ? MHD_HTTP_SERVICE_UNAVAILABLE
               : 0;
}

static struct websocket *create(struct http_request *r, const struct websocket_events *events)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_recv,
        .send_callback = on_send,
        .on_frame_recv_start_callback = on_frame,
        .on_frame_recv_chunk_callback = on_chunk,
        .on_msg_recv_callback = on_message,
    };
    struct websocket *ws = calloc(1, sizeof *ws);

    if (ws == NULL || wslay_event_context_server_init(&ws->frames, &callbacks, ws) != 0) {
        free(ws);
        return NULL;
    }
    wslay_event_config_set_no_buffering(ws->frames, 1);
    wslay_event_config_set_max_recv_msg_length(ws->frames, LIMIT_WEBSOCKET_MESSAGE);
    ws->server = r->connection->server;
    ws->request = r;
    ws->events = *events;
    ws->fd = -1;
    buf_init(&ws->message, LIMIT_WEBSOCKET_MESSAGE);
    TAILQ_INSERT_TAIL(&ws->server->websockets, ws, all);
    return ws;
}

struct websocket *websocket_accept(struct http_request *r, const char *protocol,
                                   const struct websocket_events *events)
{
    char accept[HANDSHAKE_ACCEPT_SIZE];
    struct websocket *ws = NULL;
    int status;

    if (r->connection == NULL) { /* nobody waits for the answer */
        request_destroy(r);
        return NULL;
    }
    status = judge(r, accept);
    if (status == 0 && (ws = create(r, events)) == NULL)
        status = MHD_HTTP_SERVICE_UNAVAILABLE;
    if (status == MHD_HTTP_UPGRADE_REQUIRED)
        (void)http_add_header(r, "Sec-WebSocket-Version", "13");
    if (status == MHD_HTTP_UPGRADE_REQUIRED || status == 0)
        (void)http_add_header(r, "Upgrade", "websocket");
    if (status != 0) {
        reply_refusal(r, status);
        return NULL;
    }
    (void)http_add_header(r, "Sec-WebSocket-Accept", accept);
    if (protocol != NULL)
        (void)http_add_header(r, "Sec-WebSocket-Protocol", protocol);
    r->answered = true;
    r->websocket = ws;
    reply_set(r, MHD_HTTP_SWITCHING_PROTOCOLS, NULL,
              MHD_create_response_for_upgrade(on_upgrade, ws));
    return ws;
}

void websocket_lose(struct websocket *ws)
{
    ws->request = NULL;
    end_lost(ws);
}

/* -- what the caller asks */

size_t websocket_send(struct websocket *ws, bool is_text, const void *data, size_t len)
{
    const struct wslay_event_msg message = {is_text ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME, data,
                                            len};
    int failure;

    if (ws->is_lost || ws->is_leaving)
        return queued(ws);
    if (len > LIMIT_HTTP_STREAM || queued(ws) > LIMIT_HTTP_STREAM - len) {
        lose(ws);
        return queued(ws);
    }
    failure = wslay_event_queue_msg(ws->frames, &message);
    if (failure != 0 && failure != WSLAY_ERR_NO_MORE_MSG)
        lose(ws);
    if (queued(ws) >= WEBSOCKET_LOW_WATER)
        ws->is_above = true;
    if (ws->fd >= 0)
        watch(ws);
    return queued(ws);
}

size_t websocket_send_buf(struct websocket *ws, bool is_text, const struct buf *out)
{
    if (!out->torn)
        return websocket_send(ws, is_text, out->data, out->len);
    lose(ws);
    return queued(ws);
}

/* The caller has let go, or is told: what is queued is sent, then the goodbye. */
static void leave(struct websocket *ws, unsigned code, const char *reason)
{
    size_t len = reason != NULL ? strnlen(reason, REASON_MAX) : 0;

    ws->is_detached = true;
    ws->is_leaving = true;
    ws->code = code;
    if (len > 0)
        memcpy(ws->reason, reason, len);
    wslay_event_shutdown_read(ws->frames);
    if (ws->fd >= 0)
        watch(ws);
}

void websocket_close(struct websocket *ws, unsigned code, const char *reason)
{
    leave(ws, code, reason);
}

/* -- what the server asks */

void websocket_check_deadlines(struct http_server *s, uint64_t now_ms)
{
    struct websocket *ws, *next;

    for (ws = TAILQ_FIRST(&s->websockets); ws != NULL; ws = next) {
        uint64_t silent_ms = now_ms - ws->heard_ms, asked_ms = now_ms - ws->asked_ms;
        bool is_writing = wslay_event_want_write(ws->frames);

        next = TAILQ_NEXT(ws, all);
        if (ws->fd < 0)
            continue;
        if (silent_ms >= (uint64_t)LIMIT_WEBSOCKET_SILENT_S * s->second_ms ||
            (is_writing && now_ms - ws->moved_ms >= (uint64_t)LIMIT_HTTP_SEND_S * s->second_ms)) {
            end_lost(ws);
            continue;
        }
        if (silent_ms >= (uint64_t)LIMIT_WEBSOCKET_PING_S * s->second_ms &&
            asked_ms >= (uint64_t)LIMIT_WEBSOCKET_PING_S * s->second_ms) {
            ws->asked_ms = now_ms;
            wslay_event_queue_msg(ws->frames, &(const struct wslay_event_msg){WSLAY_PING, NULL, 0});
        }
        ws->pongs -= ws->pongs > 0; /* one a second, however little the client reads */
        watch(ws);
    }
}

void websocket_close_all(struct http_server *s)
{
    struct websocket *ws;

    TAILQ_FOREACH(ws, &s->websockets, all)
    {
        if (ws->is_detached)
            continue;
        report_close(ws, CODE_GOING_AWAY);
        leave(ws, CODE_GOING_AWAY, NULL);
    }
}

void websocket_destroy_all(struct http_server *s)
{
    struct websocket *ws;

    websocket_close_all(s);
    while ((ws = TAILQ_FIRST(&s->websockets)) != NULL) {
        if (ws->fd >= 0 && !ws->is_lost)
            send_frames(ws);
        destroy(ws);
    }
}

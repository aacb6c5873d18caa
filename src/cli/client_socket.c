/* client_socket: RFC 6455 by wslay, on a connection that libcurl has made (and TLS with it).
 *
 * Runs in dunlin-client, as whoever calls it.  What the server sends is bounded by wslay; what it
 * means is for the caller to check. */
#include "cli/client_socket.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <wslay/wslay.h>

#include "base/base64.h"
#include "base/buf.h"
#include "cli/client_internal.h"
#include "cli/client_json.h"
#include "cli/words.h"

#define HEAD_MAX    (16u << 10) /* bytes of the answer to the upgrade */
#define MESSAGE_MAX (4u << 20)
#define KEY_BYTES   16

struct client_socket {
    CURL *easy;
    curl_socket_t fd;
    wslay_event_context_ptr ws;
    struct buf early; /* what came behind the answer's head */
    const struct client_socket_events *events;
    int ended; /* 1: by a callback or by the server */
};

/* -- bytes ------------------------------------------------------------------------------------- */

static int wait_for(struct client_socket *s, short what)
{
    struct pollfd fd = {.fd = (int)s->fd, .events = what};

    while (poll(&fd, 1, 10000) < 0) {
        if (errno != EINTR)
            return -1;
    }
    return fd.revents != 0 ? 0 : -1;
}

static int send_all(struct client_socket *s, const char *data, size_t len)
{
    while (len > 0) {
        size_t n = 0;
        CURLcode code = curl_easy_send(s->easy, data, len, &n);

        if (code == CURLE_AGAIN ? wait_for(s, POLLOUT) < 0 : code != CURLE_OK)
            return -1;
        data += n;
        len -= n;
    }
    return 0;
}

static ssize_t on_receive(wslay_event_context_ptr ws, uint8_t *out, size_t cap, int flags,
                          void *data)
{
    struct client_socket *s = data;
    size_t n = s->early.len < cap ? s->early.len : cap;
    CURLcode code;

    if (n > 0) {
        memcpy(out, s->early.data, n);
        buf_consume(&s->early, n);
        return (ssize_t)n;
    }
    code = curl_easy_recv(s->easy, out, cap, &n);
    if (code == CURLE_OK && n > 0)
        return (ssize_t)n;
    wslay_event_set_error(ws,
                          code == CURLE_AGAIN ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t on_send(wslay_event_context_ptr ws, const uint8_t *bytes, size_t len, int flags,
                       void *data)
{
    struct client_socket *s = data;
    size_t n = 0;
    CURLcode code = curl_easy_send(s->easy, bytes, len, &n);

    if (code == CURLE_OK && n > 0)
        return (ssize_t)n;
    wslay_event_set_error(ws,
                          code == CURLE_AGAIN ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static int on_mask(wslay_event_context_ptr ws, uint8_t *out, size_t len, void *data)
{
    return getrandom(out, len, 0) == (ssize_t)len ? 0 : -1;
}

static void on_message(wslay_event_context_ptr ws, const struct wslay_event_on_msg_recv_arg *arg,
                       void *data)
{
    struct client_socket *s = data;

    if (arg->opcode == WSLAY_CONNECTION_CLOSE)
        s->ended = 1;
    else if (!wslay_is_ctrl_frame(arg->opcode) &&
             s->events->on_message(s->events->data, arg->opcode == WSLAY_TEXT_FRAME,
                                   (const char *)arg->msg, arg->msg_length) != 0)
        s->ended = 1;
}

/* -- the handshake ----------------------------------------------------------------------------- */

static int ask(struct client_socket *s, struct client *c, const char *path, struct err *e)
{
    _cleanup_buf_ struct buf request;
    struct base64_encoder encoder = {0};
    char key[2 * KEY_BYTES];
    uint8_t random[KEY_BYTES];
    size_t n;
    int r;

    buf_init(&request, HEAD_MAX);
    r = getrandom(random, sizeof random, 0) == sizeof random ? 0 : -1;
    n = base64_encode_update(&encoder, random, sizeof random, key);
    n += base64_encode_end(&encoder, key + n);
    r |= buf_printf(&request, "GET %s HTTP/1.1\r\nHost: %s\r\n", path, client_host(c));
    r |= buf_printf(&request,
                    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: %.*s\r\nUser-Agent: dunlin/" DUNLIN_VERSION "\r\n",
                    (int)n, key);
    if (client_key_header(c) != NULL)
        r |= buf_printf(&request, "%s\r\n", client_key_header(c));
    r |= buf_append_str(&request, "\r\n");
    if (r < 0 || send_all(s, request.data, request.len) < 0)
        return err_set(e, ERR_UNAVAILABLE, 0, "%s",
                       WORDS("the request cannot be sent", "无法发送请求"));
    return 0;
}

/* The answer's head, with its NUL; what comes behind it goes to s->early. */
static int read_head(struct client_socket *s, struct buf *head, struct err *e)
{
    char chunk[4096], *end = NULL;

    while (end == NULL) {
        size_t n = 0;
        CURLcode code = curl_easy_recv(s->easy, chunk, sizeof chunk, &n);

        if (code == CURLE_AGAIN && wait_for(s, POLLIN) == 0)
            continue;
        if (code != CURLE_OK || n == 0 || buf_append(head, chunk, n) < 0 ||
            buf_append(head, "", 1) < 0)
            return err_set(
                e, ERR_UNAVAILABLE, 0, "%s",
                WORDS("the server did not answer the upgrade", "服务器没有响应升级请求"));
        head->len--;
        end = strstr(head->data, "\r\n\r\n");
    }
    end += 4;
    return buf_append(&s->early, end, head->len - (size_t)(end - head->data));
}

/* A refusal has its reason in its body, of which what came along is enough. */
static int check_head(const struct client_socket *s, const struct buf *head, struct err *e)
{
    if (strncmp(head->data, "HTTP/1.1 101 ", 13) == 0)
        return 0;
    json_t *body = json_loadb(s->early.data != NULL ? s->early.data : "", s->early.len, 0, NULL);
    const char *detail = client_text_of(body, "detail");

    err_set(e, ERR_INVALID, 0, "%.*s", *detail != '\0' ? 200 : (int)strcspn(head->data, "\r\n"),
            *detail != '\0' ? detail : head->data);
    json_decref(body);
    return -1;
}

static int upgrade(struct client_socket *s, struct client *c, const char *path, struct err *e)
{
    static const struct wslay_event_callbacks callbacks = {.recv_callback = on_receive,
                                                           .send_callback = on_send,
                                                           .genmask_callback = on_mask,
                                                           .on_msg_recv_callback = on_message};
    _cleanup_buf_ struct buf head;

    buf_init(&head, HEAD_MAX);
    if (ask(s, c, path, e) < 0 || read_head(s, &head, e) < 0 || check_head(s, &head, e) < 0)
        return -1;
    if (wslay_event_context_client_init(&s->ws, &callbacks, s) != 0)
        return err_set(e, ERR_INTERNAL, 0, "out of memory");
    wslay_event_config_set_max_recv_msg_length(s->ws, MESSAGE_MAX);
    return 0;
}

struct client_socket *client_socket_open(struct client *c, const char *path, struct err *e)
{
    struct client_socket *s = calloc(1, sizeof *s);

    if (s == NULL) {
        err_set(e, ERR_INTERNAL, 0, "out of memory");
        return NULL;
    }
    buf_init(&s->early, HEAD_MAX);
    s->easy = client_connect(c, &s->fd, e);
    if (s->easy != NULL && upgrade(s, c, path, e) == 0)
        return s;
    client_socket_close(s);
    return NULL;
}

void client_socket_close(struct client_socket *s)
{
    if (s == NULL)
        return;
    if (s->ws != NULL) {
        wslay_event_queue_close(s->ws, WSLAY_CODE_NORMAL_CLOSURE, NULL, 0);
        wslay_event_send(s->ws);
        wslay_event_context_free(s->ws);
    }
    curl_easy_cleanup(s->easy);
    buf_finish(&s->early);
    free(s);
}

/* -- talking ----------------------------------------------------------------------------------- */

int client_socket_send(struct client_socket *s, bool is_text, const void *bytes, size_t len)
{
    const struct wslay_event_msg message = {
        .opcode = is_text ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME, .msg = bytes, .msg_length = len};

    return wslay_event_queue_msg(s->ws, &message) == 0 ? 0 : -1;
}

static int step(struct client_socket *s, struct pollfd *fds, struct err *e)
{
    const struct timespec now = {0};
    int r;

    fds[0].events = (short)(POLLIN | (wslay_event_want_write(s->ws) ? POLLOUT : 0));
    r = ppoll(fds, 2, s->early.len > 0 ? &now : NULL, s->events->wait_mask);
    if (r < 0 && errno != EINTR)
        return err_set(e, ERR_INTERNAL, errno, "ppoll");
    if (r < 0) {
        s->events->on_signal(s->events->data);
        fds[0].revents = fds[1].revents = 0;
    }
    if (fds[1].revents != 0 && s->events->on_input(s->events->data) < 0)
        fds[1].fd = -1;
    /* TLS may hold what poll(2) does not see, so it is read until it says that it would block. */
    if (wslay_event_recv(s->ws) != 0 || wslay_event_send(s->ws) != 0)
        return s->ended
                   ? 0
                   : err_set(e, ERR_CLOSED, 0, "%s", WORDS("the connection is lost", "连接已断开"));
    return 0;
}

int client_socket_run(struct client_socket *s, int input, const struct client_socket_events *events,
                      struct err *e)
{
    struct pollfd fds[] = {{.fd = (int)s->fd}, {.fd = input, .events = POLLIN}};

    s->events = events;
    while (!s->ended && (wslay_event_want_read(s->ws) || wslay_event_want_write(s->ws))) {
        if (step(s, fds, e) < 0)
            return -1;
    }
    return 0;
}

/* http_websockets: GET /ws[?protocol=NAME][&delay=MS] echoes messages, after a delay if asked. Some
 * texts are orders:
 *
 *   "close CODE REASON"   says "bye", then goodbye
 *   "flood N"             sends N blocks of 16 KiB at the client's pace
 *   "drown"               sends until the client is cut */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/websocket.h"
#include "http_echo.h"

#define HIGH_WATER (256u << 10)

struct peer {
    struct websocket *ws; /* NULL: it has been let go */
    struct http_request *request;
    uv_timer_t timer;
    unsigned long left; /* blocks of a flood */
};

static const char block[16 << 10];

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void finish_peer(struct peer *peer)
{
    counters.open--;
    uv_close((uv_handle_t *)&peer->timer, on_timer_closed);
}

static void flood(void *data)
{
    struct peer *peer = data;
    size_t queued = 0;

    while (peer->left > 0 && queued < HIGH_WATER) {
        peer->left--;
        queued = websocket_send(peer->ws, false, block, sizeof block);
        if (queued > counters.peak)
            counters.peak = queued;
    }
}

static void on_message(void *data, bool is_text, const char *bytes, size_t len)
{
    struct peer *peer = data;
    char order[64] = "", reason[32] = "";
    unsigned code;

    if (is_text)
        memcpy(order, bytes, len < sizeof order - 1 ? len : sizeof order - 1);
    if (sscanf(order, "close %u %31s", &code, reason) >= 1) {
        websocket_send(peer->ws, true, "bye", 3);
        websocket_close(peer->ws, code, reason);
        finish_peer(peer);
    } else if (sscanf(order, "flood %lu", &peer->left) == 1) {
        flood(peer);
    } else if (strcmp(order, "drown") == 0) {
        for (int i = 0; i < 4096; i++)
            websocket_send(peer->ws, false, block, sizeof block);
    } else {
        websocket_send(peer->ws, is_text, bytes, len);
    }
}

static void on_close(void *data, unsigned code)
{
    counters.code = code;
    finish_peer(data);
}

static void on_gone(void *data)
{
    counters.gone++;
    finish_peer(data);
}

static void accept_peer(struct peer *peer)
{
    const struct websocket_events events = {on_message, on_close, flood, peer};

    peer->ws = websocket_accept(peer->request, http_query(peer->request, "protocol"), &events);
    if (peer->ws == NULL)
        finish_peer(peer);
}

static void on_delay(uv_timer_t *timer)
{
    accept_peer(timer->data);
}

void serve_websocket(struct http_request *r)
{
    struct peer *peer = calloc(1, sizeof *peer);

    if (peer == NULL)
        abort();
    peer->request = r;
    uv_timer_init(test_loop, &peer->timer);
    peer->timer.data = peer;
    counters.open++;
    http_set_gone(r, on_gone, peer);
    if (query_number(r, "delay") > 0)
        uv_timer_start(&peer->timer, on_delay, query_number(r, "delay"), 0);
    else
        accept_peer(peer);
}

/* session_terminal: WebSockets to processes of a session: a terminal that is started for one, and
 * processes that are attached to again.
 *
 * Runs in the server's loop thread.  Messages are the client's, output is the sandbox's; all of it
 * is hostile.  A client that reads slowly misses output and is told so; it makes nobody wait.
 *
 * Browsers let a page of any site open a WebSocket to any host: CORS, which keeps such a page from
 * using the rest of the API with an address inside somebody's network, does not apply to them.  A
 * page that has a key may do what the key allows.  Where no key is needed, only pages of our own
 * host, and programs that are no browsers, get in. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/errors.h"
#include "api/internal.h"
#include "api/json_body.h"
#include "api/keys.h"
#include "api/origin.h"
#include "api/put.h"
#include "api/session_launch.h"
#include "api/session_outcome.h"
#include "api/session_query.h"
#include "api/session_reply.h"
#include "api/session_seen.h"
#include "api/session_seen_process.h"
#include "api/subprotocol.h"
#include "base/limits.h"
#include "http/http.h"
#include "http/websocket.h"
#include "service/session.h"

#define HIGH_WATER    (256u << 10)
#define ROWS_USUAL    24
#define COLUMNS_USUAL 80
#define SIDE_MAX      10000 /* rows or columns */
#define COMMAND_MAX   (64u << 10)

/* Codes of RFC 6455, 7.4.1. */
#define CLOSE_NORMAL    1000
#define CLOSE_GOING     1001
#define CLOSE_MALFORMED 1007
#define CLOSE_REFUSED   1008

struct terminal {
    struct http_request *r; /* until it is upgraded */
    struct websocket *ws;
    struct session_launch *launch;
    struct session_program program;
    const char *argv[4];
    char *command, *cwd;
    struct session_process *process;
    struct listener *listener;
    uint64_t offset; /* of the output that is sent first */
    bool is_terminal, told, is_full;
};

static void terminal_destroy(struct terminal *t)
{
    if (t->listener)
        listener_close(t->listener);
    free(t->command);
    free(t->cwd);
    free(t);
}

static void end(struct terminal *t, unsigned code, const char *reason)
{
    websocket_close(t->ws, code, reason);
    terminal_destroy(t);
}

static void send_text(struct terminal *t, const struct buf *text)
{
    websocket_send_buf(t->ws, true, text);
}

/* -- to the client -- */

/* Output may be there before it is said that the process has started. */
static void tell_process(struct terminal *t)
{
    _cleanup_buf_ struct buf out = {0};
    struct writer w = {.out = &out};
    struct session_process_view v;
    session_process_view(t->process, &v);
    if (t->told || (v.pid == 0 && !v.ended))
        return;
    t->told = true;
    put(&w, "{\"type\":\"process\"");
    put_number(&w, "process", v.id);
    put_if_set(&w, "pid", v.pid);
    put_bool(&w, "terminal", v.terminal);
    put_number(&w, "offset", t->offset > v.first[0] ? t->offset : v.first[0]);
    put(&w, "}");
    send_text(t, &out);
}

static void send_gap(struct terminal *t, uint64_t bytes)
{
    char text[64];
    int n =
        snprintf(text, sizeof text, "{\"type\":\"gap\",\"bytes\":%llu}", (unsigned long long)bytes);
    websocket_send(t->ws, true, text, (size_t)n);
}

/* Of a process without a terminal the first byte says which stream it is. */
static void send_piece(struct terminal *t, const struct listener_piece *piece)
{
    const char stream = (char)piece->stream;
    _cleanup_buf_ struct buf out = {0};
    size_t queued;
    if (piece->lost > 0)
        send_gap(t, piece->lost);
    if (piece->len == 0)
        return;
    if (t->is_terminal)
        queued = websocket_send(t->ws, false, piece->bytes, piece->len);
    else {
        buf_append(&out, &stream, 1);
        buf_append(&out, piece->bytes, piece->len);
        queued = websocket_send_buf(t->ws, false, &out);
    }
    t->is_full = queued >= HIGH_WATER;
}

static void finish(struct terminal *t)
{
    _cleanup_buf_ struct buf out = {0};
    struct writer w = {.out = &out};
    struct session_process_view v;
    session_process_view(t->process, &v);
    put(&w, "{\"type\":\"exit\"");
    put_exit(&w, &v.result);
    if (v.result.error)
        put_text(&w, "error", v.result.error);
    put(&w, "}");
    send_text(t, &out);
    end(t, CLOSE_NORMAL, NULL);
}

static void pump(void *data)
{
    struct terminal *t = data;
    struct listener_piece piece;
    int more = 0;
    tell_process(t);
    while (t->told && !t->is_full && (more = listener_read(t->listener, &piece)) > 0)
        send_piece(t, &piece);
    if (!t->is_full && more < 0)
        finish(t);
}

static void on_writable(void *data)
{
    struct terminal *t = data;
    if (!t->is_full)
        return;
    t->is_full = false;
    pump(t);
}

/* -- from the client -- */

static void on_resize(struct terminal *t, struct json_body *b)
{
    const struct int_range side = {1, SIDE_MAX};
    int64_t rows = 0, columns = 0;
    json_body_int(b, "rows", side, &rows);
    json_body_int(b, "columns", side, &columns);
    if (rows && columns)
        session_process_resize(t->process, (uint16_t)rows, (uint16_t)columns);
}

/* 0, or the code to close with. */
static unsigned obey(struct terminal *t, struct json_body *b)
{
    const char *type = "", *name = "";
    json_body_text(b, "type", 16, &type);
    if (strcmp(type, "resize") == 0) {
        on_resize(t, b);
    } else if (strcmp(type, "eof") == 0) {
        if (session_process_write_last(t->process, "", 0) < 0)
            return CLOSE_GOING;
    } else if (strcmp(type, "signal") == 0) {
        json_body_text(b, "signal", 32, &name);
        if (!signal_number(name))
            return CLOSE_MALFORMED;
        session_process_kill(t->process, signal_number(name), true);
    } else {
        return CLOSE_MALFORMED;
    }
    return json_body_is_valid(b) ? 0 : CLOSE_MALFORMED;
}

static void on_text(struct terminal *t, const char *bytes, size_t len)
{
    struct json_body b;
    struct buf copy = {0};
    size_t n;
    char *text = buf_append(&copy, bytes, len) == 0 ? buf_steal(&copy, &n) : NULL;
    unsigned code = CLOSE_GOING;
    if (text) {
        json_body_parse(&b, text, len, false);
        code = json_body_root(&b) ? obey(t, &b) : CLOSE_MALFORMED;
        json_body_finish(&b);
    }
    if (code == CLOSE_GOING)
        end(t, code, "out of memory");
    else if (code != 0)
        end(t, code, "text messages are resize, signal or eof, as JSON");
}

static void on_message(void *data, bool is_text, const char *bytes, size_t len)
{
    struct terminal *t = data;
    ssize_t held;
    if (is_text) {
        on_text(t, bytes, len);
        return;
    }
    held = session_process_write(t->process, bytes, len);
    if (held < 0)
        end(t, CLOSE_GOING, "out of memory");
    else if (held > LIMIT_PROCESS_INPUT)
        end(t, CLOSE_REFUSED, "the process does not read its input");
}

static void on_close(void *data, unsigned code)
{
    terminal_destroy(data);
}

/* -- beginning -- */

/* Upgrades, and listens to the process from `offset` on. */
static void open_socket(struct terminal *t)
{
    const struct websocket_events events = {
        .on_message = on_message, .on_close = on_close, .on_writable = on_writable, .data = t};
    const struct listener_events output = {.on_more = pump, .data = t};
    struct session_process_view v;
    session_process_view(t->process, &v);
    t->is_terminal = v.terminal;
    t->offset = t->offset < v.offset[0] ? t->offset : v.offset[0];
    t->listener = session_process_listen(t->process, t->offset, 0, false, &output);
    if (!t->listener) {
        error_reply_memory(t->r);
        terminal_destroy(t);
        return;
    }
    http_set_gone(t->r, NULL, NULL); /* on_close is called instead */
    t->ws = websocket_accept(t->r, subprotocol_agreed(http_header(t->r, "Sec-WebSocket-Protocol")),
                             &events);
    if (!t->ws)
        terminal_destroy(t);
}

/* Answers what may not become a WebSocket. */
static bool may_open(struct api *api, struct http_request *r)
{
    if (!websocket_is_asked(r)) {
        http_add_header(r, "Upgrade", "websocket");
        error_reply_str(r, 426, "this address speaks WebSocket only");
        return false;
    }
    if (keys_required(api->keys) || origin_is_own(http_header(r, "Origin"), http_header(r, "Host")))
        return true;
    error_reply_str(r, 403,
                    "pages of other sites need a key here (Origin is not this host): set API_KEYS");
    return false;
}

void session_attach_get(struct api *api, struct http_request *r, const struct call *call)
{
    struct session_process *p = session_seen_process(api, r, call);
    uint64_t offset = 0;
    if (!p || session_query_number(r, "offset", 0, UINT64_MAX - 1, &offset) < 0 ||
        !may_open(api, r))
        return;
    struct terminal *t = calloc(1, sizeof *t);
    if (!t) {
        error_reply_memory(r);
        return;
    }
    t->r = r;
    t->process = p;
    t->offset = offset;
    open_socket(t);
}

/* -- a new terminal -- */

static void on_gone(void *data)
{
    struct terminal *t = data;
    session_launch_cancel(t->launch);
    terminal_destroy(t);
}

static void on_launched(void *data, struct session *session, struct session_process *process,
                        const struct err *e)
{
    struct terminal *t = data;
    t->launch = NULL;
    if (!process) {
        session_reply_error(t->r, e);
        terminal_destroy(t);
        return;
    }
    t->process = process;
    open_socket(t);
}

/* A login shell, or the command in one. */
static void set_program(struct terminal *t, uint64_t rows, uint64_t columns)
{
    static const char login[] =
        "if command -v bash >/dev/null 2>&1; then exec bash -l; else exec sh -l; fi";
    struct process_spec *spec = &t->program.spec;
    t->argv[0] = "/bin/sh";
    t->argv[1] = "-c";
    t->argv[2] = *t->command ? t->command : login;
    spec->argv = t->argv;
    spec->cwd = *t->cwd ? t->cwd : NULL;
    spec->terminal = spec->stdin_open = spec->background = true;
    spec->rows = (uint16_t)rows;
    spec->columns = (uint16_t)columns;
    t->program.name = *t->command ? t->command : "terminal";
    t->program.keep = LIMIT_PROCESS_OUTPUT;
}

static void start_terminal(struct http_request *r, struct session *session, uint64_t rows,
                           uint64_t columns)
{
    struct terminal *t = calloc(1, sizeof *t);
    struct err e = {0};
    if (t) {
        t->r = r;
        t->command = strdup(session_query_text(r, "command"));
        t->cwd = strdup(session_query_text(r, "cwd"));
    }
    if (!t || !t->command || !t->cwd) {
        error_reply_memory(r);
        if (t)
            terminal_destroy(t);
        return;
    }
    set_program(t, rows, columns);
    t->launch = session_launch(session, &t->program, on_launched, t, &e);
    if (t->launch) {
        http_set_gone(r, on_gone, t);
        return;
    }
    session_reply_error(r, &e);
    terminal_destroy(t);
}

void session_terminal_get(struct api *api, struct http_request *r, const struct call *call)
{
    struct session *session = session_seen(api, r, call);
    uint64_t rows = ROWS_USUAL, columns = COLUMNS_USUAL;
    if (!session || session_query_number(r, "rows", 1, SIDE_MAX, &rows) < 0 ||
        session_query_number(r, "columns", 1, SIDE_MAX, &columns) < 0 || !may_open(api, r))
        return;
    start_terminal(r, session, rows, columns);
}

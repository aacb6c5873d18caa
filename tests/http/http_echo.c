/* http_echo: a server with nothing behind it, so that tests/test_http_layer.py can try the HTTP
 * layer alone.  Not installed.
 *
 *   http_echo [--hosts A,B] [--scale MS] [--limit BYTES] [--budget BYTES] [--debug]
 *
 * Prints the port it took.  SIGTERM drains, SIGINT ends at once; both free everything, so that a
 * sanitizer can look for leaks. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "http/http.h"
#include "http_echo.h"

#define MAX_HOSTS  8
#define LOW_WATER  (64u << 10)
#define HIGH_WATER (256u << 10)

static struct app {
    uv_loop_t loop;
    struct http_server *server;
    uv_signal_t term, interrupt;
    size_t body_limit;
} app;

struct counters counters;
uv_loop_t *test_loop = &app.loop;

/* A delayed answer or a stream. */
struct job {
    struct http_request *request;
    uv_timer_t timer;
    unsigned long left; /* events or bytes to come */
    unsigned long sent;
};

unsigned long query_number(const struct http_request *r, const char *name)
{
    const char *value = http_query(r, name);
    return value ? strtoul(value, NULL, 10) : 0;
}

void reply_json(struct http_request *r, int status, struct buf *body)
{
    http_reply(r, status, "application/json", body);
}

void reply_text(struct http_request *r, int status, const char *json)
{
    struct buf body;
    buf_init(&body, 0);
    buf_append_str(&body, json);
    reply_json(r, status, &body);
}

/* -- jobs */

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void job_finish(struct job *job)
{
    counters.open--;
    uv_close((uv_handle_t *)&job->timer, on_timer_closed);
}

static void on_gone(void *data)
{
    counters.gone++;
    job_finish(data);
}

static struct job *job_start(struct http_request *r)
{
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        abort();
    job->request = r;
    uv_timer_init(&app.loop, &job->timer);
    job->timer.data = job;
    http_set_gone(r, on_gone, job);
    counters.open++;
    return job;
}

/* -- GET /slow?ms=N: an answer after N ms */

static void on_slow_timer(uv_timer_t *timer)
{
    struct job *job = timer->data;
    reply_text(job->request, 200, "{\"slow\":true}");
    job_finish(job);
}

static void serve_slow(struct http_request *r)
{
    struct job *job = job_start(r);
    uv_timer_start(&job->timer, on_slow_timer, query_number(r, "ms"), 0);
}

/* -- GET /sse?n=N&ms=M: N events, M ms apart */

static void on_sse_timer(uv_timer_t *timer)
{
    struct job *job = timer->data;
    char event[64];
    if (job->left == 0) {
        http_stream_end(job->request);
        job_finish(job);
        return;
    }
    int len = snprintf(event, sizeof event, "data: %lu\n\n", job->sent);
    http_stream_write(job->request, event, (size_t)len);
    job->sent++;
    job->left--;
}

static void serve_sse(struct http_request *r)
{
    struct job *job = job_start(r);
    job->left = query_number(r, "n");
    http_stream_begin(r, 200, "text/event-stream");
    uv_timer_start(&job->timer, on_sse_timer, 0, query_number(r, "ms"));
    if (query_number(r, "ms") == 0)
        uv_timer_set_repeat(&job->timer, 1);
}

/* -- GET /flood?bytes=N: a stream that keeps to its reader's pace */

static void pump(void *data)
{
    static const char block[16 << 10];
    struct job *job = data;
    size_t queued = 0;
    while (job->left > 0 && queued < HIGH_WATER) {
        size_t n = job->left < sizeof block ? job->left : sizeof block;
        job->left -= n;
        queued = http_stream_write(job->request, block, n);
        if (queued > counters.peak)
            counters.peak = queued;
    }
    if (job->left == 0) {
        http_stream_end(job->request);
        job_finish(job);
    }
}

static void serve_flood(struct http_request *r)
{
    struct job *job = job_start(r);
    job->left = query_number(r, "bytes");
    http_stream_begin(r, 200, "application/octet-stream");
    http_stream_on_writable(r, LOW_WATER, pump, job);
    pump(job);
}

/* -- GET /big?bytes=N[&known=1]: a source; [&short=N] ends early */

struct big {
    unsigned long left;
};

static size_t big_read(void *data, char *out, size_t cap)
{
    struct big *big = data;
    size_t n = big->left < cap ? big->left : cap;
    memset(out, 'x', n);
    big->left -= n;
    return n;
}

static void big_done(void *data)
{
    counters.done++;
    free(data);
}

static void serve_big(struct http_request *r)
{
    struct big *big = calloc(1, sizeof *big);
    if (!big)
        abort();
    unsigned long bytes = query_number(r, "bytes");
    big->left = bytes - query_number(r, "short");
    struct http_source source = {big_read, big_done, big, query_number(r, "known") ? bytes : 0};
    http_reply_source(r, 200, "application/octet-stream", &source);
}

/* -- at once */

static void serve_echo(struct http_request *r)
{
    struct buf body;
    buf_init(&body, 0);
    const char *query = http_query(r, "q"), *header = http_header(r, "x-test");
    buf_printf(
        &body, "{\"method\":\"%s\",\"peer\":\"%s\",\"bytes\":%zu,\"q\":\"%s\",\"header\":\"%s\"}",
        http_method(r), http_peer(r), http_body(r)->len, query ? query : "", header ? header : "");
    reply_json(r, 200, &body);
}

static void serve_mirror(struct http_request *r)
{
    http_reply(r, 200, "application/octet-stream", http_body(r));
}

static void serve_header(struct http_request *r)
{
    const char *name = http_query(r, "name"), *value = http_query(r, "value");
    if (http_add_header(r, name ? name : "", value ? value : "") < 0)
        reply_text(r, 422, "{\"refused\":true}");
    else
        reply_text(r, 200, "{\"refused\":false}");
}

static void serve_static(struct http_request *r)
{
    static const char page[] = "<p>static</p>";
    http_reply_static(r, 200, "text/html", page, sizeof page - 1);
}

static void serve_nothing(struct http_request *r)
{
    struct buf body = {0};
    http_reply(r, 204, NULL, &body);
}

static void serve_stats(struct http_request *r)
{
    struct buf body;
    buf_init(&body, 0);
    buf_printf(&body, "{\"gone\":%lu,\"done\":%lu,\"open\":%lu,\"peak\":%lu,\"code\":%lu}",
               counters.gone, counters.done, counters.open, counters.peak, counters.code);
    reply_json(r, 200, &body);
}

/* -- the server */

static void handle(struct http_request *r, void *data)
{
    static const struct route {
        const char *path;
        void (*serve)(struct http_request *r);
    } routes[] = {
        {"/echo", serve_echo},       {"/mirror", serve_mirror},      {"/slow", serve_slow},
        {"/sse", serve_sse},         {"/flood", serve_flood},        {"/big", serve_big},
        {"/header", serve_header},   {"/static", serve_static},      {"/stats", serve_stats},
        {"/nothing", serve_nothing}, {"/caf\xc3\xa9 x", serve_echo}, {"/upload", serve_upload},
        {"/form", serve_form},       {"/ws", serve_websocket},
    };
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (strcmp(http_path(r), routes[i].path) == 0) {
            routes[i].serve(r);
            return;
        }
    reply_text(r, 404, "{\"error\":404}");
}

static size_t body_limit(const char *method, const char *path, void *data)
{
    return strcmp(path, "/mirror") == 0 ? SIZE_MAX : app.body_limit;
}

static bool streams_body(const char *method, const char *path, void *data)
{
    return strcmp(path, "/upload") == 0 || strcmp(path, "/form") == 0;
}

static void error_body(int status, struct buf *out, void *data)
{
    buf_printf(out, "{\"error\":%d}", status);
}

static void finish(void)
{
    http_server_destroy(app.server);
    app.server = NULL;
    uv_close((uv_handle_t *)&app.term, NULL);
    uv_close((uv_handle_t *)&app.interrupt, NULL);
}

static void on_drained(void *data)
{
    finish();
}

static void on_signal(uv_signal_t *handle, int signum)
{
    if (signum == SIGTERM)
        http_server_drain(app.server, on_drained, NULL);
    else
        finish();
}

static void watch_signals(void)
{
    uv_signal_init(&app.loop, &app.term);
    uv_signal_init(&app.loop, &app.interrupt);
    uv_signal_start(&app.term, on_signal, SIGTERM);
    uv_signal_start(&app.interrupt, on_signal, SIGINT);
}

static size_t split_hosts(char *list, const char **hosts)
{
    size_t n = 0;
    char *host;
    while (n < MAX_HOSTS && (host = strsep(&list, ",")))
        hosts[n++] = host;
    return n;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"hosts", required_argument, NULL, 'h'}, {"scale", required_argument, NULL, 's'},
        {"limit", required_argument, NULL, 'l'}, {"budget", required_argument, NULL, 'b'},
        {"debug", no_argument, NULL, 'd'},       {0},
    };
    const char *hosts[MAX_HOSTS] = {"127.0.0.1"};
    struct http_config config = {
        .hosts = hosts,
        .nhosts = 1,
        .body_budget = 64 << 20,
        .handler = handle,
        .body_limit = body_limit,
        .streams_body = streams_body,
        .error_body = error_body,
    };
    struct err e;
    int option;
    log_init("http_echo", LOG_INFO, LOG_TEXT);
    app.body_limit = 1 << 20;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'h')
            config.nhosts = split_hosts(optarg, hosts);
        else if (option == 's')
            config.deadline_scale_ms = (unsigned)atoi(optarg);
        else if (option == 'l')
            app.body_limit = strtoul(optarg, NULL, 10);
        else if (option == 'b')
            config.body_budget = strtoul(optarg, NULL, 10);
        else if (option == 'd')
            log_init("http_echo", LOG_DEBUG, LOG_TEXT);
        else
            return 2;
    }
    uv_loop_init(&app.loop);
    app.server = http_server_create(&app.loop, &config, &e);
    if (!app.server) {
        fprintf(stderr, "%s\n", e.text);
        uv_run(&app.loop, UV_RUN_DEFAULT);
        return 1;
    }
    watch_signals();
    printf("%d\n", http_server_port(app.server));
    fflush(stdout);
    uv_run(&app.loop, UV_RUN_DEFAULT);
    return uv_loop_close(&app.loop) == 0 ? 0 : 1;
}
